"""Counts the known answers that were checked, and says so at the end of the run."""

import pytest

from support.known_answers import KnownAnswers

ANSWERS = pytest.StashKey[KnownAnswers]()


@pytest.fixture(scope="session")
def known_answers(request: pytest.FixtureRequest) -> KnownAnswers:
    return request.config.stash.setdefault(ANSWERS, KnownAnswers())


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    counts = config.stash.get(ANSWERS, KnownAnswers()).counts
    if counts:
        detail = ", ".join(f"{kind} {number}" for kind, number in counts.items())
        terminalreporter.write_line(f"known answers checked: {sum(counts.values())} ({detail})")
