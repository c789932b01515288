"""The light client with honest, silent, late and lying nodes: what it verifies, and whom it leaves."""

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from catenet.chain.light import Terms
from catenet.chain.light_block import LightBlock
from catenet.chain.receipt import Outcome
from catenet.client.light.provider import TxAnswer
from catenet.types.errors import Forked, InvalidInput, NotFound, NotVerified, PastTip, Unavailable, WrongState
from support.api import FAILING
from support.chain import SECOND_NS, LocalChain, make_chain, make_genesis, make_keys
from support.light_nodes import ChainNode, Watch, with_txs

CHAIN = make_chain(4, heights=12)
with_txs(CHAIN, [b"a=1", FAILING + b"b", b"c=1"])
CHAIN.grow(1)
HEAD = 14
NOW_NS = CHAIN.decided[-1].light.time_ns + SECOND_NS
DOWN = Unavailable("nobody is there")


def light(height: int, chain: LocalChain = CHAIN) -> LightBlock:
    return chain.decided[height - 1].light


def honest(name: str = "honest", *, head: int | None = None) -> ChainNode:
    return ChainNode(name, CHAIN, head=head)


def run(work: Coroutine[None, None, object]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await work

    asyncio.run(bounded())


def watch(folder: Path, *nodes: ChainNode, now_ns: int = NOW_NS, one_by_one: bool = False) -> Watch:
    return Watch(folder, *nodes, now_ns=now_ns, one_by_one=one_by_one)


@pytest.mark.parametrize("one_by_one", [False, True])
def test_the_newest_header_and_any_other_is_verified(tmp_path: Path, one_by_one: bool) -> None:
    async def body() -> None:
        primary, witness = honest("primary"), honest("witness")
        client = watch(tmp_path, primary, witness, one_by_one=one_by_one).client
        assert await client.begin(3, light(3).hash()) == light(3)
        assert await client.update() == light(HEAD)
        assert (len(primary.asked) > 10) == one_by_one
        assert await client.at(7) == light(7), "between two that are trusted"
        assert await client.at(1) == light(1), "below what trust began with"
        with pytest.raises(PastTip, match="the tip is 14"):
            await client.at(15)
        await client.close()
        assert primary.closed
        assert witness.closed

    run(body())


def test_what_is_trusted_survives_a_restart(tmp_path: Path) -> None:
    async def body() -> None:
        first = watch(tmp_path, honest(), honest("witness")).client
        await first.begin(3, light(3).hash())
        await first.update()
        second = watch(tmp_path, honest(), honest("witness"))
        newest = second.client.store.newest()
        assert newest == light(HEAD)
        assert await second.client.update() == light(HEAD)
        assert await second.client.begin(3, light(3).hash()) == light(3)
        with pytest.raises(NotVerified, match=r"header 3 is .* not 6161"):
            await second.client.begin(3, b"a" * 32)

    run(body())


def test_a_new_start_must_agree_with_what_is_trusted_already(tmp_path: Path) -> None:
    async def body() -> None:
        first = watch(tmp_path, honest(), honest("witness")).client
        await first.begin(3, light(3).hash())
        again = watch(tmp_path, honest(), honest("witness"))
        for height in (1, 9):
            assert await again.client.begin(height, light(height).hash()) == light(height)
        with pytest.raises(NotVerified, match=r"header 9 is .* at .* and what follows from it, not 6161"):
            await again.client.begin(9, b"a" * 32)
        # Too old a store leads nowhere: trust begins anew.
        terms = Terms(trusting_period_ns=5 * SECOND_NS)
        late_ns = light(9).time_ns + 6 * SECOND_NS
        late = Watch(tmp_path, honest(), honest("witness"), terms=terms, now_ns=late_ns)
        assert await late.client.begin(12, light(12).hash()) == light(12)
        assert len(late.client.store) == 1
        assert "is too old to trust" in late.told[0]

    run(body())


def test_a_folder_began_with_one_genesis(tmp_path: Path) -> None:
    async def body() -> None:
        await watch(tmp_path, honest(), honest("witness")).client.begin_at_genesis(CHAIN.genesis)
        with pytest.raises(InvalidInput, match="began with another genesis; name another folder"):
            await watch(tmp_path, honest()).client.begin_at_genesis(make_genesis(make_keys(3)))

    run(body())


def test_a_witness_that_contradicts_itself_about_its_height_holds_nothing_up(tmp_path: Path) -> None:
    async def body() -> None:
        odd, good = honest("odd"), honest("good")

        async def ahead(height: int = 0) -> LightBlock:
            if height == HEAD:
                raise PastTip("not yet")
            return light(height or HEAD)

        watching = watch(tmp_path, honest("primary"), odd, good)
        await watching.client.begin(3, light(3).hash())
        odd.light_block = ahead  # type: ignore[method-assign]  # its newest height is one that it does not have
        assert await watching.client.update() == light(HEAD)

    run(body())


def test_trust_begins_with_the_hash_that_was_named(tmp_path: Path) -> None:
    async def body() -> None:
        client = watch(tmp_path, honest("primary"), honest("witness")).client
        with pytest.raises(WrongState, match="nothing is trusted yet"):
            await client.update()
        with pytest.raises(NotVerified, match=r"header 3 is .* at primary, not 6262.*check the trusted hash"):
            await client.begin(3, b"b" * 32)
        other = make_chain(3, heights=HEAD)
        client = watch(tmp_path, honest("primary"), ChainNode("witness", other)).client
        with pytest.raises(NotVerified, match="header 3 is another one at witness than at primary"):
            await client.begin(3, light(3).hash())
        assert client.store.newest() is None

    run(body())


def test_trust_begins_with_a_genesis(tmp_path: Path) -> None:
    async def body() -> None:
        client = watch(tmp_path / "true", honest(), honest("witness")).client
        assert await client.begin_at_genesis(CHAIN.genesis) == light(1)
        assert await client.begin_at_genesis(CHAIN.genesis) == light(1)
        assert await client.update() == light(HEAD)
        client = watch(tmp_path / "other", honest(), honest("witness")).client
        with pytest.raises(NotVerified, match="the validators are not those"):
            await client.begin_at_genesis(make_genesis(make_keys(3)))

    run(body())


def test_a_block_that_nobody_signed_begins_nothing(tmp_path: Path) -> None:
    async def body() -> None:
        forged = replace(light(3), commit=replace(light(3).commit, round=1))
        primary = honest("primary")
        primary.lie = lambda block: forged
        with pytest.raises(NotVerified, match="primary: header 3: the signature of entry 0 is wrong"):
            await watch(tmp_path, primary, honest("witness")).client.begin(3, light(3).hash())

    run(body())


def test_a_silent_primary_changes_places_with_a_witness(tmp_path: Path) -> None:
    async def body() -> None:
        primary, second, third = honest("first"), honest("second"), honest("third")
        watching = watch(tmp_path, primary, second, third)
        await watching.client.begin(3, light(3).hash())
        primary.dead = DOWN
        assert await watching.client.update() == light(HEAD)
        assert watching.client.primary is second
        assert list(watching.client.witnesses) == [third, primary], "it may come back"
        assert watching.told == ["first is the primary no more (nobody is there); now it is second"]

    run(body())


def test_a_primary_that_lacks_what_is_between_is_replaced(tmp_path: Path) -> None:
    async def body() -> None:
        primary, second, third = honest("first"), honest("second"), honest("third")
        watching = watch(tmp_path, primary, second, third, one_by_one=True)
        await watching.client.begin(3, light(3).hash())
        primary.faults = []
        original = primary.light_block

        async def patchy(height: int = 0) -> LightBlock:
            if height == 5:
                raise NotFound("block 5 is pruned")
            return await original(height)

        primary.light_block = patchy  # type: ignore[method-assign]  # this node forgot one height
        assert await watching.client.update() == light(HEAD)
        assert watching.client.primary is second
        assert primary in watching.client.witnesses

    run(body())


def test_a_primary_that_lies_is_left_for_good(tmp_path: Path) -> None:
    async def body() -> None:
        primary, second, third = honest("first"), honest("second"), honest("third")
        watching = watch(tmp_path, primary, second, third)
        await watching.client.begin(3, light(3).hash())
        primary.lie = lambda block: replace(block, header=replace(block.header, app_hash=b"rich"))
        assert await watching.client.update() == light(HEAD)
        assert (watching.client.primary, list(watching.client.witnesses)) == (second, [third])
        assert primary.closed
        assert "it lies: the commit is for another header" in watching.told[0]

    run(body())


def test_a_liar_whom_nobody_can_replace_is_an_error(tmp_path: Path) -> None:
    async def body() -> None:
        primary = honest("first")
        watching = watch(tmp_path, primary)
        await watching.client.begin(3, light(3).hash())
        primary.lie = lambda block: replace(block, header=replace(block.header, app_hash=b"rich"))
        with pytest.raises(NotVerified, match="first: the commit is for another header"):
            await watching.client.update()
        primary.lie = lambda block: light(9)
        with pytest.raises(NotVerified, match="height 9 came instead of 7"):
            await watching.client.at(7)

    run(body())


def test_when_no_node_answers_the_last_word_is_passed_on(tmp_path: Path) -> None:
    async def body() -> None:
        primary, witness = honest("first"), honest("second")
        watching = watch(tmp_path, primary, witness)
        await watching.client.begin(3, light(3).hash())
        primary.dead = witness.dead = DOWN
        with pytest.raises(Unavailable, match="none of the nodes answers"):
            await watching.client.update()
        alone = watch(tmp_path, primary)
        with pytest.raises(Unavailable, match="nobody is there"):
            await alone.client.update()

    run(body())


def test_a_header_counts_only_when_a_witness_has_it(tmp_path: Path) -> None:
    async def body() -> None:
        late, dead = honest("late", head=5), honest("dead")
        watching = watch(tmp_path, honest("primary"), late, dead)
        await watching.client.begin(3, light(3).hash())
        dead.dead = DOWN
        with pytest.raises(Unavailable, match="no witness confirms header 14 of primary: late says nothing"):
            await watching.client.update()
        assert watching.client.store.newest() == light(3)
        late.head, late.grows = HEAD - 1, 1
        assert await watching.client.update() == light(HEAD)

    run(body())


def test_a_witness_that_claims_what_it_cannot_show_is_left(tmp_path: Path) -> None:
    async def body() -> None:
        liar, babbler, good = honest("liar"), honest("babbler"), honest("good")
        watching = watch(tmp_path, honest("primary"), liar, babbler, good)
        await watching.client.begin(3, light(3).hash())
        liar.lie = lambda block: replace(block, header=replace(block.header, app_hash=b"poor"))
        babbler.faults = [NotVerified("it does not read")]
        assert await watching.client.update() == light(HEAD)
        assert list(watching.client.witnesses) == [good]
        assert any("liar is a witness no more: it cannot bear its header out" in one for one in watching.told)
        assert any("babbler is a witness no more: it does not read" in one for one in watching.told)

    run(body())


def forked_chain() -> LocalChain:
    """The same chain up to height 8; then the same validators sign another one."""
    chain = make_chain(4, heights=8)
    chain.add(chain.build([b"another one"]), app_hash=b"made up")
    chain.grow(5)
    return chain


def test_two_signed_histories_end_in_evidence_for_both_sides(tmp_path: Path) -> None:
    async def body() -> None:
        other = forked_chain()
        primary, witness = ChainNode("primary", other), honest("witness")
        watching = watch(tmp_path, primary, witness, now_ns=NOW_NS + 10 * SECOND_NS)
        await watching.client.begin(3, light(3).hash())
        with pytest.raises(
            Forked, match="primary and witness have two histories after height 3, both signed"
        ):
            await watching.client.update()
        assert watching.client.store.newest() == light(3), "neither is trusted"
        (against_primary,), (against_witness,) = witness.reported, primary.reported
        assert against_primary.conflicting_block == light(HEAD, other)
        assert against_witness.conflicting_block == light(HEAD)
        assert len(against_primary.byzantine_validators) == 4

    run(body())
    kept = [json.loads(path.read_text()) for path in tmp_path.glob("evidence-*.json")]
    assert {one["type"] for one in kept} == {"tendermint/LightClientAttackEvidence"}
    # The two blocks 14 tell other results: one of them was made up by whoever signed it, since height 3.
    assert [one["value"]["CommonHeight"] for one in kept] == ["3", "3"]
    signed = [one["value"]["ConflictingBlock"]["signed_header"]["commit"]["block_id"]["hash"] for one in kept]
    assert {bytes.fromhex(one) for one in signed} == {light(HEAD).hash(), light(HEAD, forked_chain()).hash()}


def test_trust_that_is_too_old_is_nobodys_lie(tmp_path: Path) -> None:
    async def body() -> None:
        terms = Terms(trusting_period_ns=100 * SECOND_NS)
        late_ns = light(3).time_ns + 101 * SECOND_NS
        primary, witness = honest("primary"), honest("witness")
        first = Watch(tmp_path, primary, witness, terms=terms, now_ns=NOW_NS)
        await first.client.begin(3, light(3).hash())
        late = Watch(tmp_path, primary, witness, terms=terms, now_ns=late_ns)
        with pytest.raises(WrongState, match="height 3 has expired; name a newer trusted height"):
            await late.client.update()
        assert late.client.primary is primary

    run(body())


TX = b"c=1"
TX_ID = sha256(TX).digest()


def test_a_transaction_is_proven_in_one_call(tmp_path: Path) -> None:
    async def body() -> None:
        client = watch(tmp_path, honest(), honest("witness")).client
        await client.begin(3, light(3).hash())
        found = await client.verified_tx(TX_ID)
        assert (found.tx, found.index, found.block) == (TX, 2, light(13))
        assert found.outcome == Outcome(code=0, data=b"did c=1", gas_wanted=0, gas_used=0)
        failed = await client.verified_tx(sha256(FAILING + b"b").digest())
        assert failed.outcome is not None
        assert failed.outcome.code == 7
        with pytest.raises(NotFound):
            await client.verified_tx(b"x" * 32)

    run(body())


def test_a_result_comes_with_the_next_header_or_not_yet(tmp_path: Path) -> None:
    async def body() -> None:
        client = watch(tmp_path, honest(head=13), honest("witness", head=13)).client
        await client.begin(3, light(3).hash())
        found = await client.verified_tx(TX_ID, wait_s=0)
        assert (found.block, found.outcome, found.next_block) == (light(13), None, None)

    run(body())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tx": b"c=1000000"}, "does not place transaction"),
        ({"height": 12}, "does not place transaction"),
        ({"outcome": Outcome(code=1, data=b"did c=1", gas_wanted=0, gas_used=0)}, "does not hold the result"),
        ({"outcome_proof": None}, "does not hold the result"),
    ],
)
def test_a_false_transaction_is_refused(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    def lie(answer: TxAnswer) -> TxAnswer:
        return replace(answer, **change)  # type: ignore[arg-type]  # fields of an answer

    async def body() -> None:
        primary = honest("primary")
        primary.lie_tx = lie
        client = watch(tmp_path, primary, honest("witness")).client
        await client.begin(3, light(3).hash())
        with pytest.raises(NotVerified, match=reason):
            await client.verified_tx(TX_ID)

    run(body())
