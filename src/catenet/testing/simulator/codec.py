"""The production codecs of frames and records, called once for each distinct message, record or run of bytes.

Nodes say the same thing to every peer, keep the same records, and read a journal again at each restart.
All of that are immutable values, so equal ones may share their bytes and what was read from them. The first
is written and read for real.
"""

from collections.abc import Sequence
from functools import lru_cache

from catenet.types.messages import Message
from catenet.wire import convert, records

_KEPT = 512
"""More than is under way at any time; what lies around longer costs more than to read it again."""

encode_record = lru_cache(_KEPT)(records.encode_record)
decode_record = lru_cache(_KEPT)(records.decode_record)
decode_frame = lru_cache(_KEPT)(convert.decode_frame)


@lru_cache(_KEPT)
def encode_frame(message: Message) -> bytes:
    """Return the frame of one message."""
    return convert.encode_frame(0, [message])


def forget() -> None:
    """Forget all: the next schedule has other messages."""
    for cached in (encode_record, decode_record, encode_frame, decode_frame):
        cached.cache_clear()


def decode_frames(frames: Sequence[bytes]) -> list[Message]:
    """Return the messages of some frames, in order."""
    return [message for frame in frames for message in decode_frame(frame).messages]
