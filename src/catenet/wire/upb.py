"""Protobuf's implementation in C (upb) is required; nothing else may live here.

The one in Python is two orders of magnitude slower, keeps its objects in cycles, and limits neither depth nor
memory in the same way: what was measured and fuzzed here would not hold (reliability.md 3).
"""

from google.protobuf.internal import api_implementation

from catenet.types.errors import WrongState

UPB = "upb"
VARIABLE = "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"


def require() -> None:
    """Raise `WrongState` when protobuf runs without its implementation in C."""
    found = api_implementation.Type()
    if found != UPB:
        raise WrongState(
            f"protobuf runs with its {found!r} implementation, Catenet needs {UPB!r}; unset {VARIABLE}, "
            "or install a protobuf wheel that is made for this machine"
        )
