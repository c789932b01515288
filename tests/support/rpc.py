"""A desk in memory behind `ports.ChainDesk`, and the real JSON-RPC server over it.

It stands in for the node at the port boundary and nowhere else: blocks, server, sockets and clients are real.
"""

import asyncio
import json
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx
from websockets.asyncio.client import ClientConnection, connect

from catenet.api.server import TlsFiles
from catenet.chain.evidence import Evidence, unwrap
from catenet.chain.genesis import Genesis
from catenet.chain.keys import PrivateKey
from catenet.chain.params import ConsensusParams
from catenet.chain.validators import ValidatorSet
from catenet.rpc.limits import Limits
from catenet.rpc.server import Listener, RpcServer
from catenet.types.application import ADMITTED, CheckResult, Info, Query, QueryResult
from catenet.types.desk import LinkView, NodeFacts, PendingTxs, Watcher
from catenet.types.errors import InvalidInput
from catenet.types.ports import EventIndex
from support.api import CHAIN_ID, FIRST_TIME_NS, MemoryNode

KEYS = [PrivateKey(bytes([number]) * 32) for number in range(1, 8)]
ANSWER_S = 5.0


def genesis() -> Genesis:
    return Genesis(
        genesis_time_ns=FIRST_TIME_NS, chain_id=CHAIN_ID, app_state='{"big": 12345678901234567890123}'
    )


@dataclass
class MemoryDesk:
    """A `ports.ChainDesk` that answers from what a test gave it."""

    node: MemoryNode = field(default_factory=MemoryNode)
    waiting: Sequence[bytes] = ()
    verdict: CheckResult = ADMITTED
    accusations: list[Evidence] = field(default_factory=list)
    refuse: str = ""
    """Why evidence is refused; empty when it is not."""

    def __post_init__(self) -> None:
        self.asked: list[Query] = []
        self.watcher: Watcher | None = None

    @property
    def facts(self) -> NodeFacts:
        return NodeFacts(public_key=KEYS[0].public, peer_address="127.0.0.1:26656", genesis=genesis())

    def validators_at(self, height: int) -> ValidatorSet | None:
        if height > self.node.ledger.head + 1:
            return None
        return ValidatorSet.new([(key.public, 10) for key in KEYS])

    def params_at(self, height: int) -> ConsensusParams | None:
        return ConsensusParams() if height <= self.node.ledger.head + 1 else None

    def links(self) -> Sequence[LinkView]:
        address = KEYS[1].public.address
        return [
            LinkView(
                name="other", address=address, host="127.0.0.1", port=26666, dialled_here=True, last_seen_ms=7
            )
        ]

    def pending_txs(self, limit: int) -> PendingTxs:
        size = sum(map(len, self.waiting))
        return PendingTxs(txs=self.waiting[:limit], count=len(self.waiting), bytes=size)

    async def info(self) -> Info:
        return Info(data="memory", version="1", app_version=1, last_block_height=self.node.ledger.head)

    async def ask(self, query: Query) -> QueryResult:
        self.asked.append(query)
        return QueryResult(key=query.data, value=b"value", height=self.node.ledger.head, log="exists")

    async def check(self, tx: bytes) -> CheckResult:
        return self.verdict

    def watch(self, watcher: Watcher | None) -> None:
        self.watcher = watcher

    def submit_evidence(self, wrapped: bytes) -> bytes:
        if self.refuse:
            raise InvalidInput(self.refuse)
        self.accusations.append(unwrap(wrapped))
        return self.accusations[-1].hash()


class Caller:
    """A client of one server."""

    def __init__(
        self, http: httpx.AsyncClient, address: str, *, trust: ssl.SSLContext | None = None, token: str = ""
    ) -> None:
        """`trust`: which certificates this client believes, where the server has one."""
        self.http = http
        self.address = address
        self._trust = trust
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    async def post(self, method: str, params: object = None, *, request_id: object = 1) -> dict[str, object]:
        """Call a method; returns the whole answer."""
        request = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        answer = await self.http.post("/", json=request)
        found: dict[str, object] = answer.json()
        assert found.get("id") == request_id
        return found

    async def result(self, method: str, **params: object) -> dict[str, object]:
        """Call a method that must succeed; returns its result."""
        answer = await self.post(method, params)
        assert "error" not in answer, answer
        found = answer["result"]
        assert isinstance(found, dict)
        return found

    async def error(self, method: str, params: object = None) -> tuple[int, str]:
        """Call a method that must fail; returns code and data."""
        answer = await self.post(method, params)
        assert "result" not in answer, answer
        return fault_of(answer)

    @asynccontextmanager
    async def socket(self) -> AsyncIterator["WebSocket"]:
        """Open a WebSocket for the length of the body."""
        scheme = "wss" if self._trust else "ws"
        address = f"{scheme}://{self.address}/websocket"
        async with connect(
            address, max_size=None, ssl=self._trust, additional_headers=self._headers
        ) as connection:
            yield WebSocket(connection)


class WebSocket:
    """A client's end of one WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, method: str, request_id: object = 1, **params: object) -> None:
        request = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        await self.connection.send(json.dumps(request))

    async def receive(self) -> dict[str, object]:
        async with asyncio.timeout(ANSWER_S):
            found: dict[str, object] = json.loads(await self.connection.recv())
        return found

    async def call(self, method: str, request_id: object = 1, **params: object) -> dict[str, object]:
        await self.send(method, request_id, **params)
        answer = await self.receive()
        assert answer.get("id") == request_id
        return answer


def fault_of(answer: dict[str, object]) -> tuple[int, str]:
    """Return code and data of an answer's error."""
    fault = answer["error"]
    assert isinstance(fault, dict)
    return int(fault["code"]), str(fault.get("data", ""))


@asynccontextmanager
async def serving_rpc(
    node: MemoryNode | None = None,
    desk: MemoryDesk | None = None,
    *,
    index: EventIndex | None = None,
    limits: Limits | None = None,
    token: str = "",
    tls: TlsFiles | None = None,
) -> AsyncIterator[Caller]:
    """Serve a node's JSON-RPC on a free loopback port for the length of the body."""
    desk = desk or MemoryDesk(node=node or MemoryNode())
    listener = Listener(host="127.0.0.1", port=0, token=token)
    if tls is not None:
        listener = replace(listener, certificate=tls.certificate, key=tls.key)
    trust = None if tls is None else ssl.create_default_context(cafile=tls.certificate)
    server = RpcServer(desk.node, desk, desk, listener, index=index, limits=limits)
    await server.start()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.run())
        try:
            url = f"http://{server.address}" if trust is None else f"https://{server.address}"
            async with httpx.AsyncClient(base_url=url, verify=trust or True, timeout=ANSWER_S) as http:
                yield Caller(http, server.address, trust=trust)
        finally:
            await server.stop(0.5)


def based(tx: bytes) -> str:
    """Return bytes as JSON has them."""
    return b64encode(tx).decode()


def run_served(
    body: Callable[[MemoryDesk, Caller], Awaitable[None]],
    *,
    blocks: int = 2,
    limits: Limits | None = None,
    token: str = "",
) -> None:
    """Run a body against a server over a node with a few blocks of one transaction each."""

    async def scenario() -> None:
        desk = MemoryDesk()
        for number in range(blocks):
            desk.node.ledger.commit([b"key%d=value" % number])
        async with serving_rpc(desk=desk, limits=limits, token=token) as caller:
            await body(desk, caller)

    asyncio.run(scenario())
