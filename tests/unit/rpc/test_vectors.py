"""What a real CometBFT node answered, and what we answer over the same blocks: equal, member by member."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from catenet.chain.genesis import Genesis
from catenet.chain.json_fields import JsonObject
from catenet.chain.keys import PublicKey
from catenet.chain.params import ConsensusParams
from catenet.chain.state import ChainState
from catenet.chain.validators import Validator, ValidatorSet
from catenet.rpc.calls import Request, answer
from catenet.rpc.context import Service
from catenet.rpc.limits import Limits
from catenet.rpc.submissions import BackgroundSubmissions
from catenet.storage.ledger import Ledger
from catenet.types.application import BlockOutcome
from catenet.types.ports import BlockReader
from support.api import MemoryNode
from support.rpc import MemoryDesk
from support.rpc_json import block_id_of, block_of, commit_of, load_vectors

CHAIN = load_vectors("cometbft_v0_38_chain")
GENESIS = Genesis.from_json(json.dumps(CHAIN.raw("genesis")))
RUNS = ((1, 2, 3, 4), (115, 116, 117, 118), (132, 133, 134, 135))


def at(height: int) -> JsonObject:
    return CHAIN.child("heights").child(str(height))


def recorded(height: int, method: str) -> object:
    """Return what the real node said; the chain file leaves out nothing."""
    return at(height).raw(method)


class RecordedNode(MemoryNode):
    """A gateway whose blocks are those of the real chain, in the real ledger."""

    def __init__(self, stored: Ledger) -> None:
        super().__init__()
        self.stored = stored

    @property
    def reader(self) -> BlockReader:
        return self.stored


class RecordedDesk(MemoryDesk):
    """A desk whose validators and parameters come out of the real ledger."""

    def __init__(self, stored: Ledger) -> None:
        super().__init__()
        self.stored = stored

    def validators_at(self, height: int) -> ValidatorSet | None:
        return self.stored.validators_at(height)

    def params_at(self, height: int) -> ConsensusParams | None:
        state = self.stored.state_at(height)
        return state.params if state else None


def validators_at(height: int) -> ValidatorSet:
    members = tuple(
        Validator(
            public_key=PublicKey.from_json(member.child("pub_key")),
            power=member.integer("voting_power"),
            priority=member.integer("proposer_priority"),
        )
        for member in at(height).child("validators").children("validators")
    )
    return ValidatorSet(validators=members, proposer=members[0])


def store(ledger: Ledger, height: int) -> None:
    """Put one block of the real chain into a ledger."""
    recorded_block, results = at(height).child("block"), at(height).child("block_results")
    block = block_of(recorded_block.child("block"))
    members = validators_at(height)
    state = replace(
        ChainState.genesis(GENESIS),
        last_height=height,
        last_time_ns=block.header.time_ns,
        last_validators=members,
        validators=members,
        next_validators=members,
    )
    ledger.append(
        height,
        block.encode(),
        block_id_of(recorded_block.child("block_id")),
        commit_of(at(height).child("commit").child("signed_header").child("commit")),
        BlockOutcome(results=(), app_hash=results.base64("app_hash")),
        [sha256(tx).digest() for tx in block.txs],
        state,
    )


@pytest.fixture(params=RUNS, ids=lambda run: f"from-{run[0]}")
def heights(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Service, tuple[int, ...]]]:
    ledger = Ledger.open(tmp_path)
    for height in request.param:
        store(ledger, height)
    gateway = RecordedNode(ledger)
    yield (
        Service(
            gateway=gateway,
            desk=RecordedDesk(ledger),
            intake=RecordedDesk(ledger),
            index=None,
            limits=Limits(),
            submissions=BackgroundSubmissions(gateway, waiting_max=1),
            rpc_address=lambda: "",
        ),
        request.param,
    )
    ledger.close()


def ask(service: Service, method: str, params: object) -> object:
    done = asyncio.run(answer(service, Request(id=1, method=method, params=params), client="test"))
    found = json.loads(done.body)
    assert found["id"] == 1
    return found["result"]


@pytest.mark.parametrize("method", ["block", "validators", "block_results", "consensus_params"])
def test_the_answer_is_that_of_the_real_node(heights: tuple[Service, tuple[int, ...]], method: str) -> None:
    service, known = heights
    for height in known:
        assert ask(service, method, {"height": str(height)}) == recorded(height, method)


def test_the_commit_of_every_height_but_the_newest_is_that_of_the_real_node(
    heights: tuple[Service, tuple[int, ...]],
) -> None:
    service, known = heights
    for height in known[:-1]:
        assert ask(service, "commit", {"height": str(height)}) == recorded(height, "commit")


def test_the_newest_commit_is_the_one_that_was_seen_and_not_canonical(
    heights: tuple[Service, tuple[int, ...]],
) -> None:
    service, known = heights
    expected = recorded(known[-1], "commit")
    assert isinstance(expected, dict)
    assert ask(service, "commit", None) == {**expected, "canonical": False}


def test_a_header_is_the_one_inside_the_block(heights: tuple[Service, tuple[int, ...]]) -> None:
    service, known = heights
    block = at(known[1]).child("block")
    header = {"header": block.child("block").raw("header")}
    assert ask(service, "header", [str(known[1])]) == header
    name = block.child("block_id").text("hash")
    assert ask(service, "header_by_hash", {"hash": name}) == header


def test_blockchain_lists_the_newest_block_first(heights: tuple[Service, tuple[int, ...]]) -> None:
    service, known = heights
    found = ask(service, "blockchain", {"minHeight": str(known[1]), "maxHeight": str(known[2])})
    assert isinstance(found, dict)
    assert found["last_height"] == str(known[-1])
    expected = [at(height) for height in (known[2], known[1])]
    assert found["block_metas"] == [
        {
            "block_id": one.child("block").raw("block_id"),
            "block_size": str(one.child("expect").number("block_proto_len")),
            "header": one.child("block").child("block").raw("header"),
            "num_txs": "0",
        }
        for one in expected
    ]
