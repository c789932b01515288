"""The client for scripts: the verbs of `sdk.Client`, blocking. Not for programs that run an event loop."""

import asyncio
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from catenet.client.sdk import Client
from catenet.client.submit import OnAck
from catenet.client.values import Block, Receipt, Status, StreamSummary, SubmitResult, Transaction
from catenet.types.application import QueryResult
from catenet.types.events import Level
from catenet.types.ids import TxId


class SyncClient:
    """A `Client` with its own event loop, which runs only while a verb does. Use it as a context manager."""

    def __init__(
        self,
        targets: Sequence[str],
        *,
        tls_ca: Path | None = None,
        tls_server_name: str | None = None,
        timeout_s: float = 30.0,
        attempt_timeout_s: float = 10.0,
    ) -> None:
        """Take what `Client` takes."""
        self._client = Client(
            targets,
            tls_ca=tls_ca,
            tls_server_name=tls_server_name,
            timeout_s=timeout_s,
            attempt_timeout_s=attempt_timeout_s,
        )
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        """Start."""
        self._runner.get_loop()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections and the loop."""
        self._runner.run(self._client.__aexit__(kind, error, trace))
        self._runner.close()

    def send(self, tx: bytes, level: Level = Level.REPLICATED, *, timeout_s: float | None = None) -> Receipt:
        """Do `Client.send`."""
        return self._runner.run(self._client.send(tx, level, timeout_s=timeout_s))

    def submit(
        self, txs: Sequence[bytes], level: Level = Level.REPLICATED, *, timeout_s: float | None = None
    ) -> SubmitResult:
        """Do `Client.submit`."""
        return self._runner.run(self._client.submit(txs, level, timeout_s=timeout_s))

    def submit_stream(
        self, txs: Iterable[bytes], level: Level = Level.REPLICATED, *, on_ack: OnAck | None = None
    ) -> StreamSummary:
        """Do `Client.submit_stream`."""
        return self._runner.run(self._client.submit_stream(txs, level, on_ack=on_ack))

    def wait(self, tx_id: TxId, *, timeout_s: float | None = None) -> Transaction:
        """Do `Client.wait`."""
        return self._runner.run(self._client.wait(tx_id, timeout_s=timeout_s))

    def transaction(self, tx_id: TxId, *, prove: bool = False) -> Transaction:
        """Do `Client.transaction`."""
        return self._runner.run(self._client.transaction(tx_id, prove=prove))

    def transactions(self, tx_ids: Sequence[TxId]) -> list[Transaction]:
        """Do `Client.transactions`."""
        return self._runner.run(self._client.transactions(tx_ids))

    def block(self, which: int | bytes | None = None) -> Block:
        """Do `Client.block`."""
        return self._runner.run(self._client.block(which))

    def blocks(
        self, start: int = 1, end: int | None = None, *, raw: bool = False
    ) -> Generator[Block, None, None]:
        """Do `Client.blocks`; without `end` the iterator waits for new blocks for ever."""
        stream = self._client.blocks(start, end, raw=raw)

        async def step() -> Block | None:
            return await anext(stream, None)

        try:
            while (block := self._runner.run(step())) is not None:
                yield block
        finally:
            self._runner.run(stream.aclose())

    def status(self, *, timeout_s: float | None = None) -> Status:
        """Do `Client.status`."""
        return self._runner.run(self._client.status(timeout_s=timeout_s))

    def query(
        self, path: str, data: bytes, *, linearizable: bool = False, min_height: int = 0
    ) -> QueryResult:
        """Do `Client.query`."""
        return self._runner.run(
            self._client.query(path, data, linearizable=linearizable, min_height=min_height)
        )

    def query_many(
        self, path: str, data: Sequence[bytes], *, linearizable: bool = False, min_height: int = 0
    ) -> list[QueryResult]:
        """Do `Client.query_many`."""
        return self._runner.run(
            self._client.query_many(path, data, linearizable=linearizable, min_height=min_height)
        )
