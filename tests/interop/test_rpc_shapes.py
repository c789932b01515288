"""The same questions to a real CometBFT node and to ours: answers are laid side by side, member by member.

Every difference stands in `EXPECTED` with its reason, as in docs/reference/rpc.md; any other one fails.
"""

import asyncio
import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from catenet.chain.keys import PrivateKey
from catenet.rpc import shapes
from support.accusing import double_vote
from support.cluster import cluster
from support.cometbft import real_nodes
from support.laid_side_by_side import Difference, differences
from support.repository import ROOT

EXPECTED: Mapping[str, str] = {
    "genesis: result.genesis.catenet.*": "the section of the genesis file that is ours: others ignore it",
    "genesis: result.genesis.validators[].name": "data: the real network's validators have no names",
    "net_info: result.peers[].connection_status.Channels*": "there are no channels between our nodes",
    "net_info: result.peers[].node_info.other.rpc_address": "a node does not tell others where its RPC is",
    'POST {"id":1,"method":"broadcast_evidence"}: ': "the reference panics; here it is an ordinary error",
}
"""`question: path` -> why it differs. A path that ends in `*` stands for all that begin so."""

APP = "app=support.talkative:Kvstore"
PROTOCOL_TEXT = re.compile(
    r"blockchain height|lowest height|height must be|page should|^tx \(|batch request|too large|order_by"
)
"""Texts that clients match, or that name what was wrong in the reference's own words."""

STRANGER = PrivateKey(b"stranger".ljust(32, b"-")).public
"""The key of a validator that never runs."""

Event: TypeAlias = Mapping[str, Mapping[str, Mapping[str, Mapping[str, object]]]]

KINDS = ("NewBlock", "NewBlockHeader", "NewBlockEvents", "Tx", "Vote", "NewRound", "NewRoundStep")
BAD_POSTS = (
    "{",
    '"text"',
    "[]",
    '{"id":1,"method":"nothing"}',
    '{"id":1,"method":"subscribe","params":{"query":"x"}}',
    '{"id":1,"method":"block","params":{"height":5}}',
    '{"id":1,"method":"block","params":{"height":"five"}}',
    '{"id":1,"method":"block","params":["1","2"]}',
    '{"id":1,"method":"block","params":"1"}',
    '{"id":1,"method":"block","params":{"height":"0"}}',
    '{"id":1,"method":"block","params":{"height":"-3"}}',
    '{"id":1,"method":"block","params":{"height":"99999"}}',
    '{"id":1,"method":"validators","params":{"height":"1","page":"9"}}',
    '{"id":1,"method":"tx","params":{"hash":"!"}}',
    '{"id":1,"method":"tx","params":{"hash":"q6s="}}',
    '{"id":1,"method":"tx_search","params":{"query":"a OR b"}}',
    '{"id":1,"method":"tx_search","params":{"query":"a=1","order_by":"up"}}',
    '{"id":1,"method":"block_search","params":{"query":""}}',
    '{"id":1,"method":"broadcast_evidence"}',
    '{"id":true,"method":"health"}',
    '{"method":"health"}',
    '{"id":"x","method":"health"}',
    "[" + ",".join(['{"id":1,"method":"health"}'] * 11) + "]",
    '[{"id":1,"method":"health"},{"id":2,"method":"nothing"}]',
    '[{"id":1,"method":"health"}]',
    "x" * 1_000_001,
)
BAD_URIS = (
    "/block?height=0x01", "/block?height=five", "/block?height=99999", "/tx?hash=0xzz", "/tx?hash=ab",
    "/subscribe?query=%22x%22", "/nothing", "/validators?page=0", "/abci_query?prove=2",
)  # fmt: skip


