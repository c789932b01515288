"""The asynchronous client: one object, a few verbs, and every call survives the death of a node.

Each call goes to the current target; when that fails, to the next, with back-off, until `timeout_s` is over.
Sending the same transaction twice is harmless: its id makes it one (consensus.md 5.6).
"""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from catenet.client.values import (
    BatchReceipt,
    Block,
    Receipt,
    Status,
    StreamSummary,
    SubmitResult,
    Transaction,
)
from catenet.types.application import QueryResult
from catenet.types.events import Level
from catenet.types.ids import TxId

OnAck = Callable[[BatchReceipt], None]


class Client:
    """A connection to one network by way of any of its nodes. Use it as an asynchronous context manager."""

    def __init__(
        self,
        targets: Sequence[str],
        *,
        tls_ca: Path | None = None,
        tls_server_name: str | None = None,
        timeout_s: float = 30.0,
        attempt_timeout_s: float = 10.0,
    ) -> None:
        """Name the nodes as `host:port`; the first is used until it fails.

        `tls_ca`: PEM file with the authority of the nodes' certificates; without it there is no TLS.
        `timeout_s`: a whole call, retries included; `attempt_timeout_s`: one attempt at one node.
        """

    async def __aenter__(self) -> Self:
        """Start; connecting itself happens with the first call."""
        raise NotImplementedError

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""

    @property
    def target(self) -> str:
        """The node that the next call goes to."""
        raise NotImplementedError

    async def send(
        self, tx: bytes, level: Level = Level.REPLICATED, *, timeout_s: float | None = None
    ) -> Receipt:
        """Hand in one transaction and wait for `level`. Raises `Rejected`, `Unavailable`, ..."""
        raise NotImplementedError

    async def submit(
        self, txs: Sequence[bytes], level: Level = Level.REPLICATED, *, timeout_s: float | None = None
    ) -> SubmitResult:
        """Hand in transactions and wait until all are at `level` or refused."""
        raise NotImplementedError

    async def submit_stream(
        self,
        txs: AsyncIterable[bytes] | Iterable[bytes],
        level: Level = Level.REPLICATED,
        *,
        on_ack: OnAck | None = None,
    ) -> StreamSummary:
        """Hand in any number of transactions, batched, with a bounded window of batches under way."""
        raise NotImplementedError

    async def submit_batches(
        self,
        batches: AsyncIterable[Sequence[bytes]] | Iterable[Sequence[bytes]],
        level: Level = Level.REPLICATED,
        *,
        on_ack: OnAck | None = None,
    ) -> StreamSummary:
        """`submit_stream` for a caller with batches of its own (up to 1 MiB and 10,000 transactions each)."""
        raise NotImplementedError

    async def wait(self, tx_id: TxId, *, timeout_s: float | None = None) -> Transaction:
        """Wait until a transaction is in a final block. Raises `Unavailable` when the time is over."""
        raise NotImplementedError

    async def transaction(self, tx_id: TxId, *, prove: bool = False) -> Transaction:
        """Look a transaction up; `found` and `pending` say what is known."""
        raise NotImplementedError

    async def transactions(self, tx_ids: Sequence[TxId]) -> list[Transaction]:
        """Look transactions up, any number, in order."""
        raise NotImplementedError

    async def block(self, which: int | bytes | None = None) -> Block:
        """Return a block with raw bytes and commit: by height, by hash, or the newest. Raises `NotFound`."""
        raise NotImplementedError

    def blocks(self, start: int = 1, end: int | None = None, *, raw: bool = False) -> AsyncIterator[Block]:
        """Yield each block from `start` on exactly once, in order, whatever node fails meanwhile.

        Ends after `end`; without it stays open for new blocks.
        """
        raise NotImplementedError

    async def status(self, *, timeout_s: float | None = None) -> Status:
        """Ask the current target how it stands."""
        raise NotImplementedError

    async def query(self, path: str, data: bytes) -> QueryResult:
        """Ask the application's committed state."""
        raise NotImplementedError

    async def query_many(self, path: str, data: Sequence[bytes]) -> list[QueryResult]:
        """Ask the application's committed state for any number of things, in order."""
        raise NotImplementedError
