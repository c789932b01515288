"""What journals of stopped nodes say that was signed, by whom: for a trial over double signatures."""

from collections.abc import Sequence
from pathlib import Path

from catenet.chain.commit import Flag
from catenet.chain.vote import Vote, VoteType
from catenet.storage import inspect
from catenet.storage.home import Home
from catenet.types.records import (
    CommitRecord,
    PolkaRecord,
    ProposalRecord,
    Record,
    RoundCertRecord,
    VoteRecord,
)
from catenet.wire.records import decode_record

Place = tuple[bytes, int, int, VoteType]
"""Validator, height, round and type of a vote."""


def records_of(home: Path) -> list[Record]:
    """Return the records of a stopped node's journal, up to a torn end."""
    found: list[Record] = []
    for group in inspect.groups(Home(home).journal):
        if isinstance(group, inspect.Stop):
            assert group.is_torn, group
            break
        found.extend([decode_record(data) for data in group.records])
    return found


def own_votes(home: Path) -> list[Vote]:
    """Return what the node of a home signed, by its journal."""
    return [record.vote for record in records_of(home) if isinstance(record, VoteRecord)]


def votes_of(record: Record) -> Sequence[Vote]:
    """Return all votes that a record shows, own and foreign."""
    match record:
        case VoteRecord(vote=vote):
            return (vote,)
        case PolkaRecord(votes=votes) | RoundCertRecord(votes=votes):
            return votes
        case ProposalRecord(proposal=proposal):
            return () if proposal.pol is None else proposal.pol.votes
        case CommitRecord(commit=commit):
            entries = enumerate(commit.signatures)
            return [commit.vote(index) for index, entry in entries if entry.flag is not Flag.ABSENT]
        case _:
            return ()


def conflicts(homes: Sequence[Path]) -> list[Place]:
    """Return the places at which a validator signed two things, by the journals in these homes."""
    seen: dict[Place, set[bytes]] = {}
    for home in homes:
        for record in records_of(home):
            for vote in votes_of(record):
                place = (vote.address, vote.height, vote.round, vote.type)
                seen.setdefault(place, set()).add(vote.block_id.encode())
    assert len(seen) > 20, "there are votes to compare"
    return [place for place, ids in seen.items() if len(ids) > 1]
