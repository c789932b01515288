"""Other authors' streams (D3), and what this node says to have of them (D4). The machine stores."""

from dataclasses import dataclass

from catenet.core.batches.io import BatchConfig
from catenet.core.batches.store import Usage
from catenet.types.batch import Batch
from catenet.types.ids import Address
from catenet.types.messages import Skip, Tip

_NO_USAGE = Usage()


@dataclass(slots=True)
class _Stream:
    incarnation: int = 0
    have: int = 0
    """Every batch up to here is durable here, or was freed or skipped by its author."""
    told_credit: int = 0
    """The credit in the newest tip."""


class Receiver:
    """Cursor per author. Only the author itself may push, over its own authenticated link (D3)."""

    def __init__(self, config: BatchConfig) -> None:
        self._config = config
        self._streams: dict[Address, _Stream] = {}

    def resume(self, author: Address, incarnation: int) -> None:
        """After a restart: never go back to an older incarnation. The author's pushes show what is durable.

        A journal may hold batches that were fetched ahead of the stream, so their numbers prove no prefix.
        """
        stream = self._streams.setdefault(author, _Stream())
        stream.incarnation = max(stream.incarnation, incarnation)

    def accepts(self, author: Address, batch: Batch, usage: Usage | None) -> bool:
        """Say whether a pushed batch is the next one of its stream and fits the author's WINDOW (D3)."""
        stream = self._streams.setdefault(author, _Stream())
        if batch.incarnation > stream.incarnation:
            # D3: a higher incarnation replaces the stream; its first number is 1, or comes after a Skip.
            stream.incarnation, stream.have = batch.incarnation, 0
        if batch.incarnation != stream.incarnation or batch.seq != stream.have + 1:
            return False
        return 0 < len(batch.payload) <= self._room(usage)

    def took(self, author: Address, batch: Batch) -> None:
        """Move the cursor over a batch that `accepts` admitted."""
        self._streams[author].have = batch.seq

    def skip(self, author: Address, skip: Skip) -> bool:
        """Do not wait for what the author freed or let expire (D2). Says whether the cursor moved."""
        stream = self._streams.setdefault(author, _Stream())
        if skip.incarnation > stream.incarnation:
            stream.incarnation, stream.have = skip.incarnation, 0
        if skip.incarnation not in (0, stream.incarnation) or skip.to <= stream.have:
            return False
        stream.have = skip.to
        return True

    def tip(self, author: Address, usage: Usage | None, *, paused: bool) -> Tip:
        """Return what to tell: cumulative, with the bytes still welcome; 0 when either bound is hit (D4)."""
        stream = self._streams.get(author)
        if stream is None:
            stream = self._streams[author] = _Stream()
        stream.told_credit = 0 if paused else self._room(usage)
        return Tip(author=author, incarnation=stream.incarnation, seq=stream.have, credit=stream.told_credit)

    def credit_grew(self, author: Address, usage: Usage | None) -> bool:
        """Say whether an author that was told of little room should hear of more."""
        stream = self._streams.get(author)
        if stream is None:
            return False
        return stream.told_credit < self._config.pipe_bytes and self._room(usage) > stream.told_credit

    def _room(self, usage: Usage | None) -> int:
        usage = _NO_USAGE if usage is None else usage
        if usage.batches >= self._config.window_batches:
            return 0
        return max(0, self._config.window_bytes - usage.bytes)
