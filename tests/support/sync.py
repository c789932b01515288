"""Peers that serve a chain to a syncing node: honest ones, and liars of several kinds."""

from collections.abc import Callable, Sequence

from catenet.chain.block import Block
from catenet.chain.keys import PublicKey
from catenet.chain.state import ChainState, advance
from catenet.core.sync.io import Apply, Caught, Output, Proven, SyncConfig, SyncedBlock
from catenet.core.sync.machine import Sync
from catenet.types.clock import Instant
from catenet.types.effects import Halt, Penalise, RequestBlocks, SetTimer
from catenet.types.events import BlocksEnded, BlocksReceived, TimerKey
from catenet.types.ids import Address
from support.chain import LocalChain

Serve = Callable[[RequestBlocks], Sequence[tuple[int, bytes]] | None]
"""Which blocks a peer gives to a request, with the heights that it says; None: it never answers."""


def peer(number: int) -> Address:
    return bytes([number]) * 20


def honest(chain: LocalChain, upto: int | None = None) -> Serve:
    """Serve what the chain holds."""

    def serve(request: RequestBlocks) -> Sequence[tuple[int, bytes]]:
        last = min(request.last, upto or len(chain.decided))
        return [(height, chain.decided[height - 1].raw) for height in range(request.first, last + 1)]

    return serve


def mute(request: RequestBlocks) -> None:
    """Never answer."""


class Syncing:
    """A node with nothing but block sync, and its peers. Time stands still unless `wait` moves it."""

    def __init__(
        self, chain: LocalChain, peers: dict[Address, Serve], config: SyncConfig | None = None
    ) -> None:
        self.chain = chain
        self.state = ChainState.genesis(chain.genesis)
        self.verified = 0
        self.sync = Sync(SyncConfig() if config is None else config, verify=self._verify)
        self.peers = peers
        self.now_us = 1_000_000
        self.requests: list[RequestBlocks] = []
        self.penalised: list[Penalise] = []
        self.applied: list[SyncedBlock] = []
        self.runs: list[int] = []
        self.halted: list[str] = []
        self.caught: list[Caught] = []
        self.proven: list[Proven] = []
        self.timers: dict[TimerKey, int] = {}
        self.updates: dict[int, Sequence[tuple[PublicKey, int]]] = {}
        """Validator updates that executing a height gives."""
        self.commits: dict[int, bytes] = {}
        """Commits that peers send along with the block of a height."""
        self.piece = 8

    def _verify(self, key: PublicKey, message: bytes, signature: bytes) -> bool:
        self.verified += 1
        return key.verify(message, signature)

    @property
    def now(self) -> Instant:
        return Instant(mono_us=self.now_us, wall_ns=self.now_us * 1000)

    def claim(self, address: Address, head: int, lowest: int = 1) -> None:
        self.take(self.sync.on_status(address, lowest, head, self.now))

    def begin(self) -> None:
        self.take(self.sync.begin(self.state, self.now))

    def take(self, outputs: Sequence[Output]) -> None:
        """Do what the machine asks for: peers answer and blocks are executed at once."""
        for output in outputs:
            match output:
                case RequestBlocks():
                    self.requests.append(output)
                    self.answer(output)
                case Apply(blocks=blocks):
                    self._execute(blocks)
                case Penalise():
                    self.penalised.append(output)
                case Halt(reason=reason):
                    self.halted.append(reason)
                case Caught():
                    self.caught.append(output)
                case Proven():
                    self.proven.append(output)
                case SetTimer(key=key, delay_us=delay_us):
                    self.timers[key] = self.now_us + delay_us
                case _:
                    pass

    def answer(self, request: RequestBlocks) -> None:
        """Let the asked peer answer, piece by piece."""
        blocks = self.peers[request.peer](request)
        if blocks is None:
            return
        for start in range(0, len(blocks), self.piece):
            piece = blocks[start : start + self.piece]
            self.now_us += 1000
            event = BlocksReceived(
                request=request.request,
                peer=request.peer,
                first=piece[0][0],
                blocks=[raw for _, raw in piece],
                commit=self.commits.get(piece[-1][0], b""),
            )
            self.take(self.sync.on_blocks(event, self.now))
        ended = BlocksEnded(request=request.request, peer=request.peer, failed=not blocks)
        self.take(self.sync.on_ended(ended, self.now))

    def _execute(self, blocks: Sequence[SyncedBlock]) -> None:
        self.runs.append(len(blocks))
        for held in blocks:
            header = held.block.header
            assert header.height == self.state.height
            assert header.app_hash == self.state.app_hash
            self.applied.append(held)
            self.state = advance(
                self.state,
                header,
                held.block_id,
                results=[(0, b"", 0, 0) for _ in held.block.txs],
                app_hash=header.height.to_bytes(8, "big"),
                validator_updates=self.updates.get(header.height, ()),
            )
        self.take(self.sync.on_applied(self.state, self.now))

    def wait(self, span_us: int) -> None:
        """Let time pass; the machine's timer ends when it is due."""
        end_us = self.now_us + span_us
        while self.timers and min(self.timers.values()) <= end_us:
            key, ends_us = min(self.timers.items(), key=lambda item: item[1])
            del self.timers[key]
            self.now_us = max(self.now_us, ends_us)
            self.take(self.sync.on_timer(key, self.now))
        self.now_us = max(self.now_us, end_us)

    def asked_of(self, address: Address) -> list[RequestBlocks]:
        return [request for request in self.requests if request.peer == address]


def forge(block: Block, **changes: object) -> Block:
    """Return a block with some header fields changed; nobody signed it."""
    header = {name: getattr(block.header, name) for name in block.header.__slots__} | changes
    return Block(
        header=type(block.header)(**header),
        txs=block.txs,
        evidence=block.evidence,
        last_commit=block.last_commit,
    )


def synced(chain: LocalChain, **peers: Serve) -> Syncing:
    """Return a node that synced from peers by name (a, b, ...), all of which claim the whole chain."""
    node = Syncing(chain, {peer(ord(name) - 96): serve for name, serve in peers.items()})
    for address in node.peers:
        node.claim(address, len(chain.decided))
    node.begin()
    return node


def replaced(chain: LocalChain, height: int, raw: bytes) -> Serve:
    """Serve the chain with one block replaced."""

    def serve(request: RequestBlocks) -> Sequence[tuple[int, bytes]]:
        blocks = honest(chain)(request)
        assert blocks is not None
        return [(at, raw if at == height else held) for at, held in blocks]

    return serve
