"""Every test of the command line has folders and an environment of its own."""

from pathlib import Path

import pytest

from support.cli import Terminal


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    for variable in ("CATENET_NODE", "CATENET_HOME", "CATENET_TLS_CA"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def catenet(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)
