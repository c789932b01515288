"""`Sync`: fetch, prove and hand over the blocks that this node lacks (S2-S5, G9). Sans-IO.

Status -> ranges asked of several peers -> blocks in hand -> runs proven by one commit -> Apply -> Caught
"""

from collections.abc import Iterator
from itertools import count

from catenet.chain.commit import Commit
from catenet.chain.encoding import DecodeError
from catenet.chain.keys import Verify
from catenet.chain.state import ChainState
from catenet.core.sync.io import Apply, Caught, Output, Proven, SyncConfig, SyncedBlock
from catenet.core.sync.peers import Range, Sources
from catenet.core.sync.runs import Fork, InHand, Lie, SentCommit, judge, read_block
from catenet.types.clock import Instant
from catenet.types.effects import Halt, Notice, Penalise, RequestBlocks, SetTimer
from catenet.types.events import BlocksEnded, BlocksReceived, TimerKey
from catenet.types.ids import Address, RequestId

TICK = TimerKey(name="sync/tick")

PROBE_BLOCKS = 3
"""G9: on the word of one peer so many blocks are fetched while this node still votes."""


class Sync:
    """Block sync of one node. Idle until `begin`, or for a few blocks `probe`."""

    def __init__(
        self, config: SyncConfig, *, verify: Verify, requests: Iterator[RequestId] | None = None
    ) -> None:
        """`requests` gives fresh numbers for requests; the machines of a node share it."""
        self._config = config
        self._verify = verify
        self._requests = count(1) if requests is None else requests
        self._sources = Sources(config)
        self._state: ChainState | None = None
        self._probing: Address | None = None
        self._blocks: dict[int, InHand] = {}
        self._sent: dict[int, SentCommit] = {}
        self._proven: tuple[SyncedBlock, ...] = ()
        """Under way to be executed, or waiting for `begin` after a probe."""
        self._last_commit: Commit | None = None
        self._bytes_per_block = 1
        self._ticking = False

    @property
    def active(self) -> bool:
        """Whether blocks are fetched to be applied: no voting meanwhile (G9)."""
        return self._state is not None and self._probing is None

    # What peers have.

    def on_status(self, peer: Address, lowest: int, head: int, now: Instant) -> list[Output]:
        """A peer says which blocks it serves; a hint, which never decides when sync is done (S2)."""
        self._sources.claim(peer, lowest, head, now.mono_us)
        return self._advance(now) if self.active else []

    def on_link_down(self, peer: Address, now: Instant) -> list[Output]:
        """A peer is gone."""
        self._sources.drop(peer)
        if self._probing == peer:
            self._stop()
        return self._advance(now) if self.active else []

    # Life.

    def begin(self, state: ChainState, now: Instant) -> list[Output]:
        """Fetch everything after `state`; `Caught` ends it. What a probe proved is used."""
        self._probing = None
        self._state = state
        self._last_commit = None
        self._sources.begin()
        self._forget_old()
        proven, self._proven = self._proven, ()
        if proven and proven[0].block.header.height == state.height:
            self._proven = proven
            return [Apply(blocks=proven), *self._advance(now)]
        return self._advance(now)

    def probe(self, state: ChainState, peer: Address, head: int, now: Instant) -> list[Output]:
        """G9: one peer claims to be ahead. Fetch a few blocks while voting goes on; a commit is the proof."""
        if self._state is not None:
            return []
        self._state, self._probing, self._proven = state, peer, ()
        self._sources.begin()
        self._forget_old()
        known = self._sources.peers.get(peer)
        self._sources.claim(peer, 1 if known is None else known.lowest, head, now.mono_us)
        return self._advance(now)

    def _stop(self) -> None:
        self._state = self._probing = None
        self._blocks.clear()
        self._sent.clear()
        self._sources.running.clear()
        self._proven = ()

    # Answers.

    def on_blocks(self, event: BlocksReceived, now: Instant) -> list[Output]:
        """Take a piece of an answer: consecutive blocks, each whole and of its height, or the peer lied."""
        work = self._sources.running.get(event.request)
        if work is None or work.peer != event.peer or self._state is None:
            return []
        self._sources.progress(work, now.mono_us)
        for offset, raw in enumerate(event.blocks):
            height = event.first + offset
            if height != work.next or height > work.last:
                return self._lied(event.request, work, "blocks that were not asked for", now)
            held = read_block(event.peer, height, self._state.chain_id, raw)
            if held is None:
                return self._lied(event.request, work, f"a malformed block of height {height}", now)
            if height >= self._state.height:
                self._blocks[height] = held
                self._bytes_per_block = (7 * self._bytes_per_block + len(raw)) // 8 + 1
            work.next += 1
            work.bytes += len(raw)
        if work.bytes > self._config.range_bytes:
            # S2: a range is bounded in bytes, too; the rest is asked for anew.
            work.last = work.next - 1
        if event.commit and event.blocks:
            self._take_commit(event)
        if work.next > work.last:
            del self._sources.running[event.request]
        return self._advance(now)

    def _take_commit(self, event: BlocksReceived) -> None:
        try:
            commit = Commit.decode(event.commit)
        except DecodeError:
            return
        height = event.first + len(event.blocks) - 1
        self._sent[height] = SentCommit(peer=event.peer, commit=commit)

    def on_ended(self, event: BlocksEnded, now: Instant) -> list[Output]:
        """An answer is over. What it lacks is asked elsewhere."""
        work = self._sources.running.pop(event.request, None)
        if work is None:
            return []
        if work.next <= work.last:
            self._sources.failure(work)
        return self._advance(now)

    def on_applied(self, state: ChainState, now: Instant) -> list[Output]:
        """The run of the last `Apply` is executed: `state` is after its last block (S5)."""
        if self._proven:
            self._last_commit = self._proven[-1].commit
        self._proven = ()
        if self._state is None:
            return []
        self._state = state
        self._forget_old()
        return self._advance(now)

    def on_timer(self, key: TimerKey, now: Instant) -> list[Output]:
        """A timer of this machine ended (names begin with `sync/`): look at deadlines."""
        if key != TICK:
            return []
        self._ticking = False
        for request in self._sources.stalled(now.mono_us):
            self._sources.failure(self._sources.running.pop(request))
        return self._advance(now)

    # Steps.

    def _advance(self, now: Instant) -> list[Output]:
        if self._state is None:
            return []
        outputs: list[Output] = []
        while not self._proven and (step := self._judge(self._state, now)) is not None:
            outputs.extend(step)
            if self._state is None:
                return outputs
        outputs.extend(self._ask(self._state, now))
        self._sources.forget_needless(self._state.height, self._blocks)
        if not self._proven and not self._sources.running:
            return [*outputs, *self._finish()]
        if not self._ticking:
            self._ticking = True
            outputs.append(SetTimer(key=TICK, delay_us=self._config.tick_us))
        return outputs

    def _judge(self, state: ChainState, now: Instant) -> list[Output] | None:
        """Prove the next run (S3), or drop what is false; None: nothing more can be said now."""
        judgement = judge(state, self._blocks, self._sent, self._verify, self._config.range_blocks)
        match judgement:
            case None:
                return None
            case Lie():
                return self._punish(judgement, now)
            case Fork():
                text = f"more than two thirds signed a block {judgement.height} whose parent is not ours"
                self._stop()
                return [Halt(reason=text)]
            case _:
                return self._prove(judgement)

    def _prove(self, run: tuple[SyncedBlock, ...]) -> list[Output]:
        self._proven = run
        if self._probing is None:
            return [Apply(blocks=run)]
        self._sources.running.clear()
        height = run[-1].block.header.height
        self._state = self._probing = None
        return [Proven(height=height)]

    def _punish(self, lie: Lie, now: Instant) -> list[Output]:
        if lie.commit:
            self._sent.pop(lie.height, None)
        else:
            self._blocks.pop(lie.height, None)
            self._sources.failed.setdefault(lie.height, {})[lie.peer] = None
        return self._strike(lie.peer, f"height {lie.height}: {lie.reason}", now)

    def _lied(self, request: RequestId, work: Range, reason: str, now: Instant) -> list[Output]:
        self._sources.running.pop(request, None)
        self._sources.failed.setdefault(work.next, {})[work.peer] = None
        return [*self._strike(work.peer, reason, now), *self._advance(now)]

    def _strike(self, peer: Address, reason: str, now: Instant) -> list[Output]:
        """S2: the liar is scored down; three wrong blocks cut it, and what else it gave is not trusted."""
        cut = self._sources.strike(peer, now.mono_us)
        if cut:
            self._blocks = {height: held for height, held in self._blocks.items() if held.peer != peer}
            self._sent = {height: held for height, held in self._sent.items() if held.peer != peer}
        return [Penalise(peer=peer, reason=f"block sync: {reason}", disconnect=cut)]

    def _ask(self, state: ChainState, now: Instant) -> list[Output]:
        """S2: ask several peers in parallel for what is missing, in small ranges, not too far ahead."""
        config = self._config
        first = state.height
        ahead = max(2, min(config.ahead_blocks, config.held_bytes // self._bytes_per_block))
        last = min(self._sources.target(), first + ahead - 1)
        if self._probing is not None:
            last = min(last, first + PROBE_BLOCKS - 1)
        size = max(1, min(config.range_blocks, config.range_bytes // self._bytes_per_block))
        outputs: list[Output] = []
        for start, end in self._sources.gaps(first, last, self._blocks, now.mono_us):
            for begin in range(start, end + 1, size):
                if len(self._sources.running) >= config.peers:
                    return outputs
                outputs.extend(self._request(begin, min(end, begin + size - 1), now))
        return outputs

    def _request(self, first: int, last: int, now: Instant) -> list[Output]:
        peer = self._sources.pick(first)
        if peer is None:
            return []
        last = min(last, self._sources.peers[peer].head)
        request = next(self._requests)
        self._sources.running[request] = Range(peer=peer, next=first, last=last, moved_us=now.mono_us)
        return [RequestBlocks(request=request, peer=peer, first=first, last=last)]

    def _finish(self) -> list[Output]:
        """Nothing runs and nothing can be asked: everything that peers prove to have is here (G9)."""
        if self._probing is not None:
            self._stop()
            return []
        self._stop()
        return [Notice(name="sync.caught"), Caught(last_commit=self._last_commit)]

    def _forget_old(self) -> None:
        assert self._state is not None
        head = self._state.height
        self._blocks = {height: held for height, held in self._blocks.items() if height >= head}
        self._sent = {height: held for height, held in self._sent.items() if height >= head}
        self._sources.failed = {
            height: peers for height, peers in self._sources.failed.items() if height >= head
        }