class Asked:
    """One network, asked over HTTP and a WebSocket. `guilty`: the home of the validator that is accused."""

    def __init__(self, url: str, chain_id: str, guilty: Path) -> None:
        self.url, self.chain_id, self.guilty = url, chain_id, guilty
        self.http = httpx.AsyncClient(base_url=url, timeout=30)
        self.height = ""
        self.tx = ""

    async def call(self, method: str, **params: object) -> object:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return (await self.http.post("/", json=request)).json()

    async def prepare(self) -> None:
        """Commit a few transactions; remember the block of one of them."""
        for text in (b"city=Basel", b"name=Wei"):
            sent = b64encode(text).decode()
            done = await self.call("broadcast_tx_commit", tx=sent)
            assert isinstance(done, dict)
            self.height, self.tx = done["result"]["height"], done["result"]["hash"]

    async def answers(self) -> dict[str, object]:
        """Return question and answer of every method."""
        based = b64encode(bytes.fromhex(self.tx)).decode()
        block = await self.call("block", height=self.height)
        assert isinstance(block, dict)
        name = block["result"]["block_id"]["hash"]
        key, nothing = b"name".hex(), dict[str, object]()

        def of(height: str) -> dict[str, object]:
            return {"height": height}

        bare = ("health", "status", "net_info", "genesis", "abci_info", "validators", "commit")
        questions: list[tuple[str, dict[str, object]]] = [
            *((method, nothing) for method in (*bare, "num_unconfirmed_txs", "unconfirmed_txs")),
            *((method, of("1")) for method in ("block", "commit", "block_results", "header")),
            *((method, of(self.height)) for method in ("block", "commit", "validators", "header")),
            *((method, of(self.height)) for method in ("block_results", "consensus_params")),
            ("blockchain", {"minHeight": "1", "maxHeight": self.height}),
            ("block_by_hash", {"hash": b64encode(bytes.fromhex(name)).decode()}),
            ("block_by_hash", {"hash": based}),
            ("header_by_hash", {"hash": name}),
            ("header_by_hash", {"hash": "AB" * 32}),
            ("genesis_chunked", {"chunk": "0"}),
            ("tx", {"hash": based, "prove": True}),
            ("tx", {"hash": based}),
            ("tx_search", {"query": f"tx.height={self.height}", "prove": True, "page": "1"}),
            ("tx_search", {"query": "app.key='nobody'"}),
            ("block_search", {"query": f"block.height={self.height}"}),
            ("block_search", {"query": "block.height=99999"}),
            ("abci_query", {"path": "/store", "data": key}),
            ("abci_query", {"data": b"nothing".hex()}),
            ("check_tx", {"tx": b64encode(b"a=b").decode()}),
            ("check_tx", {"tx": b64encode(b"bad").decode()}),
            ("broadcast_tx_sync", {"tx": b64encode(b"c=d").decode()}),
            ("broadcast_tx_sync", {"tx": b64encode(b"bad").decode()}),
            ("broadcast_tx_async", {"tx": b64encode(b"e=f").decode()}),
            ("broadcast_tx_commit", {"tx": b64encode(b"g=h").decode()}),
            ("broadcast_tx_commit", {"tx": b64encode(b"bad").decode()}),
        ]
        return {
            f"{number} {method}": await self.call(method, **params)
            for number, (method, params) in enumerate(questions)
        }

    async def events(self) -> dict[str, object]:
        """Return one event of each kind."""
        return {kind: await self._event(kind) for kind in KINDS}

    async def _event(self, kind: str) -> object:
        async with self._subscribed(kind) as socket:
            tx = b64encode(f"event-{kind}=1".encode()).decode()
            await self.call("broadcast_tx_sync", tx=tx)
            # A block without transactions says less.
            while not _told(event := await heard(socket)):
                pass
            return event

    async def changes(self) -> dict[str, object]:
        """Return what is told of a validator that joins, gets more power, and leaves."""
        found: dict[str, object] = {}
        async with self._subscribed("ValidatorSetUpdates") as socket:
            for power in (1, 2, 0):
                sent = b64encode(b"val=ed25519!%b!%d" % (b64encode(STRANGER.data), power)).decode()
                done = await self.call("broadcast_tx_commit", tx=sent)
                found[f"ValidatorSetUpdates {power}"] = await heard(socket)
                assert isinstance(done, dict)
                assert done["result"]["tx_result"]["code"] == 0, done
        return found

    async def misbehaviour(self) -> dict[str, object]:
        """Return what is told of a validator that signed twice, and the block with the evidence."""
        evidence = await double_vote(self.http, self.guilty, chain_id=self.chain_id, height=2)
        async with self._subscribed("NewEvidence") as socket:
            taken = await self.call("broadcast_evidence", evidence=shapes.evidence(evidence))
            event = await heard(socket)
        height = event["result"]["data"]["value"]["height"]
        return {
            "broadcast_evidence": taken,
            "NewEvidence": event,
            "block of NewEvidence": await self.call("block", height=height),
        }

    @asynccontextmanager
    async def _subscribed(self, kind: str) -> AsyncIterator[ClientConnection]:
        async with connect(self.url.replace("http", "ws") + "/websocket", max_size=None) as socket:
            await socket.send(
                json.dumps({"id": 7, "method": "subscribe", "params": {"query": f"tm.event='{kind}'"}})
            )
            first = json.loads(await socket.recv())
            assert first["result"] == {}, first
            yield socket

    async def faults(self) -> dict[str, object]:
        """Return how bad requests are answered: status, and the error without our words in it."""
        found: dict[str, object] = {}
        for body in BAD_POSTS:
            found[f"POST {body[:60]}"] = _fault(await self.http.post("/", content=body))
        for uri in BAD_URIS:
            found[f"GET {uri}"] = _fault(await self.http.get(uri))
        return found


