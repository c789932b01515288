"""The calls between nodes that are not messages: fetches of batches and blocks, and block sync.

A call may be lost on either way; who asked then learns after a deadline that it failed.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from catenet.testing.simulator.chain_store import ChainStore
from catenet.testing.simulator.network import Network
from catenet.testing.simulator.schedule import Action, Schedule
from catenet.types.effects import Answer, Fetch, RequestBlocks
from catenet.types.events import (
    BlocksEnded,
    BlocksReceived,
    Event,
    FetchEnded,
    FetchReceived,
    FetchRequested,
)
from catenet.types.messages import Found

REFUSED_US = 10_000
"""A call to a peer that is known to be unreachable fails after this."""

FETCH_DEADLINE_US = 5_000_000
BLOCKS_DEADLINE_US = 10_000_000
RUN_BLOCKS = 8
"""Blocks in one run of an answer."""


class Party(Protocol):
    """A node, as callers see it."""

    index: int
    address: bytes
    life: int
    chain: ChainStore

    def handle(self, event: Event) -> None:
        """Take an event."""
        ...

    def finds(self, found: Sequence[Found]) -> Sequence[Found]:
        """Return what the node really answers to a fetch."""
        ...

    def serves(self, run: BlocksReceived) -> BlocksReceived | None:
        """Return what the node really serves of its blocks; None: nothing."""
        ...


class Calls:
    """All calls under way."""

    def __init__(self, schedule: Schedule, network: Network) -> None:
        self._schedule = schedule
        self._network = network
        self._parties: Sequence[Party] = ()
        self._answers: dict[tuple[int, int], Callable[[Sequence[Found]], None]] = {}
        self._numbers = 0

    def start(self, parties: Sequence[Party]) -> None:
        """Learn who there is."""
        self._parties = parties

    def _party(self, asker: Party, address: bytes) -> Party:
        """Return the process that an address is for the asker: that which it is connected to, if any."""
        named = [party for party in self._parties if party.address == address]
        connected = self._network.connected(asker.index)
        return next((party for party in named if party.index in connected), named[0])

    def fetch(self, asker: Party, effect: Fetch) -> None:
        """Carry a fetch to the peer, and its answer back."""
        peer = self._party(asker, effect.peer)
        finish = self._once(
            asker, lambda failed: FetchEnded(request=effect.request, peer=effect.peer, failed=failed)
        )

        def ask() -> None:
            self._numbers += 1
            number = self._numbers
            self._answers[peer.index, number] = answer
            peer.handle(FetchRequested(request=number, peer=asker.address, wanted=effect.wanted))

        def answer(found: Sequence[Found]) -> None:
            life = asker.life

            def arrive() -> None:
                if asker.life != life:
                    return
                for piece in found:
                    asker.handle(FetchReceived(request=effect.request, peer=effect.peer, found=piece))
                finish(False)

            self._network.carry(peer.index, asker.index, arrive)

        carried = self._network.carry(asker.index, peer.index, ask)
        self._schedule.after(FETCH_DEADLINE_US if carried else REFUSED_US, lambda: finish(True))

    def answered(self, answerer: Party, effect: Answer) -> None:
        """A node's answer to a fetch leaves it."""
        send = self._answers.pop((answerer.index, effect.request), None)
        if send is not None:
            send(answerer.finds(effect.found))

    def blocks(self, asker: Party, effect: RequestBlocks) -> None:
        """Serve stored blocks from the peer's store, in runs; each run may be lost, then the call fails."""
        peer = self._party(asker, effect.peer)
        finish = self._once(
            asker, lambda failed: BlocksEnded(request=effect.request, peer=effect.peer, failed=failed)
        )

        def serve() -> None:
            last, stream = min(effect.last, peer.chain.head), Stream()
            for first in range(effect.first, last + 1, RUN_BLOCKS):
                self._serve_run(asker, peer, effect, first, min(first + RUN_BLOCKS - 1, last), stream)
            if last < effect.first:
                # An honest node has nothing to say to that.
                self._serve_run(asker, peer, effect, effect.first, last, stream)
            self._network.carry(peer.index, asker.index, lambda: finish(last < effect.first))

        carried = self._network.carry(asker.index, peer.index, serve)
        self._schedule.after(BLOCKS_DEADLINE_US if carried else REFUSED_US, lambda: finish(True))

    def _serve_run(
        self, asker: Party, peer: Party, effect: RequestBlocks, first: int, last: int, stream: "Stream"
    ) -> None:
        stored = [block for height in range(first, last + 1) if (block := peer.chain.block(height))]
        run = BlocksReceived(
            request=effect.request,
            peer=effect.peer,
            first=first,
            blocks=[block.raw for block in stored],
            commit=stored[-1].commit.encode() if stored else b"",
        )
        event, life = peer.serves(run), asker.life
        if event is not None and event.blocks:
            self._network.carry(
                peer.index,
                asker.index,
                stream.next(lambda: asker.handle(event) if asker.life == life else None),
            )

    def _once(self, asker: Party, end: Callable[[bool], Event]) -> Callable[[bool], None]:
        """Return what ends a call of this life of the asker, the first time only."""
        life, done = asker.life, [False]

        def finish(failed: bool) -> None:
            if not done[0] and asker.life == life:
                done[0] = True
                asker.handle(end(failed))

        return finish


class Stream:
    """One answer in pieces: they arrive once and in order, and after a lost one nothing does."""

    def __init__(self) -> None:
        self._sent = 0
        self._arrived = 0

    def next(self, action: Action) -> Action:
        """Return the arrival of the next piece."""
        number = self._sent
        self._sent += 1

        def arrive() -> None:
            if number == self._arrived:
                self._arrived += 1
                action()

        return arrive
