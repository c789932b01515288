"""Protobuf without its implementation in C is refused at once, with a reason."""

import os
import subprocess
import sys

import pytest

from catenet.wire import upb


@pytest.mark.slow
def test_protobuf_in_python_is_refused() -> None:
    upb.require()
    result = subprocess.run(
        [sys.executable, "-c", "import catenet.wire"],
        env={**os.environ, upb.VARIABLE: "python"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert result.returncode == 1
    assert "protobuf runs with its 'python' implementation, Catenet needs 'upb'" in result.stderr
