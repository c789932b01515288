"""Two histories that both verify: where they part, the evidence, and who signed what. Signatures are real."""

from dataclasses import replace
from hashlib import sha256

import pytest

from catenet.chain.evidence import LightClientAttackEvidence
from catenet.chain.keys import PublicKey
from catenet.chain.light import InvalidCommit, Terms
from catenet.chain.light_block import LightBlock
from catenet.chain.light_fork import Fork, examine
from catenet.chain.light_walk import skipping
from support.chain import SECOND_NS, LocalChain, make_chain, make_genesis, make_keys
from support.forging import keyring, signed
from support.light_chains import drive

TERMS = Terms(trusting_period_ns=10**15)
KEYS = make_keys(4)
FORK_AT = 5
TRUE = make_chain(4, heights=9)


def light(chain: LocalChain, height: int) -> LightBlock:
    return chain.decided[height - 1].light


def now_ns(chain: LocalChain) -> int:
    return light(chain, len(chain.decided)).time_ns + SECOND_NS


def equivocating(*, round: int = 0) -> LocalChain:
    """The same chain up to FORK_AT - 1, then all validators sign another block, which is valid, too."""
    chain = make_chain(4, heights=FORK_AT - 1)
    block = chain.build([b"another transaction"])
    chain.add(block, chain.sign(block, round=round, absent=(3,)))
    chain.grow(4)
    return chain


def lunatic(signers: int = 3) -> LocalChain:
    """The same chain up to FORK_AT - 1, then some sign headers with an application hash that they made up."""
    chain = make_chain(4, heights=FORK_AT - 1)
    chain.state = replace(chain.state, app_hash=b"made up")
    for _ in range(5):
        block = chain.build([b"loot"])
        chain.add(block, chain.sign(block, absent=range(signers, 4)), app_hash=b"made up")
    return chain


def examined(ours: LocalChain, theirs: LocalChain, *, height: int = 9) -> Fork:
    """Trust height 2, follow `ours` to a height, and examine what the other node says of it."""
    now = max(now_ns(ours), now_ns(theirs))
    target = light(ours, height)
    steps = skipping(light(ours, 2), target, PublicKey.verify, terms=TERMS, now_ns=now)
    verified, _ = drive(steps, ours)
    trace = (light(ours, 2), *verified)
    other = light(theirs, min(height, len(theirs.decided)))
    fork, _ = drive(examine(trace, other, PublicKey.verify, terms=TERMS, now_ns=now), theirs)
    return fork


def test_an_equivocation_names_who_signed_both() -> None:
    fork = examined(equivocating(), TRUE, height=FORK_AT)
    evidence = fork.against_ours()
    assert (fork.common.height, fork.ours.height) == (2, FORK_AT)
    assert evidence.conflicting_block == light(equivocating(), FORK_AT)
    # The forged block is one that the chain could have had: the conflict itself is what both have in common.
    assert (evidence.common_height, evidence.time_ns) == (FORK_AT, light(TRUE, FORK_AT).time_ns)
    assert evidence.total_power == 40
    members = TRUE.decided[0].light.validators.validators
    assert [one.address for one in evidence.byzantine_validators] == [one.address for one in members[:3]]


def test_blocks_of_two_rounds_accuse_nobody_yet() -> None:
    evidence = examined(equivocating(round=1), TRUE, height=FORK_AT).against_ours()
    assert evidence.byzantine_validators == ()
    assert evidence.common_height == FORK_AT


def test_who_signs_what_was_made_up_is_named() -> None:
    evidence = examined(lunatic(), TRUE).against_ours()
    assert evidence.common_height == 2
    assert evidence.time_ns == light(TRUE, 2).time_ns
    assert len(evidence.byzantine_validators) == 3


def test_a_third_and_strangers_deceive_who_skips_and_are_found_out() -> None:
    # Two of four sign a header whose validators are themselves and strangers: enough for who skips from 2.
    strangers = make_keys(1, first=90)
    signers = [*KEYS[:2], *strangers]
    forged = LocalChain(signers, make_genesis(signers))
    valset = forged.state.validators
    header = replace(
        light(TRUE, 9).header,
        validators_hash=valset.hash(),
        next_validators_hash=valset.hash(),
        app_hash=b"x",
    )
    block = LightBlock(header=header, commit=signed(header, valset, keyring(signers)), validators=valset)
    now = now_ns(TRUE)
    steps = skipping(light(TRUE, 2), block, PublicKey.verify, terms=TERMS, now_ns=now)
    verified, asked = drive(steps, TRUE)
    assert (verified, asked) == ((block,), [])
    found = examine((light(TRUE, 2), block), light(TRUE, 9), PublicKey.verify, terms=TERMS, now_ns=now)
    fork, _ = drive(found, TRUE)
    evidence = fork.against_ours()
    guilty = {one.address for one in evidence.byzantine_validators}
    assert guilty == {key.public.address for key in KEYS[:2]}, "strangers cannot be punished"
    assert evidence.common_height == 2


