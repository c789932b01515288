"""`catenet light` over our own JSON-RPC: a change of validators, absent votes, and a primary that lies.

The liar is a proxy before a real node: it passes questions on and changes answers.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect as open_socket

from catenet.chain.commit import Flag
from catenet.chain.genesis import Genesis
from catenet.chain.json_fields import JsonObject
from catenet.chain.keys import parse_key_file
from catenet.chain.light import Terms
from catenet.chain.validators import ValidatorSet
from catenet.client.light import shapes
from catenet.client.light.connect import connect
from catenet.client.light.session import LightClient
from catenet.client.light.store import TrustedStore
from catenet.types.errors import NotVerified
from catenet.types.events import Level
from support.cli import Terminal
from support.cluster import Cluster, cluster
from support.forging import keyring, signed
from support.light_nodes import Answers, rpc_server

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CHAIN = "light-net"
TX = b"name=Wei"
POWER = 12
STILL_S = 3.0
STEADY = ("consensus.heartbeat_interval_ms=0",)
"""Without work the chain stands still: what is newest stays so."""

Result = dict[str, object]


@dataclass(frozen=True)
class Answer:
    """What a node answered; a liar changes `result`."""

    url: str
    method: str
    params: Mapping[str, object]
    result: Result

    @property
    def is_newest_commit(self) -> bool:
        return self.method == "commit" and "height" not in self.params

    @property
    def signed_header(self) -> dict[str, Result]:
        found = self.result["signed_header"]
        assert isinstance(found, dict)
        return found

    @property
    def votes(self) -> list[Result]:
        found = self.signed_header["commit"]["signatures"]
        assert isinstance(found, list)
        return found

    def vote(self, flag: Flag) -> Result:
        """Return the first vote of a kind."""
        return next(one for one in self.votes if one["block_id_flag"] == flag)


Change = Callable[[Answer], None]


@dataclass(frozen=True)
class Chain:
    """Four nodes, of which the last one is gone, and what happened before."""

    net: Cluster
    changed: int
    """The block with the change of a validator's power."""
    told: Result
    """What a subscriber of ValidatorSetUpdates was told of it."""
    head: int

    @property
    def genesis(self) -> Path:
        return self.net.home(0) / "config" / "genesis.json"

    def ask(self, method: str, *, node: int = 1, **params: object) -> Result:
        return asked(self.net.rpc(node), method, params)

    def keys(self, count: int) -> list[Path]:
        return [self.net.home(index) / "config" / "priv_validator_key.json" for index in range(count)]


