"""For all tests: options, and the environment of gRPC's core before any test module imports grpc."""

import pytest

import catenet.wire  # noqa: F401 - see catenet/wire/tls_floor.py


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="write what traces give into their files: read the diff before you commit it",
    )


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    """Whether trace files are to be rewritten."""
    return bool(request.config.getoption("--rewrite"))
