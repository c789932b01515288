"""Names for the plain bytes and integers that identify things. No behaviour lives here."""

from typing import TypeAlias

Address: TypeAlias = bytes
"""20 bytes: the address of a validator's vote key; of an observer, of its node key. Also names a peer."""

TxId: TypeAlias = bytes
"""32 bytes: sha256 of the transaction."""

Digest: TypeAlias = bytes
"""32 bytes: the digest of a batch (`catenet.types.batch`)."""

Ticket: TypeAlias = int
"""Names one submission of transactions by a client of this node, for its acknowledgements."""

RequestId: TypeAlias = int
"""Names one request of the core to the outside (application, fetch, sync), echoed by its answer."""
