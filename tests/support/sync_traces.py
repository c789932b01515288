"""The commands of traces in `tests/traces/sync`: one node that follows, and peers that serve stored blocks.

chain HEIGHT [change=H]      four validators decide so many blocks; at height H they get a fifth
claim PEER HEAD [lowest=H]   a peer says which blocks it has
probe PEER HEAD              consensus asks for proof of one peer's word
behind HEIGHT                consensus says that others are so far ahead
answer PEER [blocks=N] [forged=H] [mixed=H]    the peer serves what it was asked for: N blocks at most, one of
                             them forged, or with other contents than its header names
wait MS                      time passes
restart                      the node stops and begins with what it stored
other-app HEIGHT             from here on its application computes another hash at that height
stored                       which blocks the node has
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from catenet.chain.block import Block
from catenet.chain.keys import PublicKey
from catenet.chain.state import ChainState
from catenet.chain.validators import ValidatorSet
from catenet.core.batches.io import BatchConfig
from catenet.core.batches.machine import Batches
from catenet.core.consensus.io import Leave, Reenter
from catenet.core.execution import Execution
from catenet.core.following import Following, Output
from catenet.core.sync.io import SyncConfig
from catenet.core.sync.machine import Sync
from catenet.network.runs import runs
from catenet.types.application import BlockOutcome, TxResult, ValidatorUpdate
from catenet.types.clock import Instant
from catenet.types.effects import (
    Append,
    CommitBlock,
    Execute,
    Halt,
    Notice,
    Penalise,
    RequestBlocks,
    SetTimer,
)
from catenet.types.errors import NotFound, PastTip
from catenet.types.events import BlocksEnded, BlocksReceived, Committed, Finalized, TimerKey
from catenet.types.ids import Address, TxId
from catenet.types.ports import BlockRun, StoredBlock, TxLocation
from support.batches import Window
from support.chain import LocalChain, make_chain, make_keys

NEWCOMER = make_keys(1, first=50)[0]


@dataclass(kw_only=True)
class Stored:
    """A peer's block store, as its server reads it."""

    chain: LocalChain
    lowest: int
    head: int
    replaced: dict[int, bytes] = field(default_factory=dict)

    def block(self, height: int) -> StoredBlock | None:
        if not self.lowest <= height <= self.head:
            return None
        decided = self.chain.decided[height - 1]
        raw = self.replaced.get(height, decided.raw)
        return StoredBlock(height=height, block_id=decided.block_id, raw=raw, commit=decided.commit)

    def height_of(self, block_hash: bytes) -> int | None:
        raise NotImplementedError

    def locate(self, ids: Sequence[TxId]) -> Mapping[TxId, TxLocation]:
        raise NotImplementedError

    def outcome(self, height: int) -> BlockOutcome | None:
        raise NotImplementedError

    def validators_at(self, height: int) -> ValidatorSet | None:
        raise NotImplementedError


