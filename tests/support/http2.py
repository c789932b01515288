"""The few bytes of HTTP/2 that a gRPC client would never send, for tests of servers."""

import asyncio


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return one HTTP/2 frame."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def call_path(path: bytes) -> bytes:
    """Return the bytes of an HTTP/2 connection that calls `path` on stream 1, headers uncompressed."""
    headers = (
        b"\x83\x86"  # :method POST, :scheme http
        + (b"\x04" + bytes([len(path)]) + path)  # :path
        + b"\x01\x01x"  # :authority
        + b"\x0f\x10\x10application/grpc"  # content-type
        + b"\x00\x02te\x08trailers"
    )
    head = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
    return head + frame(1, 4, 1, headers) + frame(0, 1, 1, bytes(5))


async def answered_stream(reader: asyncio.StreamReader) -> int:
    """Read frames until one is of a call; return its kind."""
    while True:
        head = await reader.readexactly(9)
        await reader.readexactly(int.from_bytes(head[:3], "big"))
        if int.from_bytes(head[5:], "big"):
            return head[3]
