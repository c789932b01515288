"""The author's kit: what clients, faults and time do on a simulated network."""

from base64 import b64encode
from hashlib import sha256

import pytest

from catenet.apps.kv import KeyValue
from catenet.testing.network import SimulatedNetwork
from catenet.testing.submission import NotCommitted, NotReached
from catenet.types.application import (
    OK,
    Application,
    BlockOutcome,
    CheckResult,
    FinalizeBlock,
    InitChain,
    InitChainResult,
    PrepareProposal,
    Query,
    QueryResult,
    TxResult,
)
from catenet.types.errors import InvalidInput, NotFound, Overloaded, PastTip, Rejected, Unavailable


class Odd(Application):
    """Keeps nothing on disk. Admits what is no `no`; executing `odd` gives code 7."""

    def __init__(self) -> None:
        self.start = b""
        self.seen: list[bytes] = []

    def init_chain(self, request: InitChain) -> InitChainResult:
        self.start = request.app_state
        return InitChainResult(app_hash=sha256(self.start).digest())

    def check_tx(self, tx: bytes, *, recheck: bool) -> CheckResult:
        return CheckResult(code=3, log="it says no") if tx == b"no" else CheckResult()

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        self.seen.extend(request.txs)
        odd = TxResult(code=7, data=b"!", log="odd")
        results = tuple(odd if tx == b"odd" else OK for tx in request.txs)
        return BlockOutcome(results=results, app_hash=sha256(b"".join(self.seen)).digest())

    def query(self, request: Query) -> QueryResult:
        return QueryResult(
            key=request.data, value=self.start if request.path == "/start" else b"|".join(self.seen)
        )


def update(key: bytes, power: int) -> bytes:
    """Return the transaction that gives a validator another power."""
    return b"val=ed25519!%b!%d" % (b64encode(key), power)


def test_a_transaction_gets_a_receipt_with_height_code_and_data() -> None:
    network = SimulatedNetwork(Odd)
    fine, odd = network.submit(b"fine"), network.submit(b"odd", node=3)
    assert fine.receipt is None
    assert (fine.wait().code, fine.wait().data) == (0, b"")
    receipt = odd.wait()
    assert (receipt.code, receipt.data, receipt.log) == (7, b"!", "odd")
    assert receipt.id == sha256(b"odd").digest()
    assert network.block(receipt.height).txs[receipt.index] == b"odd"
    assert network.outcome(receipt.height, node=3).results[receipt.index].code == 7
    assert 0 < network.seconds < 1


def test_what_check_tx_refuses_is_rejected_with_its_code() -> None:
    network = SimulatedNetwork(Odd)
    with pytest.raises(Rejected, match="it says no") as refused:
        network.submit(b"no").wait()
    assert refused.value.code == 3


def test_the_same_bytes_again_get_the_first_receipt() -> None:
    network = SimulatedNetwork(Odd)
    first = network.submit(b"once").wait()
    network.settle()
    assert network.submit(b"once", node=2).wait() == first
    assert network.query("", b"").value == b"once"


def test_without_a_quorum_nothing_is_committed_until_it_heals() -> None:
    network = SimulatedNetwork(KeyValue)
    network.submit(b"a=1").wait()
    network.partition({0, 1})
    held = network.submit(b"b=2")
    with pytest.raises(
        NotCommitted, match=r"b'b=2', handed in at node 0, .* 5 .*partition \{0, 1\} \| \{2, 3\}"
    ):
        held.wait(seconds=5)
    network.heal()
    assert held.wait().height == network.heights[0]
    assert network.query("", b"b").value == b"2"
    network.check()


def test_a_majority_goes_on_while_one_is_cut_off_or_down() -> None:
    network = SimulatedNetwork(KeyValue)
    network.partition({3})
    network.submit(b"a=1").wait()
    assert network.query("", b"a", node=3).code != 0
    network.crash(3)
    network.heal()
    with pytest.raises(Unavailable, match="node 3 is down"):
        network.submit(b"b=2", node=3)
    with pytest.raises(Unavailable, match="node 3 is down"):
        network.query("", b"a", node=3)
    network.submit(b"b=2").wait()
    network.restart(3)
    network.settle()
    assert [network.query("", b"b", node=node).value for node in range(4)] == [b"2"] * 4
    assert len(set(network.heights)) == 1
    network.check()


@pytest.mark.parametrize("application", [Odd, KeyValue])
def test_all_nodes_crash_at_once_and_what_was_final_is_there(application: type[Application]) -> None:
    network = SimulatedNetwork(application)
    height = network.submit(b"a=1").wait().height
    network.crash(0, 1, 2, 3)
    network.recover()
    assert min(network.heights) >= height
    assert network.submit(b"b=1", node=2).wait().height > height
    network.settle()
    network.check()


def test_a_receipt_comes_from_another_node_while_the_own_one_is_down() -> None:
    network = SimulatedNetwork(KeyValue)
    sent = network.submit(b"a=1", node=2)
    network.run_until(lambda: max(network.heights) >= 2)
    network.settle()
    network.crash(2)
    assert sent.wait().height >= 1


