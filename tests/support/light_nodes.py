"""Nodes for light clients: over a chain in memory, honest or not; and the answers of a real one over HTTP."""

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from catenet.chain.evidence import LightClientAttackEvidence
from catenet.chain.light import Terms
from catenet.chain.light_block import LightBlock
from catenet.chain.merkle import prove
from catenet.chain.receipt import Outcome
from catenet.chain.results import result_bytes
from catenet.client.light import shapes
from catenet.client.light.provider import Provider, TxAnswer
from catenet.client.light.session import LightClient
from catenet.client.light.store import TrustedStore
from catenet.types.errors import CatenetError, NotFound, PastTip
from catenet.types.ids import TxId
from support.api import result_of
from support.chain import LocalChain

TERMS = Terms(trusting_period_ns=10**15)


class ChainNode:
    """A provider over a chain in memory. `faults` are raised by the next calls; `lie` changes its blocks."""

    def __init__(self, name: str, chain: LocalChain, *, head: int | None = None) -> None:
        self.name = name
        self.chain = chain
        self.head = len(chain.decided) if head is None else head
        self.grows = 0
        """So many heights appear, one with each question for the newest block."""
        self.asked: list[int] = []
        self.faults: list[CatenetError] = []
        self.dead: CatenetError | None = None
        self.lie: Callable[[LightBlock], LightBlock] = lambda block: block
        self.lie_tx: Callable[[TxAnswer], TxAnswer] = lambda answer: answer
        self.reported: list[LightClientAttackEvidence] = []
        self.closed = False

    async def light_block(self, height: int = 0) -> LightBlock:
        self._fail()
        self.asked.append(height)
        if not height and self.grows:
            self.grows, self.head = self.grows - 1, self.head + 1
        height = height or self.head
        if height > self.head:
            raise PastTip(f"height {height} is out of range: the tip is {self.head}")
        return self.lie(self.chain.decided[height - 1].light)

    async def transaction(self, tx_id: TxId) -> TxAnswer:
        self._fail()
        for decided in self.chain.decided[: self.head]:
            ids = [sha256(tx).digest() for tx in decided.block.txs]
            if tx_id in ids:
                index = ids.index(tx_id)
                results = [result_of(tx) for tx in decided.block.txs]
                leaves = [result_bytes(one.code, one.data, one.gas_wanted, one.gas_used) for one in results]
                found = results[index]
                return self.lie_tx(
                    TxAnswer(
                        tx=decided.block.txs[index],
                        height=decided.block.header.height,
                        proof=prove(ids, index),
                        outcome=Outcome(
                            code=found.code,
                            data=found.data,
                            gas_wanted=found.gas_wanted,
                            gas_used=found.gas_used,
                        ),
                        outcome_proof=prove(leaves, index),
                    )
                )
        raise NotFound(f"{tx_id.hex()} is not here")

    async def report(self, evidence: LightClientAttackEvidence) -> None:
        self.reported.append(evidence)

    async def close(self) -> None:
        self.closed = True

    def _fail(self) -> None:
        if self.dead is not None:
            raise self.dead
        if self.faults:
            raise self.faults.pop(0)


def with_txs(chain: LocalChain, txs: Sequence[bytes]) -> None:
    """Add a block whose results are those of `support.api`."""
    results = [(one.code, one.data, one.gas_wanted, one.gas_used) for one in map(result_of, txs)]
    chain.add(chain.build(txs), results=results)


class Watch:
    """A light client over a folder, and what it told."""

    def __init__(
        self,
        folder: Path,
        primary: Provider,
        *witnesses: Provider,
        terms: Terms = TERMS,
        now_ns: int,
        one_by_one: bool = False,
        keep: int = 100,
    ) -> None:
        self.told: list[str] = []
        self.now_ns = now_ns
        self.client = LightClient(
            "test-chain",
            primary,
            witnesses,
            TrustedStore(folder, "test-chain", keep=keep),
            terms,
            one_by_one=one_by_one,
            lag_s=0.05,
            clock_ns=lambda: self.now_ns,
            tell=self.told.append,
        )


Answers = Callable[[str, Mapping[str, object]], object]
"""(method, params) -> the result, or bytes that are sent as they are; `LookupError` is an error's text."""


def chain_answers(chain: LocalChain) -> Answers:
    """Answer about a chain as a node with JSON-RPC does."""

    def answers(method: str, params: Mapping[str, object]) -> object:
        if method.startswith("broadcast"):
            return {"method": method, **params}
        decided = chain.decided[int(str(params.get("height", len(chain.decided)))) - 1]
        block = decided.light
        match method:
            case "commit":
                header, commit = shapes.header_json(block.header), shapes.commit_json(block.commit)
                return {"signed_header": {"header": header, "commit": commit}, "canonical": True}
            case "validators":
                members = [shapes.validator_json(one) for one in block.validators.validators]
                return {"validators": members, "total": str(len(members))}
            case _:
                return {
                    "block": {
                        "header": shapes.header_json(block.header),
                        "data": {"txs": [b64encode(tx).decode() for tx in decided.block.txs]},
                        "evidence": {"evidence": []},
                        "last_commit": shapes.commit_json(decided.block.last_commit),
                    }
                }

    return answers


@contextmanager
def rpc_server(answers: Answers) -> Iterator[str]:
    """Serve JSON-RPC over HTTP on loopback; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body: dict[str, object] = {"jsonrpc": "2.0", "id": request["id"]}
            try:
                result = answers(request["method"], request["params"])
            except LookupError as error:
                body["error"] = {"code": -32603, "message": "Internal error", "data": str(error.args[0])}
            else:
                body["result"] = result
                if isinstance(result, bytes):
                    self._send(result)
                    return
            self._send(json.dumps(body).encode())

        def _send(self, text: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
