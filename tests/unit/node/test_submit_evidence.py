"""Evidence from a client: judged at once, then taken as if a peer had sent it."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from catenet.apps.kv import KeyValue
from catenet.chain.evidence import make, wrap
from catenet.chain.keys import PublicKey
from catenet.core.evidence import EvidencePool
from catenet.node.gateway import NodeGateway
from catenet.node.worker import AppWorker
from catenet.storage.ledger import Ledger
from catenet.storage.state import open_state
from catenet.types.errors import InvalidInput, Unavailable
from catenet.types.events import Event, Received
from catenet.types.messages import EvidenceMessage
from catenet.types.ports import EvidenceIntake, NodeStatus
from support.chain import LocalChain, make_chain
from support.evidence_traces import History, named_id

ME = b"m" * 20


@dataclass
class Desk:
    """A gateway before a real evidence pool."""

    folder: Path
    chain: LocalChain = field(default_factory=lambda: make_chain(4, 3))
    posted: list[Event] = field(default_factory=list)
    catching_up: bool = False

    def run(self, wrapped: bytes) -> bytes:
        """Hand evidence in."""
        return asyncio.run(self._submit(wrapped))

    async def _submit(self, wrapped: bytes) -> bytes:
        pool = EvidencePool(History(self.chain), PublicKey.verify)
        ledger = Ledger.open(self.folder / "data")
        state, _ = open_state(self.folder / "app")
        worker = AppWorker(asyncio.get_running_loop())
        try:
            gateway: EvidenceIntake = NodeGateway(
                post=self.posted.append,
                reader=ledger,
                app=KeyValue(state),
                worker=worker,
                confirm=_never,
                status=self._status,
                judge=lambda evidence: pool.refusal(evidence, self.chain.state),
                pending=lambda _: False,
                tx_bytes_max=64,
            )
            return gateway.submit_evidence(wrapped)
        finally:
            worker.close()
            state.close()
            ledger.close()

    def _status(self) -> NodeStatus:
        return NodeStatus(
            chain_id="c",
            node_id="n",
            name="n",
            address=ME,
            height=3,
            block_hash=b"",
            app_hash=b"",
            block_time_ns=0,
            lowest_height=1,
            catching_up=self.catching_up,
            round=0,
            step="",
            validators=(),
            power_total=0,
            power_connected=0,
            waiting_for="",
            pending_txs=0,
            home="",
            uptime_ms=0,
        )

    def evidence(self, *, height: int = 2) -> bytes:
        """Return a double vote of the validator at place 2."""
        past = make_chain(4, height - 1)
        votes = [past.vote(2, named_id(letter)) for letter in "AB"]
        decided = self.chain.decided[height - 1]
        return wrap(make(votes[0], votes[1], decided.light.validators, decided.block.header.time_ns))


async def _never() -> None:
    raise AssertionError("nobody asks here whether the node is current")


def test_true_evidence_goes_the_way_of_a_peers(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    wrapped = desk.evidence()
    named = desk.run(wrapped)
    assert len(named) == 32
    assert desk.posted == [Received(peer=ME, message=EvidenceMessage(evidence=wrapped))]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda data: data[:-1], "the evidence is refused: "),
        (lambda data: data.replace(bytes.fromhex("0a"), b"\x0b", 1), "the evidence is refused: "),
        (lambda data: b"", "evidence of an unknown kind"),
    ],
)
def test_what_is_no_evidence_is_refused(tmp_path: Path, spoil: object, why: str) -> None:
    desk = Desk(tmp_path)
    assert callable(spoil)
    with pytest.raises(InvalidInput, match=why):
        desk.run(spoil(desk.evidence()))
    assert desk.posted == []


def test_a_node_that_is_behind_judges_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path, catching_up=True)
    with pytest.raises(Unavailable, match="ask another one"):
        desk.run(desk.evidence())
    assert desk.posted == []
