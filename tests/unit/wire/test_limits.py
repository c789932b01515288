"""What may be said at once, at the limit and one beyond, where `test_convert` does not show it."""

import pytest

from catenet.types.errors import InvalidInput
from catenet.wire import convert, hello
from catenet.wire.v1 import peer_pb2 as pb

DIGEST = bytes(32)


def frame(**message: object) -> bytes:
    return pb.Frame(msgs=[pb.Msg(**message)]).SerializeToString()  # type: ignore[arg-type]


def hello_frame(**changes: object) -> bytes:
    plain = {"address": bytes(20), "nonce": bytes(32), "certificate": bytes(32)}
    return frame(hello=pb.Hello(**{**plain, **changes}))  # type: ignore[arg-type]


def padded(size: int) -> bytes:
    """Return a true Hello of exactly so many bytes: what it does not know is skipped."""
    made = hello_frame()
    return made + b"\xf2\x06" + convert_length(size - len(made) - 4) + bytes(size - len(made) - 4)


def convert_length(length: int) -> bytes:
    return bytes([length & 0x7F | 0x80, length >> 7])


def test_frames_runs_and_hellos_hold_at_the_limit_and_not_one_beyond() -> None:
    pings = [pb.Msg(ping=pb.Ping())] * convert.MESSAGES_MAX
    assert len(convert.decode_frame(pb.Frame(msgs=pings).SerializeToString()).messages) == len(pings)
    blocks = [b"x"] * convert.RUN_BLOCKS_MAX
    assert convert.decode_run(pb.BlockRun(first=1, blocks=blocks).SerializeToString()).blocks == tuple(blocks)
    text = "x" * hello.TEXT_CHARS_MAX
    assert hello.decode_hello(hello_frame(node_id=text, caps=["c"] * hello.CAPS_MAX))[1].node_id == text
    assert hello.decode_hello(padded(hello.HELLO_BYTES_MAX))
    signature = bytes(hello.SIGNATURE_BYTES_MAX)
    assert hello.decode_proof(frame(proof=pb.Proof(signature=signature)))[1].signature == signature
    bits = bytes(convert.BITMAP_BYTES_MAX)
    assert convert.decode_frame(frame(status=pb.Status(step=1, prevotes=bits, precommits=bits))).messages
    for decode, beyond in (
        (convert.decode_frame, pb.Frame(msgs=[*pings, pings[0]]).SerializeToString()),
        (convert.decode_run, pb.BlockRun(first=1, blocks=[*blocks, b"x"]).SerializeToString()),
        (convert.decode_run, pb.BlockRun(first=1).SerializeToString()),
        (hello.decode_hello, hello_frame(node_id=text + "x")),
        (hello.decode_hello, hello_frame(software=text + "x")),
        (hello.decode_hello, hello_frame(chain_id=text + "x")),
        (hello.decode_hello, hello_frame(caps=["c"] * (hello.CAPS_MAX + 1))),
        (hello.decode_hello, padded(hello.HELLO_BYTES_MAX + 1)),
        (hello.decode_proof, frame(proof=pb.Proof(signature=signature + b"x"))),
        (convert.decode_frame, frame(status=pb.Status(step=1, precommits=bits + b"\0"))),
    ):
        with pytest.raises(InvalidInput):
            decode(beyond)


def test_a_fetch_has_a_limit_of_bytes_beside_that_of_names() -> None:
    most = pb.Wanted(digests=[DIGEST] * convert.DIGESTS_MAX, block_ids=[DIGEST] * convert.BLOCK_HASHES_MAX)
    data = most.SerializeToString()
    assert convert.decode_wanted(data).digests
    room = convert.WANTED_BYTES_MAX - len(data)
    # An unknown field fills the rest: 2 bytes of key and 3 of length.
    filler = b"\xf2\x06" + bytes([(room - 5) & 0x7F | 0x80, (room - 5) >> 7 & 0x7F | 0x80, (room - 5) >> 14])
    assert convert.decode_wanted(data + filler + bytes(room - 5)).digests
    with pytest.raises(InvalidInput, match=f"at most {convert.WANTED_BYTES_MAX}"):
        convert.decode_wanted(data + filler + bytes(room - 4))
