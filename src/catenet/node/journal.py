"""Journal and guard at start: opened together, read, and brought to agree (consensus.md 4, step 3).

What a home signed may not be known any more. Then nothing is signed that might contradict it: above the
guard's height only when the journal is lost or was cut, above a height that the others name when both are.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from catenet.chain.encoding import DecodeError
from catenet.chain.keys import PrivateKey
from catenet.chain.state import ChainState
from catenet.chain.vote import Vote, VoteType
from catenet.core.guard import NEVER, GuardState, raised_by, rejoin_height
from catenet.node.signer import Signer
from catenet.storage.guard_file import GuardFile, exported
from catenet.storage.home import Home
from catenet.storage.safety import (
    Found,
    Mark,
    Safety,
    is_blank,
    open_safety,
    put_aside,
    read_marks,
    write_marks,
)
from catenet.types.errors import Corrupt, WrongState
from catenet.types.records import (
    CommitRecord,
    ForkRecord,
    PolkaRecord,
    ProposalRecord,
    Record,
    RejoinRecord,
    RoundCertRecord,
    VoteRecord,
    standing,
)
from catenet.wire.records import decode_record, encode_record

log = logging.getLogger(__name__)

RISK = (
    "The risk: blocks that are lost here are made again, differently; whoever saw the old ones can prove it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What a home knows of its past, and the signer that follows from it."""

    home: Home
    safety: Safety
    records: Sequence[Record]
    signer: Signer
    was_lost: bool
    """Something of this home was lost or cut: what is derived may be ahead of what is left."""

    def settle(self) -> None:
        """Forget what repairs left to be known: what follows from it is on disk."""
        write_marks(self.home, frozenset())

    def close(self) -> None:
        """Close journal and guard."""
        self.safety.close()


def others_decide(state: ChainState, key: PrivateKey) -> bool:
    """Whether the other validators are a quorum without this one: then it can wait until it may sign."""
    own = state.validators.by_address(key.public.address)
    rest = state.validators.total_power - (0 if own is None else own.power)
    return state.validators.two_thirds(rest)


def needs_operator(
    state: ChainState, key: PrivateKey, guard: GuardState, records: Sequence[Record], *, cut: bool
) -> bool:
    """Whether only the operator can say how a home goes on; `cut`: its journal was lost or cut.

    Never where the others decide without it: they go on while it waits until it may sign. Where they do not,
    a cut journal may lack a vote of a height that is not over yet. And the only validator of its network can
    never again decide a height of which neither block nor votes are left.
    """
    if others_decide(state, key):
        return False
    head = _head(state, records)
    signed = max([guard.height, *[r.vote.height for r in records if isinstance(r, VoteRecord)]])
    alone = len(state.validators) == 1
    return (cut and signed > head) or (alone and max(signed, rejoin_height(records) + 1) > head + 1)


def _head(state: ChainState, records: Sequence[Record]) -> int:
    """Return the newest height whose block is stored, or is decided in the journal like all before it."""
    decided = {record.height for record in records if isinstance(record, CommitRecord)}
    head = state.last_height
    while head + 1 in decided:
        head += 1
    return head


def open_journal(home: Home, *, state: ChainState, key: PrivateKey) -> Journal:
    """Open a home's journal and guard; `state` is the one after its newest stored block.

    Raises `Corrupt` with file, offset and the repair command, and `WrongState` when what this key signed is
    not known and only the operator can say how to go on.
    """
    marks = read_marks(home)
    if forgot_all(home, state.chain_id) and Mark.FORK not in marks:
        raise WrongState(_lost_both(home, state, key))
    safety = open_safety(home)
    if safety.guard.retired:
        raise WrongState(exported(home.guard))
    if safety.found not in (Found.FRESH, Found.INTACT):
        log.warning("journal_or_guard_lost", extra={"found": safety.found.value})
    records = _read(safety)
    guard = _guard_state(home, safety)
    cut = was_cut(safety, guard, records)
    asks = needs_operator(state, key, guard, records, cut=cut)
    if asks and Mark.FORK not in marks:
        raise WrongState(_only_the_operator(home, state, guard))
    if asks:
        safety, guard, records = _accept_fork(home, safety, guard, records, state)
    else:
        new = _consequences(guard, records, cut=cut)
        _keep(safety, new)
        records = [*records, *new]
    # Before the first signature, and after journal and guard exist: else a crash would look like a loss.
    home.note_signing(state.chain_id)
    raised = raised_by(guard, records, state.chain_id)
    if raised != guard:
        # What the journal holds is said again: the file must know of it, also when the journal is lost next.
        safety.guard.write(raised.encode())
    barred = rejoin_height(records)
    signer = Signer(key=key, chain_id=state.chain_id, state=raised, rejoin_height=barred)
    was_lost = cut or bool(barred) or bool(marks)
    return Journal(home=home, safety=safety, records=records, signer=signer, was_lost=was_lost)


def was_cut(safety: Safety, guard: GuardState, records: Sequence[Record]) -> bool:
    """Whether the journal was lost or cut: what the key signed may not be in it."""
    if safety.found is Found.INTACT:
        # A crash right after a lost journal was made anew: the guard signed, and nothing tells what.
        return guard.height > 0 and not records
    return safety.found in (Found.JOURNAL_LOST, Found.REPAIRED)


