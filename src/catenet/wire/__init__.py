"""The room `wire`: protobuf and gRPC as the other rooms meet them.

`convert` and `hello` turn peer messages into frames and back, `records` does so for the journal, `status`
translates errors, `grpc_server` and `grpc_channel` hold what all servers and clients of ours have in common.
Nothing here opens a port, keeps state or decides anything.
"""

import catenet.wire.tls_floor  # noqa: F401 - its import sets the environment before grpc's core reads it
from catenet.wire import upb

upb.require()
