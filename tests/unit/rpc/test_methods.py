"""What methods answer: broadcasts, pages, the genesis, what waits, and a chain before its first block."""

from hashlib import sha256

import pytest

from catenet.rpc.limits import Limits
from catenet.types.application import CheckResult
from catenet.types.errors import Overloaded
from support.api import FAILING, REFUSED
from support.rpc import Caller, MemoryDesk, based, fault_of, run_served

INTERNAL = -32603


def test_a_broadcast_says_what_the_application_said() -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        good = await caller.result("broadcast_tx_sync", tx=based(b"x=1"))
        name = sha256(b"x=1").hexdigest().upper()
        assert good == {"code": 0, "data": "", "log": "", "codespace": "", "hash": name}
        bad = await caller.result("broadcast_tx_sync", tx=based(REFUSED + b"1"))
        assert (bad["code"], bad["log"]) == (3, "told to refuse")
        done = await caller.result("broadcast_tx_commit", tx=based(FAILING + b"1"))
        result = done["tx_result"]
        assert isinstance(result, dict)
        assert (done["height"], result["code"], result["log"]) == ("5", 7, "told to fail")
        refused = await caller.result("broadcast_tx_commit", tx=based(REFUSED + b"2"))
        check = refused["check_tx"]
        assert isinstance(check, dict)
        assert (refused["height"], check["code"]) == ("0", 3)

    run_served(body)


def test_a_commit_that_does_not_come_in_time_is_an_error() -> None:
    async def body(desk: MemoryDesk, caller: Caller) -> None:
        desk.node.gate.clear()
        text = "timed out waiting for tx to be included in a block"
        assert await caller.error("broadcast_tx_commit", {"tx": based(b"x=1")}) == (INTERNAL, text)

    run_served(body, limits=Limits(commit_s=0.02))


def test_an_asynchronous_broadcast_does_not_wait_and_is_bounded() -> None:
    async def body(desk: MemoryDesk, caller: Caller) -> None:
        desk.node.gate.clear()
        for number in range(2):
            await caller.result("broadcast_tx_async", tx=based(b"x=%d" % number))
        code, data = await caller.error("broadcast_tx_async", {"tx": based(b"x=2")})
        assert (code, data) == (INTERNAL, "mempool is full: number of txs 2 (max: 2)")
        desk.node.gate.set()

    run_served(body, limits=Limits(async_txs=2))


def test_a_full_node_says_when_to_come_back() -> None:
    async def body(desk: MemoryDesk, caller: Caller) -> None:
        desk.node.faults.append(Overloaded("everything is full", retry_after_s=3))
        request = {"id": 1, "method": "broadcast_tx_sync", "params": {"tx": based(b"x=1")}}
        answer = await caller.http.post("/", json=request)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
        assert fault_of(answer.json()) == (INTERNAL, "everything is full")

    run_served(body)


def test_a_bug_in_a_handler_is_an_internal_error_without_detail() -> None:
    async def body(desk: MemoryDesk, caller: Caller) -> None:
        desk.node.faults.append(ZeroDivisionError("secret"))
        code, data = await caller.error("broadcast_tx_sync", {"tx": based(b"x=1")})
        assert (code, data) == (INTERNAL, "the node failed to answer: see its log")
        assert (await caller.post("health"))["result"] == {}

    run_served(body)


@pytest.mark.parametrize(
    ("page", "per_page", "expected"),
    [(None, None, 7), ("1", "3", 3), ("3", "3", 1), ("1", "0", 7), ("1", "-4", 7), ("1", "1000", 7)],
)
def test_a_page_is_cut_from_the_whole(page: str | None, per_page: str | None, expected: int) -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        found = await caller.result("validators", page=page, per_page=per_page)
        members = found["validators"]
        assert isinstance(members, list)
        assert (len(members), found["count"], found["total"]) == (expected, str(expected), "7")

    run_served(body)


@pytest.mark.parametrize("page", ["0", "-1", "4"])
def test_a_page_that_is_not_there_is_refused(page: str) -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        code, data = await caller.error("validators", {"page": page, "per_page": "3"})
        assert (code, data) == (INTERNAL, f"page should be within [1, 3] range, given {page}")

    run_served(body)


def test_the_chain_before_its_first_block_is_answered_too() -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        assert (await caller.result("block"))["block"] is None
        assert (await caller.post("commit"))["result"] is None
        assert (await caller.error("block_results", {}))[0] == INTERNAL
        assert (await caller.result("validators"))["block_height"] == "1"
        sync = (await caller.result("status"))["sync_info"]
        assert isinstance(sync, dict)
        assert sync["latest_block_height"] == "0"
        assert sync["latest_block_time"] == "1970-01-01T00:00:00Z"

    run_served(body, blocks=0)


def test_the_genesis_keeps_the_numbers_of_the_application() -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        answer = await caller.http.get("/genesis")
        assert '"app_state":{"big": 12345678901234567890123}' in answer.text
        chunk = await caller.result("genesis_chunked", chunk="0")
        assert chunk["total"] == "1"
        text = "there are 0 chunks, 1 is invalid"
        assert await caller.error("genesis_chunked", {"chunk": "1"}) == (INTERNAL, text)

    run_served(body)


def test_what_waits_for_a_block_is_listed() -> None:
    async def body(desk: MemoryDesk, caller: Caller) -> None:
        desk.waiting = [b"a", b"b", b"c"]
        found = await caller.result("unconfirmed_txs", limit="2")
        assert found == {"n_txs": "2", "total": "3", "total_bytes": "3", "txs": ["YQ==", "Yg=="]}
        counted = await caller.result("num_unconfirmed_txs")
        assert counted == {"n_txs": "3", "total": "3", "total_bytes": "3", "txs": None}

    run_served(body)


def test_a_check_goes_nowhere() -> None:
    async def body(desk: MemoryDesk, caller: Caller) -> None:
        desk.verdict = CheckResult(code=9, log="no", codespace="test", data=b"d")
        found = await caller.result("check_tx", tx=based(b"x=1"))
        assert (found["code"], found["log"], found["codespace"], found["data"]) == (9, "no", "test", "ZA==")
        assert not desk.node.submitted

    run_served(body)
