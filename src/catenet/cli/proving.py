"""Checking what a node answers: a block's commit against the validators that the genesis names."""

from dataclasses import dataclass
from pathlib import Path

from catenet.chain import block as block_format
from catenet.chain.commit import Commit, Flag
from catenet.chain.encoding import DecodeError
from catenet.chain.genesis import Genesis, GenesisError
from catenet.chain.keys import PublicKey
from catenet.chain.light import InvalidCommit, verify_commit
from catenet.chain.validators import ValidatorSet
from catenet.cli.places import Network
from catenet.cli.shape import Failure
from catenet.client.values import Block, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Signers:
    """Who signed a block."""

    signed: int
    """Validators whose valid signature for the block is in its commit."""
    of: int


class Unproven(Exception):
    """An answer could not be checked, or does not hold; the text says why."""


def read_genesis(home: Path) -> Genesis:
    """Read the genesis of a node's home; fails with the path."""
    path = home / "config" / "genesis.json"
    try:
        return Genesis.from_json(path.read_text())
    except (OSError, GenesisError) as error:
        raise Failure(f"{path}: {error}") from None


def check_commit(block: Block, genesis: Genesis) -> Signers:
    """Check a block's bytes against its hash and its commit against the genesis validators.

    Raises `Unproven`, also when the chain's validators are others by then.
    """
    try:
        decoded = block_format.Block.decode(block.raw)
        commit = Commit.decode(block.commit)
    except DecodeError as error:
        raise Unproven(f"block {block.height} does not read: {error}") from None
    header = decoded.header
    members = ValidatorSet.new(genesis.members())
    if header.validators_hash != members.hash():
        raise Unproven(f"the validators of height {header.height} are not those of the genesis")
    if header.chain_id != genesis.chain_id:
        raise Unproven(f"block {header.height} is of chain {header.chain_id!r}, not {genesis.chain_id!r}")
    block_id = block_format.block_id(block.raw, header)
    if block_id.hash != block.hash:
        raise Unproven(f"block {header.height} hashes to {block_id.hash.hex()}, not {block.hash.hex()}")
    try:
        verify_commit(genesis.chain_id, members, block_id, block.height, commit, PublicKey.verify)
    except InvalidCommit as error:
        raise Unproven(f"the commit of block {block.height} does not hold: {error}") from None
    return Signers(signed=sum(entry.flag is Flag.COMMIT for entry in commit.signatures), of=len(members))


def check_inclusion(transaction: Transaction, block: Block) -> None:
    """Check that a transaction is in a block, by its Merkle proof. Raises `Unproven`."""
    header = block_format.Block.decode(block.raw).header
    proof = transaction.proof
    if (
        proof is None
        or proof.index != transaction.index
        or not proof.verify(header.data_hash, transaction.id)
    ):
        raise Unproven(f"the proof does not place transaction {transaction.id.hex()} in block {block.height}")


def trusted_genesis(network: Network | None) -> Genesis | None:
    """Return the genesis of a network on this machine; None when there is none."""
    if network is None or not network.nodes:
        return None
    return read_genesis(network.home / network.nodes[0].home)