class Follower:
    """The node, its store and its application. What it asks for waits until a command answers."""

    def __init__(self) -> None:
        self.now_us = 1_000_000
        self.lines: list[str] = []
        self.verified = 0
        self.other_app = 0
        self.change = 0

    def command(self, verb: str, args: list[str]) -> str:
        """Do one command; return what the node did."""
        words = [word for word in args if "=" not in word]
        options = {name: int(value) for name, value in [word.split("=", 1) for word in args if "=" in word]}
        self.lines, before = [], self.verified
        getattr(self, f"do_{verb.replace('-', '_')}")(words, options)
        if self.verified > before:
            self.lines.append(f"{self.verified - before} signatures verified")
        return "\n".join(self.lines)

    # Commands.

    def do_chain(self, words: Sequence[str], options: Mapping[str, int]) -> None:
        self.chain = make_chain(4)
        self.change = options.get("change", 0)
        self.chain.keys[NEWCOMER.public.address] = NEWCOMER
        for height in range(1, int(words[0]) + 1):
            updates: list[tuple[PublicKey, int]] = [(NEWCOMER.public, 10)] if height == self.change else []
            self.chain.add(self.chain.build([b"tx of height %d" % height]), validator_updates=updates)
        self.store: list[CommitBlock] = []
        self.do_restart((), {})

    def do_restart(self, words: Sequence[str], options: Mapping[str, int]) -> None:
        """Make the machines anew, from what is stored."""
        state = self.store[-1].state if self.store else ChainState.genesis(self.chain.genesis)
        self.heads: dict[Address, tuple[int, int]] = {}
        self.asked: dict[Address, list[RequestBlocks]] = {}
        self.timers: dict[TimerKey, int] = {}
        self.execution = Execution(state)
        self.following = Following(
            Sync(SyncConfig(), verify=self._verify),
            Batches(BatchConfig(), b"m" * 20, Window()),
            self.execution,
            lambda: self.store[-1].commit if self.store else None,
        )

    def do_claim(self, words: Sequence[str], options: Mapping[str, int]) -> None:
        peer, lowest, head = self._peer(words[0]), options.get("lowest", 1), int(words[1])
        self.heads[peer] = (lowest, head)
        self._take(self.following.on_status(peer, lowest, head, self._now()))

    def do_probe(self, words: Sequence[str], options: Mapping[str, int]) -> None:
        peer, head = self._peer(words[0]), int(words[1])
        self.heads[peer] = (1, head)
        self._take(self.following.probe(peer, head, self._now()))

    def do_behind(self, words: Sequence[str], options: Mapping[str, int]) -> None:
        self._take(self.following.fall_back(int(words[0]), self._now()))

    def do_other_app(self, words: Sequence[str], options: Mapping[str, int]) -> None:
        self.other_app = int(words[0])

    def do_wait(self, words: Sequence[str], options: Mapping[str, int]) -> None:
        end_us = self.now_us + int(words[0]) * 1000
        while self.timers and min(self.timers.values()) <= end_us:
            key, due_us = min(self.timers.items(), key=lambda item: item[1])
            del self.timers[key]
            self.now_us = max(self.now_us, due_us)
            self._take(self.following.on_timer(key, self._now()))
        self.now_us = end_us

    def do_stored(self, words: Sequence[str], options: Mapping[str, int]) -> None:
        decided = self.chain.decided[: len(self.store)]
        same = [block.raw for block in self.store] == [each.raw for each in decided]
        said = "byte for byte" if same else "other bytes than were decided"
        self.lines.append(f"1-{len(self.store)}, {said}" if self.store else "nothing")

    def do_answer(self, words: Sequence[str], options: Mapping[str, int]) -> None:
        """Serve the oldest request to a peer, as its server does."""
        peer = self._peer(words[0])
        request = self.asked[peer].pop(0)
        lowest, head = self.heads[peer]
        stored = Stored(chain=self.chain, lowest=lowest, head=min(head, len(self.chain.decided)))
        if "blocks" in options:
            stored.head = min(stored.head, request.first + options["blocks"] - 1)
        if "forged" in options:
            block = self.chain.decided[options["forged"] - 1].block
            header = replace(block.header, app_hash=b"forged".ljust(8))
            stored.replaced[options["forged"]] = replace_block(block, header=header).encode()
        if "mixed" in options:
            block = self.chain.decided[options["mixed"] - 1].block
            stored.replaced[options["mixed"]] = replace_block(block, txs=[b"other"]).encode()
        served = asyncio.run(collect(stored, request))
        for run in served:
            self.lines.append(f"{words[0]} sends {span(run.first, run.first + len(run.blocks) - 1)}")
        for run in served:
            self.now_us += 1000
            event = BlocksReceived(
                request=request.request, peer=peer, first=run.first, blocks=run.blocks, commit=run.commit
            )
            self._take(self.following.on_blocks(event, self._now()))
        ended = BlocksEnded(request=request.request, peer=peer, failed=not served)
        self._take(self.following.on_ended(ended, self._now()))

    # The node's surroundings.

    @staticmethod
    def _peer(name: str) -> Address:
        return name.encode() * 20

    def _now(self) -> Instant:
        return Instant(mono_us=self.now_us, wall_ns=self.now_us * 1000)

    def _verify(self, key: PublicKey, message: bytes, signature: bytes) -> bool:
        self.verified += 1
        return key.verify(message, signature)

    def _take(self, outputs: Sequence[Output]) -> None:
        """Write the effects down; the application and the disk answer at once."""
        for output in outputs:
            match output:
                case RequestBlocks(peer=peer, first=first, last=last):
                    self.asked.setdefault(peer, []).append(output)
                    self.lines.append(f"ask {chr(peer[0])} for {span(first, last)}")
                case Penalise(peer=peer, reason=reason, disconnect=disconnect):
                    cut = " and disconnect" if disconnect else ""
                    self.lines.append(f"penalise{cut} {chr(peer[0])}: {reason}")
                case Halt(reason=reason):
                    self.lines.append(f"halt: {reason}")
                case Leave():
                    self.lines.append("leave consensus")
                case Reenter(state=state, last_commit=commit):
                    of = "none" if commit is None else f"that of {commit.height}"
                    self.lines.append(f"enter consensus at {state.height}, last commit: {of}")
                case SetTimer(key=key, delay_us=delay_us):
                    self.timers[key] = self.now_us + delay_us
                case Execute(height=height, request=request):
                    self._executes(height)
                    self._take(
                        self.execution.finalized(
                            Finalized(height=height, outcome=self._outcome(height, len(request.txs)))
                        )
                    )
                case CommitBlock(height=height):
                    self.store.append(output)
                    done, effects = self.execution.committed(Committed(height=height))
                    assert done.state.last_height == height
                    self._take(effects)
                    self._take(self.following.on_applied(self._now()))
                case Append() | Notice():
                    pass
                case other:
                    raise AssertionError(other)

    def _executes(self, height: int) -> None:
        """Say what is executed, blocks in a row on one line."""
        before = self.lines[-1] if self.lines else ""
        if before.startswith("execute ") and before.endswith(f"{height - 1}"):
            first = int(before.removeprefix("execute ").partition("-")[0])
            self.lines[-1] = f"execute {span(first, height)}"
        else:
            self.lines.append(f"execute {height}")

    def _outcome(self, height: int, txs: int) -> BlockOutcome:
        app_hash = b"otherapp" if height == self.other_app else height.to_bytes(8, "big")
        update = ValidatorUpdate(key_type="ed25519", public_key=NEWCOMER.public.data, power=10)
        return BlockOutcome(
            results=tuple([TxResult(code=0, data=b"")] * txs),
            app_hash=app_hash,
            validator_updates=(update,) if height == self.change else (),
        )


def span(first: int, last: int) -> str:
    """Return heights as a reader writes them."""
    return f"{first}-{last}" if last > first else f"{first}"


def replace_block(block: Block, **changes: object) -> Block:
    """Return a block with some parts changed."""
    parts = {name: getattr(block, name) for name in ("header", "txs", "evidence", "last_commit")} | changes
    return Block(**parts)


async def collect(stored: Stored, request: RequestBlocks) -> list[BlockRun]:
    """Read a peer's answer to the end; empty when it has nothing of it."""
    served = runs(stored, first=request.first, last=request.last, bytes_max=8 << 20, follow=False)
    try:
        return [run async for run in served]
    except (NotFound, PastTip):
        return []
