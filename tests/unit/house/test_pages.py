"""What the pages show is what the examples are: a code block of a page is a file that is tested."""

import re

import pytest

from support.repository import ROOT

SHOWN = {
    "docs/howto/test-an-application.md": "examples/02-testing-an-application/test_accounts.py",
    "docs/howto/verify-without-trust.md": "examples/04-verify-without-trust/prove.py",
}


@pytest.mark.parametrize(("page", "example"), SHOWN.items())
def test_the_code_of_a_page_is_the_file_of_an_example(page: str, example: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.S)
    assert blocks == [(ROOT / example).read_text(encoding="utf-8")]


def test_every_page_with_python_is_compared() -> None:
    pages = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/howto").glob("*.md")]
    assert {page for page in pages if "```python" in (ROOT / page).read_text(encoding="utf-8")} <= set(SHOWN)
