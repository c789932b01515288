"""The bounds of the public services, in one table. Each refusal names the bound it met."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one caller may ask for at once."""

    tx_bytes: int = 256 * 1024
    """One transaction (consensus.md 5.2 D1)."""

    batch_txs: int = 10_000
    """Transactions in one `TransactionBatch`."""

    batch_bytes: int = 1024 * 1024
    """Bytes of one `TransactionBatch`."""

    stream_batches: int = 64
    """Batches of one stream in processing; the next one is not read before one of them is answered."""

    stream_bytes: int = 4 * 1024 * 1024
    """Bytes of those batches, or one batch."""

    summary_bytes: int = 1024 * 1024
    """Acknowledgements listed in one `BatchSummary`; its counts are complete all the same."""

    items: int = 10_000
    """Ids or queries in one request."""

    answer_bytes: int = 4 * 1024 * 1024 - 64 * 1024
    """One answer; gRPC clients refuse messages above 4 MiB unless told otherwise."""

    read_bytes: int = 64 * 1024 * 1024
    """Bytes of blocks read from disk for one answer."""

    submit_s: float = 60.0
    """How long a submission may wait for its level."""
