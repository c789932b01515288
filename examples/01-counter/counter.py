"""The smallest application: it counts transactions. `app = "counter:Counter"` runs it."""

from hashlib import sha256

from catenet.types.application import OK, Application, BlockOutcome, FinalizeBlock, Query, QueryResult


class Counter(Application):
    """Counts transactions; any query answers with the count."""

    def __init__(self) -> None:
        self.count = 0

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        """Count the block's transactions. The same blocks give the same hash on every node."""
        self.count += len(request.txs)
        app_hash = sha256(str(self.count).encode()).digest()
        return BlockOutcome(results=(OK,) * len(request.txs), app_hash=app_hash)

    def query(self, request: Query) -> QueryResult:
        """Return the count."""
        return QueryResult(key=request.data, value=str(self.count).encode())
