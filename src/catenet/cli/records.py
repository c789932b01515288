"""Records of a journal for people and for programs; votes come with all that is needed to verify them."""

from collections.abc import Mapping, Sequence
from typing import assert_never

from catenet.chain.commit import BlockID, Commit, Flag
from catenet.chain.vote import Vote
from catenet.cli.output import table
from catenet.types.batch import batch_digest
from catenet.types.records import (
    BatchRecord,
    CheckpointRecord,
    CommitRecord,
    EvidenceRecord,
    ExecutedRecord,
    ForkRecord,
    IncarnationRecord,
    PolkaRecord,
    ProposalRecord,
    Record,
    RejoinRecord,
    RoundCertRecord,
    VoteRecord,
)

Shown = dict[str, object]


def describe(record: Record) -> Shown:
    """Return a record as JSON shows it; `kind` says what it is."""
    match record:
        case VoteRecord(vote=vote):
            return {"kind": "vote", **vote_value(vote)}
        case ProposalRecord(proposal=proposal):
            signed = proposal.signed
            return {
                "kind": "proposal",
                "height": signed.height,
                "round": signed.round,
                "pol_round": signed.pol_round,
                "block": block_value(signed.block_id),
                "time_ns": signed.time_ns,
                "signature": signed.signature.hex().upper(),
                "polka": [] if proposal.pol is None else [vote_value(vote) for vote in proposal.pol.votes],
            }
        case PolkaRecord(votes=votes):
            return {"kind": "polka", **_votes_value(votes), "block": block_value(votes[0].block_id)}
        case RoundCertRecord(votes=votes):
            return {"kind": "round_cert", **_votes_value(votes)}
        case CommitRecord(height=height, commit=commit):
            value: Shown = {"kind": "commit", "height": height, "round": commit.round}
            return {**value, "block": block_value(commit.block_id), "votes": _commit_votes(commit)}
        case _:
            return _describe_rest(record)


def _describe_rest(
    record: BatchRecord
    | ExecutedRecord
    | CheckpointRecord
    | IncarnationRecord
    | RejoinRecord
    | ForkRecord
    | EvidenceRecord,
) -> Shown:
    match record:
        case BatchRecord(author=author, batch=batch):
            return {
                "kind": "batch",
                "author": author.hex().upper(),
                "incarnation": batch.incarnation,
                "seq": batch.seq,
                "digest": batch_digest(author, batch).hex().upper(),
                "bytes": len(batch.payload),
            }
        case ExecutedRecord(height=height, outcome=outcome):
            return {
                "kind": "executed",
                "height": height,
                "app_hash": outcome.app_hash.hex().upper(),
                "txs": len(outcome.results),
                "failed": sum(result.code != 0 for result in outcome.results),
            }
        case CheckpointRecord(height=height):
            return {"kind": "checkpoint", "height": height}
        case IncarnationRecord(incarnation=incarnation):
            return {"kind": "incarnation", "incarnation": incarnation}
        case RejoinRecord(height=height):
            return {"kind": "rejoin", "height": height or None, "signs_above": height or None}
        case ForkRecord(height=height):
            return {"kind": "fork", "height": height}
        case EvidenceRecord(evidence=evidence):
            return {"kind": "evidence", "bytes": evidence.hex().upper()}
        case _:
            assert_never(record)


def vote_value(vote: Vote) -> Shown:
    """Return a vote with everything that its signature covers, and the signature."""
    return {
        "height": vote.height,
        "round": vote.round,
        "type": vote.type.name.lower(),
        "block": None if vote.is_nil else block_value(vote.block_id),
        "time_ns": vote.time_ns,
        "address": vote.address.hex().upper(),
        "index": vote.index,
        "signature": vote.signature.hex().upper(),
    }


def block_value(block_id: BlockID) -> Shown:
    """Return a block id: hash, and the parts it was cut into."""
    parts = block_id.parts
    return {"hash": block_id.hash.hex().upper(), "parts": parts.total, "parts_hash": parts.hash.hex().upper()}


def _votes_value(votes: Sequence[Vote]) -> Shown:
    first = votes[0]
    return {"height": first.height, "round": first.round, "votes": [vote_value(vote) for vote in votes]}


def _commit_votes(commit: Commit) -> list[Shown]:
    entries = enumerate(commit.signatures)
    return [vote_value(commit.vote(index)) for index, entry in entries if entry.flag is not Flag.ABSENT]


def line(place: Mapping[str, object], shown: Shown) -> str:
    """Return one record as a line: place, kind, height/round, and what identifies it."""
    at = f"{place['file']}:{place['offset']}"
    kind = str(shown["type"] if shown["kind"] == "vote" else shown["kind"])
    where = str(shown.get("height") or "-")
    where += f"/{shown['round']}" if "round" in shown else ""
    return table([(at.ljust(26), kind.ljust(11), where.ljust(9), _words(shown))])


def _words(shown: Shown) -> str:
    match shown["kind"]:
        case "vote":
            return f"{_short(shown['block'])} by {str(shown['address'])[:8]}"
        case "proposal":
            return f"{_short(shown['block'])} pol_round {shown['pol_round']}"
        case "polka" | "round_cert" | "commit":
            votes = shown["votes"]
            assert isinstance(votes, list)
            block = f"{_short(shown['block'])} " if "block" in shown else ""
            return f"{block}by {', '.join(str(vote['address'])[:8] for vote in votes)}"
        case "batch":
            of = f"{str(shown['author'])[:8]} #{shown['seq']} of {shown['incarnation']}"
            return f"{of}, {shown['bytes']} bytes"
        case "executed":
            return f"app hash {str(shown['app_hash'])[:12]}, {shown['txs']} txs, {shown['failed']} failed"
        case "rejoin":
            above = shown["signs_above"]
            return "waits for the others' heights" if above is None else f"signs above {above}"
        case "incarnation":
            return str(shown["incarnation"])
        case "evidence":
            return f"{len(str(shown['bytes'])) // 2} bytes"
        case _:
            return ""


def _short(block: object) -> str:
    return str(block["hash"])[:12] if isinstance(block, dict) else "nil"
