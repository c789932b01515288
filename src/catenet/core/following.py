"""Between consensus and block sync: leaving, executing what sync proved, and coming back (G9, S4, S5). Pure.

A node never syncs and votes at once.
"""

from collections.abc import Callable, Sequence

from catenet.chain.commit import Commit
from catenet.core.batches.machine import Batches
from catenet.core.consensus.io import Leave, Reenter
from catenet.core.execution import Decided, Execution
from catenet.core.sync import io as sync_io
from catenet.core.sync.machine import Sync
from catenet.types.assembly import Assembled
from catenet.types.clock import Instant
from catenet.types.effects import Effect, Notice
from catenet.types.events import BlocksEnded, BlocksReceived, TimerKey
from catenet.types.ids import Address

Output = Effect | Leave | Reenter


class Following:
    """Runs block sync beside execution, and says when consensus is to leave and to come back."""

    def __init__(
        self,
        sync: Sync,
        batches: Batches,
        execution: Execution,
        last_commit: Callable[[], Commit | None],
    ) -> None:
        """`last_commit` returns the commit of the newest stored block."""
        self._sync = sync
        self._batches = batches
        self._execution = execution
        self._last_commit = last_commit
        self.syncing = False
        """Whether sync has the word."""

    def fall_back(self, height: int, now: Instant) -> list[Output]:
        """G9: leave consensus for block sync. Consensus asks again while the reason holds."""
        if self.syncing or self._execution.busy:
            return []
        self.syncing = True
        self._batches.pause(paused=True)
        state = self._execution.state
        fields = {"height": state.last_height, "target": height}
        begun = self._carry(self._sync.begin(state, now), now)
        return [Notice(name="block_sync_begins", fields=fields), Leave(), *begun]

    def probe(self, peer: Address, head: int, now: Instant) -> list[Output]:
        """G9: a single peer claims to be ahead: have it prove that while this node still votes."""
        return self._carry(self._sync.probe(self._execution.state, peer, head, now), now)

    def on_status(self, peer: Address, lowest: int, head: int, now: Instant) -> list[Output]:
        """A peer says which blocks it serves."""
        return self._carry(self._sync.on_status(peer, lowest, head, now), now)

    def on_link_down(self, peer: Address, now: Instant) -> list[Output]:
        """A peer is gone."""
        return self._carry(self._sync.on_link_down(peer, now), now)

    def on_blocks(self, event: BlocksReceived, now: Instant) -> list[Output]:
        """A piece of a peer's answer."""
        return self._carry(self._sync.on_blocks(event, now), now)

    def on_ended(self, event: BlocksEnded, now: Instant) -> list[Output]:
        """A peer's answer is over."""
        return self._carry(self._sync.on_ended(event, now), now)

    def on_timer(self, key: TimerKey, now: Instant) -> list[Output]:
        """A timer of block sync ended."""
        return self._carry(self._sync.on_timer(key, now), now)

    def on_applied(self, now: Instant) -> list[Output]:
        """A block that sync proved is committed: with the last of its run, sync goes on."""
        if self._execution.busy:
            return []
        return self._carry(self._sync.on_applied(self._execution.state, now), now)

    def _carry(self, outputs: Sequence[sync_io.Output], now: Instant) -> list[Output]:
        carried: list[Output] = []
        for output in outputs:
            match output:
                case sync_io.Apply(blocks=blocks):
                    for block in blocks:
                        carried.extend(self._execution.decided(_decided(block)))
                case sync_io.Caught(last_commit=last_commit):
                    carried.extend(self._come_back(last_commit))
                case sync_io.Proven(height=height):
                    carried.extend(self.fall_back(height, now))
                case _:
                    carried.append(output)
        return carried

    def _come_back(self, last_commit: Commit | None) -> list[Output]:
        if not self.syncing:
            return []
        self.syncing = False
        self._batches.pause(paused=False)
        state = self._execution.state
        return [
            Notice(name="block_sync_ends", fields={"height": state.last_height}),
            Reenter(state=state, last_commit=last_commit or self._last_commit()),
        ]


def _decided(block: sync_io.SyncedBlock) -> Decided:
    assembled = Assembled(
        block=block.block,
        raw=block.raw,
        block_id=block.block_id,
        tx_ids=block.tx_ids,
        data_hash=block.block.header.data_hash,
    )
    return Decided(assembled=assembled, commit=block.commit)