async def heard(socket: ClientConnection) -> Event:
    """Wait for a message."""
    async with asyncio.timeout(20):
        event: Event = json.loads(await socket.recv())
        return event


def _told(event: Event) -> bool:
    value = event["result"]["data"]["value"]
    return "block" not in value or '"tx_results"' in json.dumps(value)


def _fault(answer: httpx.Response) -> object:
    """Return status and JSON of an answer; of the texts in `data` only those that are protocol."""
    try:
        value = answer.json() if answer.content else None
    except ValueError:
        return [answer.status_code, answer.text]
    for one in value if isinstance(value, list) else [value]:
        error = one.get("error") if isinstance(one, dict) else None
        if error:
            text = error.get("data", "")
            # The two chains have different heights.
            error["data"] = (
                re.sub("height [0-9]+$", "height N", text) if PROTOCOL_TEXT.search(text) else bool(text)
            )
    return [answer.status_code, value]


@pytest.mark.slow
@pytest.mark.e2e
def test_answers_have_the_shape_of_a_real_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))

    async def scenario() -> tuple[int, list[Difference]]:
        with (
            real_nodes(tmp_path / "real", count=2, app_state={}) as real,
            cluster(tmp_path / "net", count=2, settings=[APP], with_rpc=True) as net,
        ):
            net.start()
            for node in real:
                node.start()
            await net.wait_ready()
            await asyncio.to_thread(real[0].wait_height, 2)
            ours = Asked(net.rpc(0), "e2e-net", net.home(1))
            return await compare(ours, Asked(real[0].rpc_url, "real-net", real[1].home))

    compared, found = asyncio.run(scenario())
    with capsys.disabled():
        print(f"\n{compared} members compared, {len(found)} differences, all of them listed in EXPECTED")
    unexplained = [str(one) for one in found if not explained(one)]
    assert not unexplained, "\n".join(unexplained)
    assert compared > 800
    unused = [name for name in EXPECTED if not any(matches(name, one) for one in found)]
    assert not unused, "listed and not there"


async def compare(ours: Asked, real: Asked) -> tuple[int, list[Difference]]:
    """Ask both everything; return how many members were compared, and the differences."""
    compared, found = 0, list[Difference]()
    async with ours.http, real.http:
        await ours.prepare()
        await real.prepare()
        for collect in (Asked.answers, Asked.events, Asked.changes, Asked.misbehaviour):
            mine, theirs = await collect(ours), await collect(real)
            if collect is Asked.changes:
                # Of one key and one power both say the same, so here values are compared, too.
                assert mine == theirs
            for question in mine:
                count, more = differences(question, ours=mine[question], real=theirs[question])
                compared, found = compared + count, found + more
        mine, theirs = await ours.faults(), await real.faults()
        for question, answer in mine.items():
            compared += 1
            if answer != theirs[question]:
                found.append(Difference(question, "", json.dumps(answer), json.dumps(theirs[question])))
    return compared, found


def explained(one: Difference) -> bool:
    return any(matches(name, one) for name in EXPECTED)


def matches(name: str, one: Difference) -> bool:
    question, _, path = name.partition(": ")
    asked = one.question.partition(" ")[2] if one.question[0].isdigit() else one.question
    if question not in (asked, "*"):
        return False
    return one.path.startswith(path[:-1]) if path.endswith("*") else one.path == path
