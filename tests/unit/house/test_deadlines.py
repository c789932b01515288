"""Every call to another node ends: it has a deadline, or something watches over it."""

import ast

from support.repository import Module, modules

KINDS = {"unary_unary", "unary_stream", "stream_unary", "stream_stream"}
BOUNDS = {
    # module and function that make a call: what bounds it, to be found in that module.
    ("src/catenet/abci/link.py", "_exchange"): "timeout=timeout_s",
    ("src/catenet/client/nodes.py", "_unary"): "timeout=limit",
    ("src/catenet/client/stream.py", "_read"): "self._timeout_s",
    ("src/catenet/client/submit.py", "_converse"): "self._watch(call)",
    ("src/catenet/network/dialler.py", "call"): "timeout=timeout_s",
    ("src/catenet/network/dialler.py", "_stream"): "handshake_s",
}
"""Streams that last are ended by the ping of their connection (`wire/grpc_channel.py`), by the handshake's
deadline and the heartbeat (peers), or by whoever watches for progress (submissions)."""


def calls(module: Module) -> set[tuple[str, str]]:
    """Return (module, function) of each place that opens a gRPC method."""
    found: set[tuple[str, str]] = set()
    if not any(kind in module.text for kind in KINDS):
        return found
    for function in ast.walk(module.tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in KINDS
                ):
                    found.add((module.name, function.name))
    return found


def test_every_call_to_another_node_has_a_deadline() -> None:
    texts = {module.name: module.text for module in modules(below="src")}
    assert set().union(*[calls(module) for module in modules(below="src")]) == set(BOUNDS)
    for (name, function), bound in BOUNDS.items():
        assert bound in texts[name], f"{name} {function}"
    assert "grpc.keepalive_timeout_ms" in texts["src/catenet/wire/grpc_channel.py"]
