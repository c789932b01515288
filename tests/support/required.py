"""Programs that a machine may lack: tests skip with a reason, and fail where CI says that they must run."""

import os
import shutil
from typing import Literal, NoReturn

import pytest

Language = Literal["GO", "NODE", "RUST"]


def command(name: str, language: Language) -> str:
    """Return the path of a command; without it the test is `missing` something."""
    found = shutil.which(name)
    if found is None:
        missing(language, f"there is no `{name}` on the PATH")
    return found


def missing(language: Language, reason: str) -> NoReturn:
    """Skip the test, or fail it under CATENET_REQUIRE_<language>=1."""
    variable = f"CATENET_REQUIRE_{language}"
    if os.environ.get(variable) == "1":
        pytest.fail(f"{variable}=1, and {reason}")
    pytest.skip(reason)
