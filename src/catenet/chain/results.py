"""The hash over what executing a block's transactions gave (chain-format.md 1.5)."""

from collections.abc import Iterable

from catenet.chain import merkle
from catenet.chain.encoding import bytes_field, int_field


def result_bytes(code: int, data: bytes, gas_wanted: int, gas_used: int) -> bytes:
    """Return the hashed part of one result; log, info, events and codespace are not in it."""
    return int_field(1, code) + bytes_field(2, data) + int_field(5, gas_wanted) + int_field(6, gas_used)


def results_hash(results: Iterable[tuple[int, bytes, int, int]]) -> bytes:
    """Return the `last_results_hash` of the next header from (code, data, gas_wanted, gas_used) in order."""
    # Most results of a block are equal: each distinct one is hashed once.
    known: dict[tuple[int, bytes, int, int], bytes] = {}
    leaves = []
    for result in results:
        leaf = known.get(result)
        if leaf is None:
            leaf = known[result] = merkle.leaf_hash(result_bytes(*result))
        leaves.append(leaf)
    return merkle.root_of_hashes(leaves)