def forgot_all(home: Home, chain_id: str) -> bool:
    """Whether a home signed, and neither journal nor guard can say what. Raises `Corrupt`.

    A journal that was cut and has no guard beside it any more says too little as well.
    """
    if Mark.JOURNAL in read_marks(home) and not home.guard.exists():
        return True
    return home.has_signed(chain_id) and is_blank(home)


def _read(safety: Safety) -> list[Record]:
    records: list[Record] = []
    for position, data in safety.journal.records():
        try:
            records.append(decode_record(data))
        except Corrupt as error:
            # Its checksum is right, so it was written so: by another version, or by a bug.
            raise Corrupt(f"{safety.journal.directory} at {position}: {error}") from None
    return standing(records)


def _keep(safety: Safety, records: Sequence[Record]) -> None:
    if records:
        safety.journal.append([encode_record(record) for record in records])
        safety.journal.sync()


def _guard_state(home: Home, safety: Safety) -> GuardState:
    try:
        return GuardState.decode(safety.guard.state)
    except DecodeError as error:
        raise Corrupt(f"{home.guard}: the guard's state does not parse: {error}") from None


def _consequences(guard: GuardState, records: Sequence[Record], *, cut: bool) -> list[Record]:
    """Return what the journal has to learn from the guard, and from what happened to it."""
    new: list[Record] = []
    if cut:
        # The lock is not known any more: nothing is signed up to the height of the guard.
        committed = max((r.height for r in records if isinstance(r, CommitRecord)), default=0)
        new.append(RejoinRecord(height=max(guard.height, committed, 1)))
        if rejoin_height(records) == NEVER:
            # Waiting to rejoin outlives this: the newest record counts.
            new.append(RejoinRecord(height=0))
    new.extend(_lost_vote(guard, records))
    return new


def _lost_vote(guard: GuardState, records: Sequence[Record]) -> list[Record]:
    """Return the guard's vote when the journal lacks it: its slot was durable, the record was cut.

    A round certificate with the own vote in it, and no record of that vote, is what `_accept_fork` left.
    """
    vote = guard.vote()
    known = any(
        (isinstance(record, VoteRecord) and record.vote == vote)
        or (isinstance(record, RoundCertRecord) and vote in record.votes)
        for record in records
    )
    return [] if vote is None or known else [VoteRecord(vote=vote)]


# What only the operator can decide: without this validator nothing is committed, so it cannot wait.


def _accept_fork(
    home: Home, safety: Safety, guard: GuardState, records: Sequence[Record], state: ChainState
) -> tuple[Safety, GuardState, list[Record]]:
    """Go on from what is left here, as the operator accepted; return guard and records from here on.

    A validator beside others keeps its guard, and with it the vote that the guard remembers. The only one of
    its network has decided every block that it precommitted; what it cannot show any more is given up.
    """
    head = _head(state, records)
    log.warning("fork_accepted", extra={"height": head, "signed_height": guard.height})
    alone = len(state.validators) == 1
    fork = ForkRecord(height=head + 1 if alone else NEVER)
    records = standing([*records, fork])
    new: list[Record] = [fork]
    fresh = alone and guard.height > head + 1
    if not fresh:
        new.extend(_given_up(guard, records) if alone else _lost_vote(guard, records))
    # Before the guard is gone: whoever finds the journal without it must not take these records for standing.
    _keep(safety, new)
    records.extend(new[1:])
    if fresh:
        # More than one block is lost: the guard would refuse the heights in between for ever.
        log_id = safety.guard.log_id
        safety.guard.close()
        put_aside(home.guard)
        guard = GuardState()
        safety = replace(safety, guard=GuardFile.create(home.guard, log_id))
    return safety, guard, records


def _given_up(guard: GuardState, records: Sequence[Record]) -> list[Record]:
    vote = guard.vote()
    if vote is None or not _decides(vote) or _holds_block(records, vote):
        return _lost_vote(guard, records)
    # Its block is lost. The precommit alone ends its round: the height goes on in the next one, unlocked, and
    # no height, round and step is signed twice.
    return [RoundCertRecord(votes=(vote,))]


def _decides(vote: Vote) -> bool:
    return vote.type is VoteType.PRECOMMIT and not vote.is_nil


def _holds_block(records: Sequence[Record], vote: Vote) -> bool:
    for record in records:
        match record:
            case ProposalRecord(proposal=proposal) if proposal.signed.block_id == vote.block_id:
                return True
            case PolkaRecord(votes=votes) if votes[0].block_id == vote.block_id:
                return True
            case _:
                pass
    return False


def _lost_both(home: Home, state: ChainState, key: PrivateKey) -> str:
    if others_decide(state, key):
        remedy = f"have it ask the other validators first: catenet rejoin --home {home.root}"
    else:
        remedy = _flag(home)
    return (
        f"{remedy}. This key has signed for chain {state.chain_id} ({home.signed_chains} says so), but "
        f"journal and guard in {home.data} are gone or cut: what it signed is not known"
    )


def _only_the_operator(home: Home, state: ChainState, guard: GuardState) -> str:
    return (
        f"{_flag(home)}. Without this validator nothing is committed, so it cannot wait: journal or blocks "
        f"were lost or cut, its guard has signed height {guard.height}, and {state.last_height} blocks are "
        "here. "
        f"{RISK}"
    )


def _flag(home: Home) -> str:
    return (
        "restore a complete newer copy of the home, or else accept the risk: "
        f"catenet repair --accept-fork --home {home.root}"
    )
