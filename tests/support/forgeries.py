"""Forged commits and headers, by name: how each is made, and the reason for which it must be refused."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from catenet.chain.block_id import BlockID, PartSetHeader
from catenet.chain.commit import ABSENT, Flag
from catenet.chain.genesis import Genesis
from catenet.chain.receipt import Receipt, SignedHeader
from catenet.chain.vote import VoteType
from support.chain import SECOND_NS
from support.forging import (
    HEIGHT,
    NEW,
    OLD,
    OTHER_CHAIN,
    STRANGERS,
    keyring,
    signed,
    signed_by,
    town,
    with_commit,
    with_entry,
    with_header,
    with_last,
)

TRUE = town().receipt
LAST = town().light(HEIGHT)
FUTURE_NS = town().now_ns + 11 * SECOND_NS


@dataclass(frozen=True)
class Forgery:
    """One way to lie; `make` returns a receipt, or the text of one."""

    name: str
    make: Callable[[], Receipt | str]
    reason: str
    genesis: Genesis = town().chain.genesis


def resigned(**how: object) -> Receipt:
    """The true header, signed anew by its true validators: but not what a commit must sign."""
    return with_last(
        lambda block: replace(
            block,
            commit=signed(block.header, block.validators, keyring(OLD, NEW), **how),  # type: ignore[arg-type]  # as `signed` takes them
        )
    )


def flipped(signature: bytes) -> bytes:
    return signature[:-1] + bytes([signature[-1] ^ 1])


COMMITS = [
    Forgery(
        "a signature with one bit changed",
        lambda: with_entry(0, lambda one: replace(one, signature=flipped(one.signature))),
        "header 9: the signature of entry 0 is wrong",
    ),
    Forgery(
        "a signature that was cut",
        lambda: with_entry(0, lambda one: replace(one, signature=one.signature[:63])),
        "header 9: the signature of entry 0 is wrong",
    ),
    Forgery(
        "a signature of another key",
        lambda: with_entry(0, lambda one: replace(one, signature=STRANGERS[0].sign(b"anything"))),
        "header 9: the signature of entry 0 is wrong",
    ),
    Forgery(
        "signatures of half of the power",
        lambda: resigned(absent=(0, 1)),
        "header 9: power 20 of 40 signed: not more than two thirds",
    ),
    Forgery(
        "one validator's signature at two places",
        lambda: with_commit(
            lambda commit: replace(
                commit, signatures=(commit.signatures[0], commit.signatures[0], *commit.signatures[2:])
            )
        ),
        "header 9: entry 1 is a second one of",
    ),
    Forgery(
        "a signature under another validator's address",
        lambda: with_entry(1, lambda one: replace(one, address=LAST.commit.signatures[2].address)),
        "header 9: the signature of entry 1 is wrong",
    ),
    Forgery(
        "nil votes counted for the block",
        lambda: with_last(
            lambda block: replace(
                block,
                commit=replace(
                    (nil := signed(block.header, block.validators, keyring(NEW), nil=(0, 1, 2, 3))),
                    signatures=tuple(replace(one, flag=Flag.COMMIT) for one in nil.signatures),
                ),
            )
        ),
        "header 9: the signature of entry 0 is wrong",
    ),
    Forgery(
        "nil votes of all",
        lambda: resigned(nil=(0, 1, 2, 3)),
        "header 9: power 0 of 40 of the trusted validators signed",
    ),
    Forgery(
        "prevotes passed off as precommits",
        lambda: resigned(type=VoteType.PREVOTE),
        "header 9: the signature of entry 0 is wrong",
    ),
    Forgery(
        "votes of another round",
        lambda: resigned(round=1, signed_round=0),
        "header 9: the signature of entry 0 is wrong",
    ),
    Forgery(
        "votes of another height",
        lambda: resigned(signed_height=HEIGHT - 1),
        "header 9: the signature of entry 0 is wrong",
    ),
    Forgery(
        "votes of the same validators on another chain",
        lambda: resigned(chain_id=OTHER_CHAIN),
        "header 9: the signature of entry 0 is wrong",
    ),
    Forgery(
        "the commit of another height",
        lambda: with_commit(lambda _: town().light(HEIGHT - 1).commit),
        "header 9: the commit is of height 8, not 9",
    ),
    Forgery(
        "a commit for another block",
        lambda: resigned(block_id=BlockID(hash=b"b" * 32, parts=LAST.commit.block_id.parts)),
        "header 9: the commit is for another header",
    ),
    Forgery(
        "a commit for other bytes of the block",
        lambda: with_commit(
            lambda commit: replace(
                commit,
                block_id=BlockID(hash=commit.block_id.hash, parts=PartSetHeader(total=1, hash=b"p" * 32)),
            )
        ),
        "header 9: the signature of entry 0 is wrong",
    ),
    Forgery(
        "a commit for no bytes at all",
        lambda: resigned(block_id=BlockID(hash=LAST.hash())),
        "header 9: the commit is for",
    ),
    Forgery(
        "a vote's time moved",
        lambda: with_entry(0, lambda one: replace(one, time_ns=one.time_ns + 1)),
        "header 9: the signature of entry 0 is wrong",
    ),
    Forgery(
        "an entry left out",
        lambda: with_commit(lambda commit: replace(commit, signatures=commit.signatures[:3])),
        "header 9: 3 entries for 4 validators",
    ),
    Forgery(
        "an entry too many",
        lambda: with_commit(lambda commit: replace(commit, signatures=(*commit.signatures, ABSENT))),
        "header 9: 5 entries for 4 validators",
    ),
    Forgery(
        "an absent entry with a signature",
        lambda: with_entry(3, lambda one: replace(one, flag=Flag.ABSENT)),
        "header 9: entry 3 is absent but has content",
    ),
]

HEADERS = [
    Forgery(
        "another application hash under a true commit",
        lambda: with_header(lambda header: replace(header, app_hash=b"rich")),
        "header 9: the commit is for another header",
    ),
    Forgery(
        "another data hash under a true commit",
        lambda: with_header(lambda header: replace(header, data_hash=b"d" * 32)),
        "header 9: the commit is for another header",
    ),
    Forgery(
        "strangers as validators, far above what is trusted",
        lambda: signed_by(keyring(STRANGERS), validators=STRANGERS),
        "header 9: power 0 of 40 of the trusted validators signed",
    ),
    Forgery(
        "strangers as validators of the next height",
        lambda: signed_by(keyring(STRANGERS), validators=STRANGERS, at=6),
        "header 6: the validators are not those that the trusted header names next",
    ),
    Forgery(
        "one true validator among strangers",
        lambda: signed_by(keyring(NEW[:1], STRANGERS), validators=[NEW[0], *STRANGERS[:3]]),
        "header 9: power 10 of 40 of the trusted validators signed",
    ),
    Forgery(
        "two of four true validators, without the others' knowledge",
        lambda: signed_by(keyring(NEW[:2])),
        "header 9: power 20 of 40 signed: not more than two thirds",
    ),
    Forgery(
        "validators that left long ago",
        lambda: signed_by(keyring(OLD), validators=OLD),
        "header 9: power 0 of 40 of the trusted validators signed",
    ),
    Forgery(
        "a header of another chain, signed by all",
        lambda: signed_by(keyring(NEW), chain_id=OTHER_CHAIN),
        "header 9: the header is of chain 'test-chain-2', not 'test-chain'",
    ),
    Forgery(
        "a header from the future",
        lambda: signed_by(keyring(NEW), time_ns=FUTURE_NS),
        "is in the future",
    ),
    Forgery(
        "a header older than the one it follows",
        lambda: signed_by(keyring(NEW), time_ns=town().light(6).time_ns),
        "is not after",
    ),
    Forgery(
        "a header from before the genesis",
        lambda: replace(
            signed_by(keyring(OLD), at=1, time_ns=town().chain.genesis.genesis_time_ns - 1), result=None
        ),
        "is before that of the genesis",
    ),
    Forgery(
        "a header of another block version",
        lambda: signed_by(keyring(NEW), version_block=12),
        "header 9: the header has block version 12, not 11",
    ),
    Forgery(
        "a header below the one before it",
        lambda: replace(TRUE, path=(*TRUE.path, SignedHeader.of(town().light(HEIGHT - 1))), result=None),
        "header 8: height 8 is not above 9",
    ),
]
