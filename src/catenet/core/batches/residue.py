"""What blocks leave out of batches that they name (D6): when it is residue, when it is sealed anew."""

from collections.abc import Sequence

from catenet.core.batches.author import Chunk
from catenet.core.batches.holders import Holders
from catenet.core.batches.store import Held, Store
from catenet.types.batch import Inline, Segment
from catenet.types.ids import Address


def note_left_out(store: Store, holders: Holders, proposer: Address, manifest: Sequence[Segment]) -> None:
    """After a decided block: what is still pending of a named batch was left out by its proposer."""
    for named in manifest:
        held = None if isinstance(named, Inline) else store.held.get(named.digest)
        if held is None or not held.open:
            continue
        held.left_out_by[proposer] = None
        power = sum([holders.powers.get(address, 0) for address in held.left_out_by])
        # D6: one proposer alone cannot turn a transaction into residue, an honest one must be among them.
        if not held.residue_at and held.digest in store.live.get(held.author, {}) and holders.third(power):
            store.make_residue(held)


def to_reseal(store: Store, me: Address) -> list[Held]:
    """Return own batches whose residue is to be sealed anew, lest it pins whole payloads (D6)."""
    oldest = store.height - store.config.reseal_heights
    return [held for held in store.residue.values() if held.author == me and held.residue_at <= oldest]


def chunk_of(store: Store, held: Held) -> Chunk:
    """Return what is pending of a batch, to be buffered again."""
    indices = store.open_txs(held)
    return Chunk(
        ticket=None,
        client="",
        txs=[held.txs[index] for index in indices],
        ids=[held.ids[index] for index in indices],
    )
