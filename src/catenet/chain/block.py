"""Blocks: their bytes, parts and identity (chain-format.md 1.3, 1.5). Rules of validity are in `state`.

Splitting, joining and hashing transactions is on the hot path: plain loops, one bytes object for each.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from catenet.chain import evidence as evidence_format
from catenet.chain import merkle
from catenet.chain.block_id import BlockID, PartSetHeader
from catenet.chain.commit import Commit
from catenet.chain.encoding import DecodeError, Message, message_field, read_uvarint, uvarint
from catenet.chain.evidence import Evidence
from catenet.chain.header import Header

PART_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A whole block."""

    header: Header
    txs: Sequence[bytes]
    evidence: tuple[Evidence, ...]
    last_commit: Commit

    def encode(self) -> bytes:
        """Return the canonical bytes: those that are stored, served, cut into parts."""
        return encode_block(
            self.header.encode(),
            encode_txs(self.txs),
            evidence_format.encode_list(self.evidence),
            self.last_commit.encode(),
        )

    @classmethod
    def decode(cls, data: bytes) -> "Block":
        """Read canonical bytes; raises `DecodeError`."""
        message = Message(data, pieces=(1, 2, 3, 4))
        return cls(
            header=Header.decode(message.message(1)),
            txs=split_txs(message.message(2)),
            evidence=evidence_format.decode_list(message.message(3)),
            last_commit=Commit.decode(message.message(4)),
        )


def encode_block(header: bytes, data: bytes, evidence: bytes, commit: bytes) -> bytes:
    """Return a block's bytes from those of header, `Data`, `EvidenceList` and last commit."""
    return b"".join(
        (
            b"\x0a",
            uvarint(len(header)),
            header,
            b"\x12",
            uvarint(len(data)),
            data,
            message_field(3, evidence),
            message_field(4, commit),
        )
    )


def encode_txs(txs: Iterable[bytes]) -> bytes:
    """Return the bytes of `Data`; an empty transaction still has its key."""
    heads: dict[int, bytes] = {}
    pieces: list[bytes] = []
    append = pieces.append
    for tx in txs:
        size = len(tx)
        head = heads.get(size)
        if head is None:
            head = heads[size] = b"\x0a" + uvarint(size)
        append(head)
        append(tx)
    return b"".join(pieces)


def split_txs(data: bytes) -> list[bytes]:
    """Return the transactions of the bytes of `Data`; raises `DecodeError` unless these are canonical."""
    txs: list[bytes] = []
    append = txs.append
    pos, end = 0, len(data)
    try:
        while pos < end:
            if data[pos] != 0x0A:
                raise DecodeError(f"field key {data[pos]:#x} among transactions")
            size = data[pos + 1]
            start = pos + 2
            if size >= 0x80:
                high = data[start]
                if 0 < high < 0x80:
                    size = size & 0x7F | high << 7
                    start += 1
                else:
                    size, start = read_uvarint(data, pos + 1)
            pos = start + size
            append(data[start:pos])
    except IndexError:
        raise DecodeError("truncated transaction") from None
    if pos != end:
        raise DecodeError("truncated transaction")
    return txs


def data_hash(tx_hashes: Iterable[bytes]) -> bytes:
    """Return the `data_hash` of a header from the transactions' hashes (their ids), in order."""
    return merkle.root_of_hashes([sha256(b"\0" + tx_hash).digest() for tx_hash in tx_hashes])


def part_set_header(raw: bytes) -> PartSetHeader:
    """Return number and root of the 64 KiB parts of a block's bytes."""
    leaves = []
    with memoryview(raw) as view:
        for start in range(0, len(raw), PART_BYTES):
            digest = sha256(b"\0")
            digest.update(view[start : start + PART_BYTES])
            leaves.append(digest.digest())
    return PartSetHeader(total=len(leaves), hash=merkle.root_of_hashes(leaves))


def block_id(raw: bytes, header: Header) -> BlockID:
    """Return the identity of a block: the hash of its header and its part set."""
    return BlockID(hash=header.hash(), parts=part_set_header(raw))