def test_the_reverse_examination_accuses_the_witness() -> None:
    fork = examined(lunatic(), TRUE)
    back = examine((fork.common, *fork.theirs), fork.ours, PublicKey.verify, terms=TERMS, now_ns=now_ns(TRUE))
    reverse, _ = drive(back, lunatic())
    assert reverse.against_ours().conflicting_block == fork.theirs[-1]


def test_a_header_ahead_of_time_is_found_out_before_its_height_is_there() -> None:
    # The true chain is at 9, and later than a forged header of height 12 claims to be.
    short = make_chain(4, heights=4)
    header = replace(light(TRUE, 9).header, height=12, time_ns=light(TRUE, 6).time_ns, app_hash=b"x")
    forged = LightBlock(
        header=header,
        commit=signed(header, short.state.validators, keyring(KEYS)),
        validators=short.state.validators,
    )
    trace = (light(TRUE, 2), forged)
    fork, asked = drive(
        examine(trace, light(TRUE, 9), PublicKey.verify, terms=TERMS, now_ns=now_ns(TRUE)), TRUE
    )
    assert (fork.common.height, fork.ours.height, fork.theirs[-1].height) == (2, 12, 9)
    assert asked == [2]
    assert fork.against_ours().common_height == 2


@pytest.mark.parametrize(
    ("trace", "target", "source", "reason"),
    [
        ((light(TRUE, 2), light(TRUE, 9)), light(TRUE, 9), TRUE, "both histories are the same"),
        ((light(TRUE, 2), light(TRUE, 9)), light(TRUE, 1), TRUE, "height 1 is below the trusted height 2"),
        ((light(TRUE, 2), light(TRUE, 9)), light(TRUE, 5), TRUE, "height 5 is behind, not in conflict"),
        (
            (light(TRUE, 6), light(TRUE, 9)),
            light(equivocating(), 9),
            equivocating(),
            "header 6, which is trusted, is another one there",
        ),
        (
            (light(TRUE, 2), light(TRUE, 9)),
            light(lunatic(1), 9),
            lunatic(1),
            "power 10 of 40 signed: not more than two thirds",
        ),
    ],
)
def test_a_witness_that_cannot_bear_its_claim_out_is_refused(
    trace: tuple[LightBlock, ...], target: LightBlock, source: LocalChain, reason: str
) -> None:
    now = now_ns(TRUE) + 100 * SECOND_NS
    with pytest.raises(InvalidCommit, match=reason):
        drive(examine(trace, target, PublicKey.verify, terms=TERMS, now_ns=now), source)


def test_a_witness_that_sends_another_height_is_refused() -> None:
    trace = (light(TRUE, 2), light(TRUE, 5), light(TRUE, 9))
    found = examine(trace, light(lunatic(), 9), PublicKey.verify, terms=TERMS, now_ns=now_ns(TRUE))
    assert next(found) == 2
    with pytest.raises(InvalidCommit, match="a header of height 3 came instead of 2"):
        found.send(light(TRUE, 3))


def test_evidence_has_canonical_bytes_and_a_name() -> None:
    evidence = examined(lunatic(), TRUE).against_ours()
    data = evidence.encode()
    assert LightClientAttackEvidence.decode(data) == evidence
    assert evidence.height == evidence.common_height
    assert evidence.hash() != replace(evidence, common_height=3).hash()
    with pytest.raises(ValueError, match="truncated"):
        LightClientAttackEvidence.decode(data[:-1])


@pytest.mark.parametrize(
    ("forged", "height", "digest", "name"),
    [
        (
            equivocating(),
            FORK_AT,
            "76c56b459b28e547b48fe53bd7000fc69f1a89af6ca62964ad0936fe7e3b5c03",
            "0125a23e684c8c46cf983f260285e647b204c4fd6012bf019dd8ad985293adaf",
        ),
        (
            equivocating(round=1),
            9,
            "65cd499d2371dd7a6cc8a2bda9e76989ecc5c200db3fb340f9c32e2f4b65377a",
            "9454d716180bc06f69257cbde00179238564ec6a23da73f3ea5cd4bdf3b05714",
        ),
        (
            lunatic(),
            9,
            "4df9532658c390b6344218f5571ea45e9b9d1330c3e1834d0c3b5557c3cd5d44",
            "451f77b016abdea5389d04b2fcc33b1ae505a50ebc7f92b1a9f9972af79871fa",
        ),
    ],
    ids=["equivocation", "amnesia", "lunatic"],
)
def test_evidence_is_that_of_the_reference_library(
    forged: LocalChain, height: int, digest: str, name: str
) -> None:
    # Computed by CometBFT v0.38.26 from what it read: sha256(ev.Bytes()) and ev.Hash(). Its ValidateBasic and
    # VerifyLightClientAttack take all three.
    evidence = examined(forged, TRUE, height=height).against_ours()
    assert (sha256(evidence.encode()).hexdigest(), evidence.hash().hex()) == (digest, name)
