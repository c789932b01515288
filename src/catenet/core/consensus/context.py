"""What outlives a height: configuration, peers, own records, the catch-up store, and the list of outputs.

The modules of the machine are functions over one `Context`. It holds; it does not decide.
"""

from dataclasses import dataclass, field

from catenet.chain.keys import Verify
from catenet.chain.state import ChainState
from catenet.chain.vote import Vote, VoteType
from catenet.core.consensus.io import BlockAssembler, ConsensusConfig, HeaderCheck, Output
from catenet.core.consensus.signatures import SignatureCache
from catenet.core.consensus.state import HeightState
from catenet.core.flow import TokenBucket
from catenet.types.clock import Instant
from catenet.types.effects import Halt, Notice, Penalise, SetTimer, Sign
from catenet.types.events import TimerKey
from catenet.types.ids import Address
from catenet.types.messages import CommittedBlock, ProposalMessage, Status
from catenet.types.records import PolkaRecord, RoundCertRecord

ANSWER_BURST = 20
ANSWERS_PER_SECOND = 10
VERIFICATIONS_PER_SECOND = 2_000


@dataclass(slots=True, kw_only=True)
class PeerState:
    """What is known of one peer."""

    answers: TokenBucket
    """Answers to its Status (G2)."""
    verifications: TokenBucket
    """Signatures it may make us verify."""
    linked: bool = False
    linked_us: int = 0
    """Since when the link is up."""
    heard_us: int | None = None
    status: Status | None = None
    """The newest."""
    repeats: int = 0
    """How often in a row its Status named the same height, round and step."""
    told_us: int | None = None
    """When it was last sent a Status out of turn."""
    due_height: int = -1
    due_since_us: int = 0
    """Since when it says that `due_height` is due (2.7 h)."""
    served: dict[int, int] = field(default_factory=dict)
    """Height to the moment at which its committed block was last sent (G6)."""


@dataclass(slots=True)
class OwnRecords:
    """What this node signed and learnt at one height, from the journal."""

    votes: list[Vote] = field(default_factory=list)
    proposals: list[ProposalMessage] = field(default_factory=list)
    polkas: list[PolkaRecord] = field(default_factory=list)
    certificates: list[RoundCertRecord] = field(default_factory=list)


@dataclass(slots=True)
class SigningGate:
    """Whether this node may sign: consensus.md 4 (8), and the rule of a lost journal."""

    waiting: bool = True
    """Nothing was signed since the start: `Sign` waits for the answers of others."""
    started_us: int = 0
    answered: dict[Address, None] = field(default_factory=dict)
    queue: list[Sign] = field(default_factory=list)
    last: tuple[int, int, VoteType] | None = None
    """Height, round and type of the newest own vote, signed or about to be."""
    last_vote: Vote | None = None
    rejoining: dict[Address, int] | None = None
    """While it is not known what this home signed: committed height by the answers of validators."""
    rejoin_height: int = 0
    """Nothing is signed up to this height."""


@dataclass(slots=True)
class FetchState:
    """The timer of `wanted` (G5)."""

    stale: bool = True
    """Something changed that `wanted` depends on."""
    attempt: int = -1
    """How often was asked; -1: nothing is wanted, no timer runs."""
    asked_for: frozenset[bytes] = frozenset()


class Context:
    """The mutable heart of the machine."""

    def __init__(
        self,
        *,
        config: ConsensusConfig,
        chain: ChainState,
        address: Address | None,
        assembler: BlockAssembler,
        check: HeaderCheck,
        verify: Verify,
        height: HeightState,
    ) -> None:
        self.config = config
        self.chain = chain
        """After the newest executed block."""
        self.address = address
        self.assembler = assembler
        self.check = check
        self.signatures = SignatureCache(verify)
        self.hs = height
        self.previous: HeightState | None = None
        """The height before, for its late votes."""
        self.peers: dict[Address, PeerState] = {}
        self.newest: dict[Address, Vote] = {}
        """By validator: its newest verified vote, for `Status.yours`."""
        self.decided: dict[int, CommittedBlock] = {}
        """The last two decided heights (G6)."""
        self.own: dict[int, OwnRecords] = {}
        self.future_votes: dict[Address, list[Vote]] = {}
        """Of the next height, not verified: at most four per sender (G7)."""
        self.future_proposal: tuple[Address, ProposalMessage] | None = None
        self.gate = SigningGate()
        self.fetch = FetchState()
        self.level = 0
        """Of the timers (2.3)."""
        self.decided_us = 0
        """When the last block was decided here."""
        self.proof_wanted = False
        self.updates_pending = False
        self.lowest = 1
        """The lowest height whose block this node serves."""
        self.started = False
        self.away = False
        """Block sync has the word (G9)."""
        self.halted = False
        self.behind_us: int | None = None
        self.clock_notice_us = 0
        """Not before this moment is the operator told again that the clock is wrong."""
        self.now = Instant(mono_us=0, wall_ns=0)
        self.out: list[Output] = []

    @property
    def active(self) -> bool:
        """Whether the rules may act."""
        return self.started and not self.away and not self.halted

    def peer(self, address: Address) -> PeerState:
        """Return the state of a peer."""
        state = self.peers.get(address)
        if state is None:
            n = len(self.hs.validators)
            state = self.peers[address] = PeerState(
                answers=TokenBucket(ANSWERS_PER_SECOND, ANSWER_BURST, self.now.mono_us),
                verifications=TokenBucket(VERIFICATIONS_PER_SECOND, 256 + 26 * n, self.now.mono_us),
            )
        return state

    def linked(self) -> list[Address]:
        """Return the connected peers, in order of address."""
        return sorted([address for address, peer in self.peers.items() if peer.linked])

    def set_timer(self, key: TimerKey, delay_us: int) -> None:
        """Have a timer fire."""
        self.out.append(SetTimer(key=key, delay_us=max(delay_us, 0)))

    def penalise(self, peer: Address, reason: str, *, disconnect: bool = False) -> None:
        """Report a peer's fault. Our own content has no peer to blame."""
        if peer and peer != self.address:
            self.out.append(Penalise(peer=peer, reason=reason, disconnect=disconnect))

    def notice(self, name: str, *, alarm: bool = False, **fields: object) -> None:
        """Tell the operator."""
        self.out.append(Notice(name=name, fields={"height": self.hs.height, **fields}, alarm=alarm))

    def halt(self, reason: str) -> None:
        """Stop taking part for good."""
        self.halted = True
        self.out.append(Halt(reason=reason))

    def remember(self, vote: Vote) -> None:
        """Keep a verified vote as its validator's newest when it is."""
        held = self.newest.get(vote.address)
        if held is None or place(vote) > place(held):
            self.newest[vote.address] = vote


def place(vote: Vote) -> tuple[int, int, VoteType]:
    """Return where a vote stands: votes are ordered by height, round and type."""
    return vote.height, vote.round, vote.type
