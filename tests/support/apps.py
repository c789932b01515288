"""A state store in memory with the contract of `types.ports.StateStore`, and requests for applications."""

from collections.abc import Iterable, Sequence

from catenet.types.application import CommitInfo, FinalizeBlock


class MemoryState:
    """Ordered bytes to bytes; a write is all or nothing."""

    def __init__(self) -> None:
        self.height = 0
        self.values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.values.get(key)

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        return [self.values.get(key) for key in keys]

    def items(self, prefix: bytes, after: bytes = b"", limit: int = 100) -> Sequence[tuple[bytes, bytes]]:
        found = [
            item for item in sorted(self.values.items()) if item[0].startswith(prefix) and item[0] > after
        ]
        return found[:limit]

    def write(self, height: int, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        for key, value in changes:
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value
        self.height = height


def block(height: int, *txs: bytes) -> FinalizeBlock:
    """Return a decided block for an application."""
    return FinalizeBlock(
        txs=txs,
        last_commit=CommitInfo(round=0, votes=()),
        misbehavior=(),
        hash=bytes(32),
        height=height,
        time_ns=height * 10**9,
        next_validators_hash=bytes(32),
        proposer_address=bytes(20),
    )
