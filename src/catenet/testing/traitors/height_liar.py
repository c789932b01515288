"""Height liar: claims heights that do not exist, and serves wrong, endless or no blocks to who believes it.

A claim of less than a third is only a hint (G9, S2): it must not take a node out of consensus, hold a range
of blocks for long, or get a block in that no commit of two thirds proves (S3). Three wrong blocks: cut off.
"""

from collections.abc import Sequence
from dataclasses import replace

from catenet.chain.block import Block
from catenet.testing.simulator.conduct import Conduct
from catenet.types.events import BlocksReceived
from catenet.types.messages import Message, Status

FAR = 2**60
ENDLESS = 200
"""Blocks in an answer without end."""


class HeightLiar(Conduct):
    """Lies about the chain."""

    def says(self, peer: int, message: Message) -> Sequence[Message]:
        """Claim another height, now and then."""
        if not isinstance(message, Status):
            return (message,)
        chooser = self.hand.chooser
        height, round_ = message.height, message.round
        match chooser.choose(6):
            case 0:
                return (message,)
            case 1:
                height = FAR
            case 2:
                height += chooser.between(1, 9)
            case 3:
                height = max(1, height - chooser.between(1, 9))
            case 4:
                round_ = 2**31 - 1
            case _:
                height += 3
        self.hand.did("lied about its height")
        lowest = chooser.pick((1, message.lowest, height, FAR))
        return (replace(message, height=height, round=round_, lowest=lowest, due=chooser.chance(0.5)),)

    def serves(self, run: BlocksReceived) -> BlocksReceived | None:
        """Serve something else than what is stored."""
        chooser = self.hand.chooser
        # What it claims to have beyond its head must look like blocks.
        blocks = [*run.blocks] or [self.hand.newest_block()]
        if not blocks[0]:
            return None
        wrong = chooser.choose(6)
        if wrong == 5:
            return run
        self.hand.did("served wrong blocks")
        match wrong:
            case 0:
                return None
            case 1:
                return replace(run, blocks=[self._bent(raw, run.first + n) for n, raw in enumerate(blocks)])
            case 2:
                return replace(run, blocks=[blocks[n % len(blocks)] for n in range(ENDLESS)])
            case 3:
                return replace(run, first=run.first + 1, blocks=blocks)
            case _:
                return replace(run, blocks=[*blocks[:-1], blocks[-1][:-7]], commit=run.commit[:-5])

    def _bent(self, raw: bytes, height: int) -> bytes:
        """Return a whole block of that height that nobody decided."""
        block = Block.decode(raw)
        header = replace(block.header, height=height, app_hash=b"\1" * 32)
        return replace(block, header=header).encode()
