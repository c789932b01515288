"""A frame made of many messages stays within what a receiver takes."""

from catenet.types.messages import Have, Tip
from catenet.wire.convert import FrameLimits, decode_frame, encode_frame


def test_only_the_newest_tip_of_each_author_is_sent() -> None:
    authors = [bytes([number]) * 20 for number in range(4)]
    told = [
        Have(tips=tuple(Tip(author=author, incarnation=1, seq=seq, credit=9) for author in authors))
        for seq in range(100)
    ]
    frame = decode_frame(encode_frame(1, told), FrameLimits(tips=8))
    assert frame.messages == (told[-1],)
