"""Journal and guard at start: opened together, read, and brought to agree (consensus.md 4, step 3)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from catenet.chain.encoding import DecodeError
from catenet.chain.keys import PrivateKey
from catenet.core.guard import GuardState, raised
from catenet.node.signer import Signer
from catenet.storage.home import Home
from catenet.storage.safety import Found, Safety, open_safety
from catenet.types.errors import Corrupt
from catenet.types.records import CommitRecord, Record, RejoinRecord, VoteRecord
from catenet.wire.records import decode_record, encode_record

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What a home knows of its past, and the signer that follows from it."""

    safety: Safety
    records: Sequence[Record]
    signer: Signer
    kept_records: Sequence[Record]
    """To be kept for ever: above which height this home may sign."""

    def close(self) -> None:
        """Close journal and guard."""
        self.safety.close()


def open_journal(home: Home, *, chain_id: str, key: PrivateKey) -> Journal:
    """Open a home's journal and guard. Raises `Corrupt` with file, offset and the repair command."""
    safety = open_safety(home)
    if safety.found not in (Found.FRESH, Found.INTACT):
        log.warning("journal_or_guard_lost", extra={"found": safety.found.value})
    records = _read(safety)
    try:
        state = GuardState.decode(safety.guard.state)
    except DecodeError as error:
        raise Corrupt(f"{home.guard}: the guard's state does not parse: {error}") from None
    found = safety.found
    if found is Found.INTACT and state.height and not records:
        # A crash right after a lost journal was made anew: the guard signed, and nothing tells what.
        found = Found.JOURNAL_LOST
    votes = [record.vote for record in records if isinstance(record, VoteRecord)]
    new: list[Record] = []
    if found in (Found.JOURNAL_LOST, Found.REPAIRED):
        # The lock is not known any more: nothing is signed up to the height of the guard.
        committed = max((r.height for r in records if isinstance(r, CommitRecord)), default=0)
        new.append(RejoinRecord(height=max(state.height, committed)))
    guard_vote = state.vote()
    if guard_vote is not None and guard_vote not in votes:
        # A cut tail: the guard's slot was durable, the journal's record was not.
        new.append(VoteRecord(vote=guard_vote))
    if new:
        safety.journal.append([encode_record(record) for record in new])
        safety.journal.sync()
    if safety.found is Found.REPAIRED:
        safety.settle_repair()
    for vote in votes:
        state = raised(state, vote, chain_id)
    rejoin = max((r.height for r in [*records, *new] if isinstance(r, RejoinRecord)), default=0)
    signer = Signer(key=key, chain_id=chain_id, state=state, rejoin_height=rejoin)
    return Journal(
        safety=safety,
        records=[*records, *new],
        signer=signer,
        kept_records=[RejoinRecord(height=rejoin)] if rejoin else [],
    )


def _read(safety: Safety) -> list[Record]:
    records: list[Record] = []
    for position, data in safety.journal.records():
        try:
            records.append(decode_record(data))
        except Corrupt as error:
            # Its checksum is right, so it was written so: by another version, or by a bug.
            where = f"{safety.journal.directory} at {position}"
            raise Corrupt(f"{where}: a record that does not parse: {error}") from None
    return records
