"""Sets the environment that gRPC's core reads once, at its import; nothing else may live here.

The Python server of gRPC has no argument that refuses TLS 1.2. This cipher list does: its only suite wants an
RSA certificate, ours are ECDSA, so TLS 1.2 finds no common suite, while TLS 1.3 has its own list
(dependencies.md). `catenet.wire` imports this module first, so every room that speaks gRPC has it in force.
"""

import os
import sys

from catenet.types.errors import WrongState

VARIABLE = "GRPC_SSL_CIPHER_SUITES"
CIPHERS = "ECDHE-RSA-AES256-GCM-SHA384"

_too_late = "grpc._cython.cygrpc" in sys.modules and os.environ.get(VARIABLE) != CIPHERS
os.environ[VARIABLE] = CIPHERS
# Without it the core prints a line to stderr for each failed handshake: whoever connects could flood the log.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def require() -> None:
    """Raise `WrongState` when grpc was imported before this module, so that TLS 1.2 would be served."""
    if _too_late:
        raise WrongState(
            f"grpc was imported before catenet, so a TLS server would accept TLS 1.2; "
            f"import catenet.wire first, or set {VARIABLE}={CIPHERS} in the environment"
        )
