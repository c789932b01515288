"""A node over CometBFT's JSON-RPC: a real one, or ours. Answers are bounded in size and time."""

import ssl
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from catenet.chain.evidence import LightClientAttackEvidence
from catenet.chain.json_fields import JsonError, JsonObject, members, parse_object
from catenet.chain.keys import PublicKey
from catenet.chain.light_block import LightBlock
from catenet.chain.merkle import prove
from catenet.chain.receipt import Outcome
from catenet.chain.results import result_bytes
from catenet.client.light import shapes
from catenet.client.light.provider import TxAnswer
from catenet.types.errors import CatenetError, InvalidInput, NotFound, NotVerified, PastTip, Unavailable
from catenet.types.ids import TxId

ANSWER_BYTES_MAX: Final = 64 << 20
PAGE: Final = 100
VALIDATORS_MAX: Final = 10_000

NO_METHOD, BAD_PARAMS = -32601, -32602


class RpcProvider:
    """A node at an `http://` or `https://` address."""

    def __init__(self, url: str, *, tls_ca: Path | None = None, timeout_s: float) -> None:
        """Connecting happens with the first call. `tls_ca`: the one authority to trust, a PEM file.

        Raises `InvalidInput` for what is no address, and for a file that holds no certificate.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput(
                f"{url!r} is no address of a JSON-RPC; write for example http://127.0.0.1:26657"
            )
        self._url = url
        verify = True if tls_ca is None else _trusting(tls_ca)
        self._http = httpx.AsyncClient(verify=verify, timeout=timeout_s, follow_redirects=False)

    @property
    def name(self) -> str:
        """The node's address."""
        return self._url

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def light_block(self, height: int = 0) -> LightBlock:
        """Return a height's header, commit and validators; 0: the newest."""
        answer = await self.call("commit", {"height": str(height)} if height else {})
        try:
            signed = answer.child("signed_header")
            header = shapes.read_header(signed.child("header"))
            commit = shapes.read_commit(signed.child("commit"))
            found = await self._validators(header.height)
            return shapes.light_block(header, commit, found)
        except ValueError as fault:
            raise self._unreadable("commit", fault) from None

    async def transaction(self, tx_id: TxId) -> TxAnswer:
        """Look a committed transaction up, with proofs: that of its result is made of the block's results."""
        answer = await self.call("tx", {"hash": b64encode(tx_id).decode(), "prove": True})
        try:
            height, tx = answer.integer("height"), answer.base64("tx")
            proof = shapes.read_proof(answer.child("proof").child("proof"))
            results = await self._results(height)
            if sha256(tx).digest() != tx_id or not 0 <= proof.index < len(results):
                raise JsonError(f"the transaction is another one, or {len(results)} results do not hold it")
            leaves = [result_bytes(one.code, one.data, one.gas_wanted, one.gas_used) for one in results]
            return TxAnswer(
                tx=tx,
                height=height,
                proof=proof,
                outcome=results[proof.index],
                outcome_proof=prove(leaves, proof.index),
            )
        except ValueError as fault:
            raise self._unreadable("tx", fault) from None

    async def genesis(self) -> str:
        """Return the text of the genesis that the node claims; large ones it gives in chunks only."""
        text = await self.forward("genesis", {})
        body = parse(text, self._url)
        if "error" in body:
            raise _fault(body.child("error"), "genesis", self._url)
        try:
            # As it was written: a parser would change the application's state.
            return members(members(text.decode())["result"])["genesis"]
        except (JsonError, KeyError, UnicodeDecodeError) as fault:
            raise self._unreadable("genesis", fault) from None

    async def report(self, evidence: LightClientAttackEvidence) -> None:
        """Hand evidence of an attack in."""
        await self.call("broadcast_evidence", {"evidence": shapes.evidence_json(evidence)})

    async def call(self, method: str, params: Mapping[str, object]) -> JsonObject:
        """Call a method and return its result.

        Raises `Unavailable`, `PastTip`, `NotFound`, `InvalidInput` (no such method), `NotVerified` (rubbish).
        """
        body = parse(await self.forward(method, params), self._url)
        if "error" in body:
            raise _fault(body.child("error"), method, self._url)
        try:
            return body.child("result")
        except JsonError as fault:
            raise self._unreadable(method, fault) from None

    async def forward(self, method: str, params: Mapping[str, object]) -> bytes:
        """Call a method and return the answer's text, whatever it says. Raises `Unavailable`."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": dict(params)}
        text = bytearray()
        try:
            async with self._http.stream("POST", self._url, json=request) as answer:
                async for chunk in answer.aiter_bytes():
                    text += chunk
                    if len(text) > ANSWER_BYTES_MAX:
                        raise NotVerified(f"{self._url} answers with more than {ANSWER_BYTES_MAX} bytes")
                if answer.status_code != httpx.codes.OK and not text.lstrip().startswith(b"{"):
                    raise Unavailable(f"{self._url} answers {method} with HTTP {answer.status_code}")
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            reason = str(fault) or type(fault).__name__
            raise Unavailable(f"no answer from {self._url} to {method}: {reason}") from None
        return bytes(text)

    async def _validators(self, height: int) -> list[tuple[PublicKey, int]]:
        every: list[tuple[PublicKey, int]] = []
        for page in range(1, VALIDATORS_MAX // PAGE + 1):
            params = {"height": str(height), "page": str(page), "per_page": str(PAGE)}
            answer = await self.call("validators", params)
            found = [shapes.read_member(one) for one in answer.children("validators")]
            every += found
            if len(every) >= answer.integer("total"):
                return every
            if not found:
                break
        raise JsonError(f"{len(every)} validators of height {height}, and there should be more")

    async def _results(self, height: int) -> list[Outcome]:
        answer = await self.call("block_results", {"height": str(height)})
        return [
            Outcome(
                code=one.number("code") if "code" in one else 0,
                data=one.base64("data") if "data" in one else b"",
                gas_wanted=one.integer("gas_wanted") if "gas_wanted" in one else 0,
                gas_used=one.integer("gas_used") if "gas_used" in one else 0,
            )
            for one in answer.children("txs_results")
        ]

    def _unreadable(self, method: str, fault: Exception) -> NotVerified:
        return NotVerified(f"{self._url} answers {method} with what does not read: {fault}")


def _trusting(authority: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as error:
        # An SSLError is one, too.
        why = error.strerror or error
        raise InvalidInput(
            f"{authority}: {why}; name a PEM file with the certificate of an authority"
        ) from None


def parse(text: bytes, name: str) -> JsonObject:
    """Return the object in a JSON-RPC answer; raises `NotVerified` when there is none."""
    try:
        return parse_object(text)
    except JsonError as fault:
        raise NotVerified(f"{name} answers with what does not read: {fault}") from None


def _fault(error: JsonObject, method: str, name: str) -> CatenetError:
    """Return the error of ours that an answer's error means. The texts are part of the protocol (2.1)."""
    try:
        code = error.number("code")
        text = " ".join(error.text(key) for key in ("message", "data") if key in error)
    except JsonError as fault:
        return NotVerified(f"{name} answers {method} with an error that does not read: {fault}")
    message = f"{name} answers {method}: {text[:500]}"
    if "must be less than or equal to the current blockchain height" in text:
        return PastTip(message)
    if "is not available" in text or "not found" in text or "could not find" in text:
        return NotFound(message)
    if code in (NO_METHOD, BAD_PARAMS):
        return InvalidInput(message)
    return Unavailable(message)