@pytest.mark.slow
def test_messages_are_lost_and_the_network_goes_on() -> None:
    network = SimulatedNetwork(KeyValue)
    network.lose(1)
    held = network.submit(b"a=x")
    with pytest.raises(NotCommitted):
        held.wait(seconds=5)
    network.lose(0.3)
    for number in range(5):
        network.submit(b"a=%d" % number, node=number % 4).wait()
    network.recover()
    network.check()


def test_the_time_of_blocks_follows_the_clocks_of_most_nodes() -> None:
    def block_time_s(ahead: int) -> float:
        network = SimulatedNetwork(KeyValue)
        for node in range(ahead):
            network.skew(node, seconds=3600)
        network.submit(b"a=1").wait()
        network.submit(b"b=1").wait()
        return network.block(network.heights[0]).header.time_ns / 1e9 - network.seconds

    assert block_time_s(0) == pytest.approx(block_time_s(1), abs=5)
    assert block_time_s(3) - block_time_s(0) == pytest.approx(3600, abs=5)


@pytest.mark.slow
def test_one_slow_application_and_one_wrong_clock_hold_nobody_up() -> None:
    network = SimulatedNetwork(KeyValue)
    network.slow(1, seconds=3)
    network.skew(2, seconds=-3600)
    network.submit(b"a=1").wait(seconds=20)
    network.submit(b"b=1", node=3).wait(seconds=20)
    assert network.heights[1] < network.heights[0]
    network.slow(1, seconds=0.001)
    network.settle()
    network.check()


@pytest.mark.slow
def test_slow_applications_everywhere_slow_the_network_down() -> None:
    network = SimulatedNetwork(KeyValue)
    for node in range(4):
        network.slow(node, seconds=1)
    network.submit(b"a=1").wait(seconds=120)
    assert network.seconds > 2


@pytest.mark.slow
def test_validator_updates_change_the_powers() -> None:
    network = SimulatedNetwork(KeyValue, powers=[10, 10, 10, 10, 0])
    network.submit(b"a=1").wait()
    network.settle()
    assert network.powers() == [10, 10, 10, 10, 0]
    with pytest.raises(Overloaded, match="node 4: this node is not a validator"):
        network.submit(b"b=1", node=4).wait()
    network.submit(update(network.public_keys[4], 20)).wait()
    network.run_until(lambda: network.powers(node=4) == [10, 10, 10, 10, 20])
    # With 20 of 60 away there is no quorum.
    network.crash(4)
    held = network.submit(b"b=1")
    with pytest.raises(NotCommitted):
        held.wait(seconds=5)
    network.recover()
    assert network.submit(b"c=1", node=4).wait().code == 0
    network.check()


def test_the_application_state_of_the_genesis_arrives() -> None:
    network = SimulatedNetwork(Odd, app_state='{"a": 1}')
    assert network.query("/start", b"", node=1).value == b'{"a": 1}'


def test_what_an_application_adds_to_a_block_is_no_fault() -> None:
    class Adds(Odd):
        def prepare_proposal(self, request: PrepareProposal) -> list[bytes]:
            return [*request.txs, b"height %d" % request.height]

    network = SimulatedNetwork(Adds)
    receipt = network.submit(b"a").wait()
    assert network.block(receipt.height).txs[-1] == b"height %d" % receipt.height


def test_a_factory_may_take_the_store_or_nothing() -> None:
    made: list[Odd] = []

    def factory() -> Odd:
        made.append(Odd())
        return made[-1]

    network = SimulatedNetwork(factory, powers=[1])
    network.submit(b"a").wait()
    network.crash(0)
    network.recover()
    assert [app.seen for app in made] == [[b"a"], [b"a"]]
    SimulatedNetwork(lambda store: KeyValue(store), powers=[1]).submit(b"a=1").wait()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_story_and_another_one_another() -> None:
    def story(seed: int) -> str:
        network = SimulatedNetwork(KeyValue, seed=seed)
        network.submit(b"a=1").wait()
        network.crash(1)
        network.submit(b"b=1").wait()
        network.recover()
        return network.story()

    told = story(5)
    assert "node 1 crashes" in told
    assert "is final at node" in told
    assert story(5) == told
    assert story(6) != told


def test_waiting_for_what_never_comes_ends() -> None:
    network = SimulatedNetwork(KeyValue, powers=[1])
    with pytest.raises(NotReached, match=r"after 2 virtual seconds: heights \[1\]"):
        network.run_until(lambda: False, seconds=2)
    assert network.seconds == 2


def test_what_is_not_there_is_refused_in_words() -> None:
    network = SimulatedNetwork(KeyValue)
    with pytest.raises(InvalidInput, match="no node 4; nodes are numbered from 0 to 3"):
        network.crash(4)
    with pytest.raises(InvalidInput, match="empty"):
        network.submit(b"")
    with pytest.raises(PastTip, match="height 9 is not there yet"):
        network.block(9)
    with pytest.raises(NotFound, match="begin at 1"):
        network.outcome(0)
