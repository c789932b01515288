"""What a forger of receipts, headers and commits can make: anything, but other validators' signatures."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256

from catenet.chain.block_id import NIL, BlockID, PartSetHeader
from catenet.chain.commit import ABSENT, Commit, CommitSig, Flag
from catenet.chain.header import Header
from catenet.chain.keys import PrivateKey, PublicKey
from catenet.chain.light import NO_EXPIRY
from catenet.chain.light_block import GenesisTrust, LightBlock
from catenet.chain.light_walk import skipping
from catenet.chain.merkle import prove
from catenet.chain.receipt import Outcome, Receipt, SignedHeader, make_receipt
from catenet.chain.results import result_bytes
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import Vote, VoteType
from support.chain import SECOND_NS, LocalChain, make_genesis, make_keys
from support.light_chains import drive

Keys = Mapping[bytes, PrivateKey]

CHANGE = 4
"""At this height the block is made that replaces all validators; from two later on the new ones sign."""
HEIGHT = 9
"""Of the transaction that the true receipt is for; the third of five in its block."""
INDEX = 2
TXS = tuple(b"transfer %d" % number for number in range(5))
RESULTS = tuple((number % 2, b"balance %d" % number, 10, number) for number in range(5))
OLD = make_keys(4)
NEW = make_keys(4, first=50)
STRANGERS = make_keys(4, first=90)
OTHER_CHAIN = "test-chain-2"


def keyring(*groups: Sequence[PrivateKey]) -> Keys:
    return {key.public.address: key for group in groups for key in group}


@dataclass(frozen=True)
class Town:
    """A true chain, and the true receipt of one transaction in it."""

    chain: LocalChain
    receipt: Receipt

    def light(self, height: int) -> LightBlock:
        return self.chain.decided[height - 1].light

    @property
    def now_ns(self) -> int:
        return self.light(HEIGHT).time_ns + 60 * SECOND_NS


@cache
def town() -> Town:
    chain = LocalChain([*OLD, *NEW], make_genesis(OLD))
    chain.grow(CHANGE - 1)
    updates = [(key.public, 0) for key in OLD] + [(key.public, 10) for key in NEW]
    chain.add(chain.build([b"all change"]), validator_updates=updates)
    chain.grow(HEIGHT - CHANGE - 1)
    chain.add(chain.build(TXS), results=RESULTS)
    chain.grow(2)
    return Town(chain=chain, receipt=receipt_of(chain))


def receipt_of(chain: LocalChain, index: int = INDEX) -> Receipt:
    trust = GenesisTrust.of(chain.genesis)
    target = chain.decided[HEIGHT - 1].light
    now_ns = target.time_ns + SECOND_NS
    path, _ = drive(skipping(trust, target, PublicKey.verify, terms=NO_EXPIRY, now_ns=now_ns), chain)
    return make_receipt(
        TXS[index],
        prove([sha256(tx).digest() for tx in TXS], index),
        path,
        known=trust.validators,
        outcome=Outcome(
            code=RESULTS[index][0],
            data=RESULTS[index][1],
            gas_wanted=RESULTS[index][2],
            gas_used=RESULTS[index][3],
        ),
        outcome_proof=prove([result_bytes(*result) for result in RESULTS], index),
        next_block=chain.decided[HEIGHT].light,
    )


def signed(
    header: Header,
    validators: ValidatorSet,
    keys: Keys,
    *,
    chain_id: str | None = None,
    round: int = 0,
    signed_round: int | None = None,
    signed_height: int | None = None,
    type: VoteType = VoteType.PRECOMMIT,
    absent: Collection[int] = (),
    nil: Collection[int] = (),
    block_id: BlockID | None = None,
) -> Commit:
    """Return a commit that those sign whose keys are there; what is signed may be something else."""
    name = block_id or BlockID(hash=header.hash(), parts=PartSetHeader(total=1, hash=bytes(32)))
    entries = []
    for index, member in enumerate(validators.validators):
        key = keys.get(member.address)
        if index in absent or key is None:
            entries.append(ABSENT)
            continue
        vote = Vote(
            type=type,
            height=header.height if signed_height is None else signed_height,
            round=round if signed_round is None else signed_round,
            block_id=NIL if index in nil else name,
            time_ns=header.time_ns + SECOND_NS,
            address=member.address,
            index=index,
        )
        signature = key.sign(vote.sign_bytes(chain_id or header.chain_id))
        flag = Flag.NIL if index in nil else Flag.COMMIT
        entries.append(
            CommitSig(flag=flag, address=member.address, time_ns=vote.time_ns, signature=signature)
        )
    return Commit(height=header.height, round=round, block_id=name, signatures=tuple(entries))


def with_last(change: Callable[[LightBlock], LightBlock]) -> Receipt:
    """Return the true receipt with another light block at the end of its path."""
    true = town().receipt
    block = change(town().light(HEIGHT))
    return replace(true, path=(*true.path[:-1], SignedHeader.of(block)), sets=(*true.sets, block.validators))


def with_commit(change: Callable[[Commit], Commit]) -> Receipt:
    return with_last(lambda block: replace(block, commit=change(block.commit)))


def with_entry(index: int, change: Callable[[CommitSig], CommitSig]) -> Receipt:
    def changed(commit: Commit) -> Commit:
        entries = list(commit.signatures)
        entries[index] = change(entries[index])
        return replace(commit, signatures=tuple(entries))

    return with_commit(changed)


def with_header(change: Callable[[Header], Header]) -> Receipt:
    """Change the header and leave the true commit."""
    return with_last(lambda block: replace(block, header=change(block.header)))


def signed_by(
    keys: Keys, *, validators: Sequence[PrivateKey] | None = None, at: int = HEIGHT, **fields: object
) -> Receipt:
    """Return a receipt whose path ends in a forged header that the holders of `keys` signed."""
    true = town().light(at)
    valset = (
        true.validators if validators is None else ValidatorSet.new([(key.public, 10) for key in validators])
    )
    header = replace(true.header, validators_hash=valset.hash(), **fields)  # type: ignore[arg-type]  # fields of a header
    block = LightBlock(header=header, commit=signed(header, valset, keys), validators=valset)
    receipt = town().receipt
    before = tuple(one for one in receipt.path if one.header.height < at)
    return replace(receipt, path=(*before, SignedHeader.of(block)), sets=(*receipt.sets, valset), result=None)
