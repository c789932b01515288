"""What a node keeps on disk: journal and guard read at the start of a life, and copies of the whole home."""

from collections.abc import Callable

from catenet.chain.keys import PrivateKey
from catenet.core.guard import GuardState, raised_by, rejoin_height
from catenet.node.outbox import Outbox
from catenet.node.signer import Signer
from catenet.testing.simulator.chain_store import ChainStore, MemoryState
from catenet.testing.simulator.codec import decode_record, encode_record
from catenet.testing.simulator.disk import Disk
from catenet.testing.simulator.journals import Journals
from catenet.types.records import Record, RejoinRecord, VoteRecord


def open_journal(
    disk: Disk, outbox: Outbox, *, key: PrivateKey, chain_id: str, journals: Journals
) -> tuple[list[Record], Signer]:
    """Read journal and guard, and bring them to agree (consensus.md 4, restart step 3)."""
    records = [decode_record(data) for data in disk.records]
    votes = [record.vote for record in records if isinstance(record, VoteRecord)]
    state = GuardState.decode(disk.guard or b"")
    lost = state.height > 0 and not records
    new: list[Record] = []
    if lost:
        # The lock is not known any more: nothing is signed up to the height of the guard.
        new.append(RejoinRecord(height=state.height))
    last = state.vote()
    if last is not None and last not in votes:
        new.append(VoteRecord(vote=last))
    for record in new:
        outbox.append(encode_record(record))
    records += new
    raised = raised_by(state, records, chain_id)
    if raised != state:
        outbox.guard(raised.encode())
    address = key.public.address
    journals.opened(address, lost=lost)
    for record in records:
        journals.appended(address, record)
    return records, Signer(key=key, chain_id=chain_id, state=raised, rejoin_height=rejoin_height(records))


def back_up(disk: Disk, chain: ChainStore, state: MemoryState) -> Callable[[], None]:
    """Copy a home, as an operator does; return what puts the copy back while the node is down."""
    records, guard = list(disk.records), disk.guard
    restore_chain, restore_state = chain.back_up(), state.back_up()

    def restore() -> None:
        disk.records, disk.guard = list(records), guard
        restore_chain()
        restore_state()

    return restore