def asked(url: str, method: str, params: Mapping[str, object]) -> Result:
    """Ask a node. Raises `LookupError` with the text of its error."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": dict(params)}
    body = httpx.post(url, json=request, timeout=20).json()
    if "error" in body:
        raise LookupError(body["error"].get("data") or body["error"]["message"])
    result: Result = body["result"]
    return result


@pytest.fixture
def catenet(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folder = tmp_path_factory.mktemp("light") / "net"
    with cluster(folder, chain_id=CHAIN, with_rpc=True, settings=STEADY) as net:
        net.start()
        yield asyncio.run(history(net))


async def history(net: Cluster) -> Chain:
    """Change a validator's power before a subscriber's eyes; then go on without the last validator."""
    await net.wait_ready()
    member = parse_key_file((net.home(1) / "config" / "priv_validator_key.json").read_text()).public
    async with net.client(0) as sdk, open_socket(net.rpc(2).replace("http", "ws") + "/websocket") as socket:
        await sdk.send(b"before=1", Level.COMMITTED)
        query = {"query": "tm.event='ValidatorSetUpdates'"}
        await socket.send(json.dumps({"id": 1, "method": "subscribe", "params": query}))
        assert json.loads(await socket.recv())["result"] == {}
        update = b"val=ed25519!%b!%d" % (b64encode(member.data), POWER)
        changed = (await sdk.send(update, Level.COMMITTED)).height
        async with asyncio.timeout(20):
            told: Result = json.loads(await socket.recv())["result"]
        net.kill(3)
        for number in range(8):
            await sdk.send(b"between=%d" % number, Level.COMMITTED)
        await sdk.send(TX, Level.COMMITTED)
    # The header above a transaction's block has its result; it comes by itself.
    return Chain(net=net, changed=changed, told=told, head=await settled(net))


async def settled(net: Cluster) -> int:
    """Return the height at which three nodes stand still, later than the round of who is gone takes."""
    async with asyncio.timeout(30):
        while True:
            before = [await net.head(index) for index in range(3)]
            await asyncio.sleep(STILL_S)
            if [await net.head(index) for index in range(3)] == before and len(set(before)) == 1:
                return before[0]


def test_a_subscriber_is_told_of_the_change(chain: Chain) -> None:
    key = parse_key_file(chain.keys(2)[1].read_text()).public
    member = {
        "address": key.address.hex().upper(),
        "pub_key": {"type": "tendermint/PubKeyEd25519", "value": b64encode(key.data).decode()},
        "voting_power": str(POWER),
        "proposer_priority": "0",
    }
    assert chain.told == {
        "query": "tm.event='ValidatorSetUpdates'",
        "data": {
            "type": "tendermint/event/ValidatorSetUpdates",
            "value": {"validator_updates": [member]},
        },
        "events": {"tm.event": ["ValidatorSetUpdates"]},
    }


def honest(answer: Answer) -> None:
    """Change nothing."""


def before(url: str, change: Change = honest, heights: list[int] | None = None) -> Answers:
    """Return the answers of a node, changed; `heights` notes which commits were asked for."""

    def answers(method: str, params: Mapping[str, object]) -> object:
        answer = Answer(url, method, params, asked(url, method, params))
        if method == "commit" and heights is not None:
            heights.append(int(str(params.get("height", 0))))
        change(answer)
        return answer.result

    return answers


def light(chain: Chain, folder: Path, primary: str, *more: str) -> tuple[object, ...]:
    common = ("light", CHAIN, "--primary", primary, "--genesis", chain.genesis, "--once", "--json")
    return (*common, "--dir", folder / "trusted", *more)


def witnesses(chain: Chain) -> tuple[str, ...]:
    """One takes the place of a primary that lies, and is watched by the other."""
    return ("--witness", chain.net.rpc(1), "--witness", chain.net.rpc(2))


def true_hash(chain: Chain) -> object:
    block_id = chain.ask("block", height=str(chain.head))["block_id"]
    assert isinstance(block_id, dict)
    return block_id["hash"]


def flags(chain: Chain, height: int) -> list[Flag]:
    commit = JsonObject(chain.ask("commit", height=str(height))).child("signed_header").child("commit")
    return [entry.flag for entry in shapes.read_commit(commit).signatures]


@pytest.mark.parametrize("kind", [["--sequential"], [], ["--trust-level", "1"]])
def test_a_chain_is_followed_over_a_change_and_absent_votes(
    chain: Chain, tmp_path: Path, catenet: Terminal, kind: list[str]
) -> None:
    assert chain.changed + 3 < chain.head
    assert Flag.ABSENT in flags(chain, chain.head)
    heights: list[int] = []
    with rpc_server(before(chain.net.rpc(0), heights=heights)) as primary:
        assert catenet(*light(chain, tmp_path, primary, *witnesses(chain), *kind)) == 0, catenet.err
    newest = json.loads(catenet.out)
    assert (newest["height"], newest["hash"]) == (chain.head, true_hash(chain))
    between = [height for height in heights if 1 < height < chain.head]
    if kind == ["--sequential"]:
        assert between == list(range(2, chain.head))
    elif not kind:
        assert between == [], "three of four are more than a third of the first set"
    else:
        # A commit with an absent vote is not that of all of an earlier set: the next header is needed.
        assert 0 < len(set(between)) < chain.head


# What a primary can forge without the validators' keys.


def another_app_hash(answer: Answer) -> None:
    if answer.is_newest_commit:
        answer.signed_header["header"]["app_hash"] = "AB" * 8


def another_signature(answer: Answer) -> None:
    if answer.is_newest_commit:
        answer.vote(Flag.COMMIT)["signature"] = b64encode(bytes(64)).decode()


def a_vote_of_who_was_absent(answer: Answer) -> None:
    """Count the absent validator, and leave one out who voted."""
    if answer.is_newest_commit:
        absent, present = answer.vote(Flag.ABSENT), answer.vote(Flag.COMMIT)
        members = asked(answer.url, "validators", {})["validators"]
        assert isinstance(members, list)
        address = members[answer.votes.index(absent)]["address"]
        nothing = dict(absent)
        absent |= present | {"validator_address": address}
        present |= nothing


def more_power(answer: Answer) -> None:
    if answer.method == "validators" and answer.params.get("height") != "1":
        members = answer.result["validators"]
        assert isinstance(members, list)
        members[0]["voting_power"] = "1000"


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (another_app_hash, "is for another header"),
        (another_signature, "signature"),
        (a_vote_of_who_was_absent, "signature"),
        (more_power, "validators"),
    ],
)
def test_what_a_primary_forges_is_refused(
    chain: Chain, tmp_path: Path, catenet: Terminal, lie: Change, reason: str
) -> None:
    with rpc_server(before(chain.net.rpc(0), lie)) as liar:
        assert catenet(*light(chain, tmp_path / "alone", liar)) == 4
        assert catenet.out == ""
        assert reason in catenet.err, catenet.err
        assert catenet(*light(chain, tmp_path / "watched", liar, *witnesses(chain))) == 0, catenet.err
        assert f"{liar} is the primary no more" in catenet.err
        assert json.loads(catenet.out)["hash"] == true_hash(chain)


@pytest.mark.parametrize(
    ("where", "what", "reason"),
    [
        ("tx", {"tx": b64encode(b"name=Eve").decode()}, "the transaction is another one"),
        ("tx", {"height": "2"}, "does not place transaction"),
        ("block_results", {"txs_results": [{"code": 1, "data": None}]}, "does not hold the result"),
    ],
)
def test_a_transaction_that_a_primary_forges_is_refused(
    chain: Chain, tmp_path: Path, where: str, what: Result, reason: str
) -> None:
    def lie(answer: Answer) -> None:
        if answer.method == where:
            answer.result.update(what)

    async def proven(primary: str) -> tuple[bytes, int]:
        store = TrustedStore(tmp_path / primary.rpartition(":")[2], CHAIN)
        client = LightClient(CHAIN, connect(primary), [], store, Terms(trusting_period_ns=10**15))
        try:
            await client.begin_at_genesis(Genesis.from_json(chain.genesis.read_text()))
            found = await client.verified_tx(sha256(TX).digest(), wait_s=5)
            assert found.outcome is not None
            return found.tx, found.outcome.code
        finally:
            await client.close()

    assert asyncio.run(proven(chain.net.rpc(0))) == (TX, 0)
    with rpc_server(before(chain.net.rpc(0), lie)) as liar, pytest.raises(NotVerified, match=reason):
        asyncio.run(proven(liar))


# What it can forge with the keys of validators, and what becomes of them.


def test_validators_who_sign_another_history_are_convicted(
    chain: Chain, tmp_path: Path, catenet: Terminal
) -> None:
    """Three of four sign another header: nothing tells it from the true one but the witness.

    The nodes take the evidence over JSON-RPC and put it into a block.
    """
    signed_header = JsonObject(chain.ask("commit", height=str(chain.head))).child("signed_header")
    true = shapes.read_header(signed_header.child("header"))
    members = JsonObject(chain.ask("validators", height=str(chain.head))).children("validators")
    validators = ValidatorSet.new([shapes.read_member(one) for one in members])
    keys = [parse_key_file(path.read_text()) for path in chain.keys(3)]
    header = replace(true, app_hash=b"made up")
    commit = signed(header, validators, keyring(keys))

    def lie(answer: Answer) -> None:
        if answer.method == "commit" and answer.params.get("height") in (None, str(chain.head)):
            forged = {"header": shapes.header_json(header), "commit": shapes.commit_json(commit)}
            answer.result["signed_header"] = forged

    # Evidence about the newest height is refused: its commit is in the next block.
    chain.ask("broadcast_tx_commit", tx=b64encode(b"later=1").decode())
    with rpc_server(before(chain.net.rpc(0), lie)) as liar:
        assert catenet(*light(chain, tmp_path, liar, *witnesses(chain))) == 4
    assert "have two histories after height 1, both signed" in catenet.err
    assert f"{chain.net.rpc(1)} took the evidence" in catenet.err, catenet.err
    found = asyncio.run(evidence_after(chain))
    assert found.text("type") == "tendermint/LightClientAttackEvidence"
    guilty = {shapes.read_member(one)[0] for one in found.child("value").children("ByzantineValidators")}
    assert guilty == {key.public for key in keys}


async def evidence_after(chain: Chain) -> JsonObject:
    """Wait for a block with evidence; the three nodes have the same."""
    height = chain.head
    while True:
        height += 1
        await chain.net.wait_height(height)
        every = [
            JsonObject(chain.ask("block", node=node, height=str(height))).child("block").child("evidence")
            for node in range(3)
        ]
        assert [one.items("evidence") for one in every] == [every[0].items("evidence")] * 3
        if found := every[0].children("evidence"):
            return found[0]
