"""What happened in a run, as lines for people: who said what to whom and when, who signed, decided, crashed.

Only told on request; it changes nothing about the run.
"""

from dataclasses import dataclass
from typing import assert_never

from catenet.chain.commit import BlockID
from catenet.chain.vote import Proposal, Vote
from catenet.types.messages import (
    BatchMessage,
    CommittedBlock,
    EvidenceMessage,
    Have,
    Message,
    Ping,
    ProposalMessage,
    Skip,
    Status,
    VoteMessage,
    VoteSet,
)

QUIET = ("status", "have", "ping", "batch", "skip")
"""Kinds of messages that a story leaves out unless it tells everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that happened."""

    sent_us: int
    at_us: int
    """When it arrived, or when it happened."""
    kind: str
    """`message`, `lost`, `signs`, `decides`, `starts`, `crashes` or `fault`."""
    node: int
    peer: int = -1
    """Whom a message was for; -1: nobody."""
    text: str = ""


class Story:
    """The lines of one run, in the order in which they were told."""

    def __init__(self, *, everything: bool = False) -> None:
        self.lines: list[Line] = []
        self._everything = everything
        self._names: dict[BlockID, str] = {}

    def happened(self, at_us: int, kind: str, node: int, text: str = "") -> None:
        """Tell what a node did or what befell it."""
        self.lines.append(Line(sent_us=at_us, at_us=at_us, kind=kind, node=node, text=text))

    def arrived(self, sent_us: int, at_us: int, node: int, peer: int, message: Message) -> None:
        """Tell that what a node said has reached another."""
        self._message("message", sent_us, at_us, node, peer, message)

    def lost(self, at_us: int, node: int, peer: int, message: Message) -> None:
        """Tell that what a node said will reach nobody."""
        self._message("lost", at_us, at_us, node, peer, message)

    def _message(self, kind: str, sent_us: int, at_us: int, node: int, peer: int, message: Message) -> None:
        text = self.say(message)
        if self._everything or not text.startswith(QUIET):
            self.lines.append(Line(sent_us=sent_us, at_us=at_us, kind=kind, node=node, peer=peer, text=text))

    def name(self, block_id: BlockID) -> str:
        """Return a short name of a block: letters in the order in which they appear."""
        if block_id.is_nil:
            return "nil"
        known = self._names.get(block_id)
        if known is None:
            number, letters = len(self._names), ""
            while number >= 0:
                letters = chr(ord("A") + number % 26) + letters
                number = number // 26 - 1
            known = self._names[block_id] = letters
        return known

    def item(self, item: Vote | Proposal) -> str:
        """Return a vote or proposal in a few words."""
        place = f"{item.height}/{item.round}"
        if isinstance(item, Vote):
            return f"{item.type.name.lower()} {place} {self.name(item.block_id)}"
        again = f" polka of round {item.pol_round}" if item.pol_round >= 0 else ""
        return f"proposal {place} {self.name(item.block_id)}{again}"

    def say(self, message: Message) -> str:
        """Return a message in a few words."""
        match message:
            case VoteMessage(vote=vote):
                return f"{self.item(vote)}"
            case VoteSet(votes=votes):
                first = self.item(votes[0]) if votes else "none"
                return f"votes: {first}" + (f" and {len(votes) - 1} more" if len(votes) > 1 else "")
            case ProposalMessage(signed=signed):
                return self.item(signed)
            case CommittedBlock(commit=commit):
                return f"committed {commit.height}/{commit.round} {self.name(commit.block_id)}"
            case EvidenceMessage():
                return "evidence"
            case Status(height=height, round=round, step=step):
                return f"status {height}/{round} step {step}"
            case BatchMessage(batch=batch):
                return f"batch {batch.seq}"
            case Skip(to=to):
                return f"skip to {to}"
            case Have():
                return "have"
            case Ping():
                return "ping"
            case _:
                assert_never(message)
