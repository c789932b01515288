"""The hand of a traitor: a `conduct.Hand` over its own process. It has one key, and signs past the guard."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from catenet.chain.vote import Proposal, Vote
from catenet.core.consensus.io import ConsensusConfig
from catenet.core.node import Node
from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.codec import encode_frame
from catenet.testing.simulator.host import Host
from catenet.testing.simulator.keys import SimulatedKey
from catenet.testing.simulator.world import World
from catenet.types.clock import Instant
from catenet.types.ids import Address
from catenet.types.messages import Message


class OwnHand:
    """What one process can do beyond its core."""

    def __init__(self, world: World, host: Host) -> None:
        self._world = world
        self._host = host

    @property
    def index(self) -> int:
        """The place of its process in the network."""
        return self._host.index

    @property
    def address(self) -> Address:
        """The address of its vote key."""
        return self._host.address

    @property
    def key(self) -> SimulatedKey:
        """Its vote key."""
        return self._host.key

    @property
    def chain_id(self) -> str:
        """The chain's name, which is signed."""
        return self._world.genesis.chain_id

    @property
    def settings(self) -> ConsensusConfig:
        """The timers of all nodes."""
        return self._world.config.core.consensus

    @property
    def core(self) -> Node:
        """Its core, for what it knows: heights, rounds, blocks, votes."""
        return self._host.core

    @property
    def chooser(self) -> Chooser:
        """The run's source of chance."""
        return self._world.chooser

    def now(self) -> Instant:
        """Return its idea of the time."""
        return self._host.now()

    def peers(self) -> Sequence[int]:
        """Return the places that it is connected to."""
        return self._world.network.connected(self._host.index)

    def sign_vote(self, vote: Vote) -> Vote:
        """Sign anything: no guard asks."""
        done = replace(vote, signature=self.key.sign(vote.sign_bytes(self.chain_id)))
        self._world.monitor.signed(self.address, done)
        return done

    def sign_proposal(self, proposal: Proposal) -> Proposal:
        """Sign anything: no guard asks."""
        done = replace(proposal, signature=self.key.sign(proposal.sign_bytes(self.chain_id)))
        self._world.monitor.signed(self.address, done)
        return done

    def say(self, peer: int, message: Message) -> None:
        """Send to a peer at once, whatever is on disk."""
        self._host.carry(peer, [encode_frame(message)])

    def after(self, delay_us: int, action: Callable[[], None]) -> None:
        """Do something later in this life."""
        host, life = self._host, self._host.life
        self._world.schedule.after(delay_us, lambda: action() if life == host.life else None)

    def submitted(self, txs: Sequence[bytes]) -> None:
        """Own up to transactions of its own making: they may be committed."""
        self._world.monitor.submitted(txs)

    def twins(self) -> Sequence[int]:
        """Return the places of all processes that share its key, its own among them, in order."""
        return [host.index for host in self._world.hosts if host.address == self._host.address]

    def others(self) -> Sequence[int]:
        """Return the places of all processes with other keys."""
        return [host.index for host in self._world.hosts if host.address != self._host.address]

    def address_of(self, place: int) -> Address:
        """Return the address of the vote key of a place."""
        return self._world.hosts[place].address

    def darken(self, a: int, b: int, for_us: int) -> None:
        """Lose what two others say to each other, during chaos: then the network is the adversary's."""
        if self._world.network.chaos:
            self._world.network.darken(a, b, for_us)

    def did(self, what: str) -> None:
        """Count something done that no honest node does."""
        self._world.monitor.did(what)

    def newest_block(self) -> bytes:
        """Return the newest block in its store; empty: there is none."""
        stored = self._host.chain.block(self._host.chain.head)
        return b"" if stored is None else stored.raw

    def restart_with_nothing(self) -> None:
        """Die, and begin the next life without journal and guard."""
        host = self._host
        host.crash()
        host.disk.wipe()
        self._world.schedule.after(1, lambda: None if host.alive else host.start())

    def set_link(self, twin: int, peer: int, *, open: bool) -> None:
        """Open or cut the link of a process of its own to another place."""
        assert twin in self.twins(), twin
        self._world.network.set_open(twin, peer, open=open)
