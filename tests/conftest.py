"""For all tests: the environment of gRPC's core is set before any test module imports grpc."""

import catenet.wire  # noqa: F401 - see catenet/wire/tls_floor.py
