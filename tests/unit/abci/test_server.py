"""Our server as an engine sees it: checks are gathered, what an application does not have is empty."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import grpc
import pytest
from google.protobuf.message import Message

from catenet.abci.checks import Checks
from catenet.abci.link import SERVICE
from catenet.abci.server import fitting
from catenet.types.application import (
    Application,
    BlockOutcome,
    CheckResult,
    CommitResult,
    FinalizeBlock,
    Info,
    PrepareProposal,
)
from catenet.types.extensions import (
    ChunkOutcome,
    ChunkResult,
    ExtendVote,
    OfferResult,
    Snapshot,
    VerifyVoteExtension,
)
from catenet.wire.abci import abci_pb2 as pb
from support.abci import Process, process
from support.cluster import HOST

M = TypeVar("M", bound=Message)

CALL_S = 10.0


class Engine:
    """Calls the methods of the service."""

    def __init__(self, served: Process) -> None:
        self.served = served
        self._channel = grpc.insecure_channel(f"{HOST}:{served.port}")

    def ask(self, method: str, request: Message, kind: type[M]) -> M:
        return kind.FromString(self.send(method, request.SerializeToString()))

    def send(self, method: str, data: bytes) -> bytes:
        call: Callable[..., bytes] = self._channel.unary_unary(f"/{SERVICE}/{method}")
        return call(data, timeout=CALL_S)

    def close(self) -> None:
        self._channel.close()


class Counting(Application):
    """Notes the batches that it checks; the first one waits until it is told to go on."""

    def __init__(self) -> None:
        self.batches: list[tuple[Sequence[bytes], bool]] = []
        self.go_on = threading.Event()
        self.begun = threading.Event()

    def check_txs(self, txs: Sequence[bytes], *, recheck: bool) -> Sequence[CheckResult]:
        self.batches.append((txs, recheck))
        self.begun.set()
        self.go_on.wait(CALL_S)
        return [CheckResult(code=len(tx)) for tx in txs]

    def prepare_proposal(self, request: PrepareProposal) -> Sequence[bytes]:
        return [b"x" * 100] * 5


@pytest.fixture
def engine() -> Iterator[Engine]:
    with process(Counting) as served:
        made = Engine(served)
        yield made
        made.close()


def test_checks_that_come_side_by_side_are_one_batch(engine: Engine) -> None:
    app = engine.served.app
    assert isinstance(app, Counting)
    with ThreadPoolExecutor(41) as pool:
        first = pool.submit(engine.ask, "CheckTx", pb.RequestCheckTx(tx=b"a"), pb.ResponseCheckTx)
        assert app.begun.wait(CALL_S)
        rest = [
            pool.submit(engine.ask, "CheckTx", pb.RequestCheckTx(tx=b"b" * (n + 2)), pb.ResponseCheckTx)
            for n in range(40)
        ]
        server = engine.served._server
        assert server is not None
        for _ in range(500):
            if len(server._checks._waiting) == len(rest):
                break
            threading.Event().wait(0.01)
        app.go_on.set()
        assert first.result(CALL_S).code == 1
        assert [one.result(CALL_S).code for one in rest] == [n + 2 for n in range(40)]
    assert [len(txs) for txs, _ in app.batches] == [1, 40]


def test_checks_of_two_kinds_are_not_mixed() -> None:
    async def body() -> None:
        batches: list[tuple[Sequence[bytes], bool]] = []

        async def check_all(txs: Sequence[bytes], recheck: bool) -> Sequence[CheckResult]:
            batches.append((txs, recheck))
            return [CheckResult()] * len(txs)

        checks = Checks(check_all)
        async with asyncio.TaskGroup() as tasks:
            asked = [
                tasks.create_task(checks.ask(tx, recheck=recheck))
                for tx, recheck in ((b"a", True), (b"b", True), (b"c", False), (b"d", True))
            ]
            gone = tasks.create_task(checks.ask(b"gone", recheck=True))
            await asyncio.sleep(0)
            gone.cancel()
            running = tasks.create_task(checks.run())
            await asyncio.wait(asked)
            running.cancel()
        assert batches == [([b"a", b"b"], True), ([b"c"], False), ([b"d"], True)]

    asyncio.run(body())


def test_an_answer_of_the_wrong_length_refuses_the_batch() -> None:
    class Short(Application):
        def check_txs(self, txs: Sequence[bytes], *, recheck: bool) -> Sequence[CheckResult]:
            return []

    with process(Short) as served:
        engine = Engine(served)
        found = engine.ask("CheckTx", pb.RequestCheckTx(tx=b"a"), pb.ResponseCheckTx)
        assert (found.code, found.log) == (1, b"the application failed to check it")
        engine.close()


def test_a_proposal_is_cut_to_what_a_block_has_room_for(engine: Engine) -> None:
    # Each of them takes 102 bytes: tag, length, and itself.
    request = pb.RequestPrepareProposal(max_tx_bytes=305, height=1)
    assert len(engine.ask("PrepareProposal", request, pb.ResponsePrepareProposal).txs) == 2
    assert len(fitting([b"x" * 100] * 5, 306)) == 3
    assert len(fitting([b"x" * 200] * 5, 203 * 2)) == 2, "a length above 127 takes two bytes"
    assert fitting([b""], 2) == [b""]


class Kept(Counting):
    """Says the height that it keeps over its lives."""

    height = 0

    def info(self) -> Info:
        return Info(last_block_height=Kept.height)

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        return BlockOutcome(results=(), app_hash=b"h")

    def commit(self) -> CommitResult:
        Kept.height += 1
        return CommitResult(retain_height=7)


def refusal(engine: Engine, method: str, request: Message) -> str:
    with pytest.raises(grpc.RpcError) as found:
        engine.send(method, request.SerializeToString())
    assert isinstance(found.value, grpc.Call)
    assert found.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    return found.value.details() or ""


def test_an_engine_that_goes_on_over_a_restart_is_refused_what_does_not_follow() -> None:
    Kept.height = 0
    with process(Kept) as served:
        engine = Engine(served)

        def finalize(height: int) -> pb.RequestFinalizeBlock:
            return pb.RequestFinalizeBlock(height=height)

        assert "is at height 0 since it was started" in refusal(engine, "FinalizeBlock", finalize(1))
        engine.ask("InitChain", pb.RequestInitChain(), pb.ResponseInitChain)
        assert "no block was executed" in refusal(engine, "Commit", pb.RequestCommit())
        engine.ask("FinalizeBlock", finalize(1), pb.ResponseFinalizeBlock)
        assert engine.ask("Commit", pb.RequestCommit(), pb.ResponseCommit).retain_height == 7
        assert served.flushes == 1
        engine.ask("FinalizeBlock", finalize(2), pb.ResponseFinalizeBlock)
        served.restart()
        assert "no block was executed" in refusal(engine, "Commit", pb.RequestCommit())
        for height in (1, 3):
            said = refusal(engine, "FinalizeBlock", finalize(height))
            assert f"block {height} does not follow: the application is at height 1" in said
        engine.ask("FinalizeBlock", finalize(2), pb.ResponseFinalizeBlock)
        assert served.halted == [], "the application itself is in order"
        engine.close()


def test_an_application_without_extensions_and_snapshots_has_empty_ones(engine: Engine) -> None:
    ask = engine.ask
    assert ask("ExtendVote", pb.RequestExtendVote(height=1), pb.ResponseExtendVote).vote_extension == b""
    for extension, status in ((b"", 1), (b"x", 2)):
        request = pb.RequestVerifyVoteExtension(vote_extension=extension)
        found = ask("VerifyVoteExtension", request, pb.ResponseVerifyVoteExtension)
        assert found.status == status
    assert not ask("ListSnapshots", pb.RequestListSnapshots(), pb.ResponseListSnapshots).snapshots
    offer = ask("OfferSnapshot", pb.RequestOfferSnapshot(), pb.ResponseOfferSnapshot)
    assert offer.result == pb.ResponseOfferSnapshot.ABORT
    assert ask("LoadSnapshotChunk", pb.RequestLoadSnapshotChunk(), pb.ResponseLoadSnapshotChunk).chunk == b""
    chunk = ask("ApplySnapshotChunk", pb.RequestApplySnapshotChunk(), pb.ResponseApplySnapshotChunk)
    assert chunk.result == pb.ResponseApplySnapshotChunk.ABORT


class Whole(Counting):
    """Has snapshots and vote extensions."""

    def extend_vote(self, request: ExtendVote) -> bytes:
        return b"at %d" % request.height

    def verify_vote_extension(self, request: VerifyVoteExtension) -> bool:
        return request.vote_extension == b"at %d" % request.height

    def list_snapshots(self) -> Sequence[Snapshot]:
        return [Snapshot(height=5, format=1, chunks=2, hash=b"h")]

    def load_snapshot_chunk(self, height: int, format: int, chunk: int) -> bytes:
        return b"%d/%d/%d" % (height, format, chunk)

    def offer_snapshot(self, snapshot: Snapshot, app_hash: bytes) -> OfferResult:
        return OfferResult.ACCEPT if app_hash == b"good" else OfferResult.REJECT

    def apply_snapshot_chunk(self, index: int, chunk: bytes, sender: str) -> ChunkOutcome:
        if chunk:
            return ChunkOutcome()
        return ChunkOutcome(result=ChunkResult.RETRY, refetch_chunks=(index,), reject_senders=(sender,))


def test_an_application_with_extensions_and_snapshots_is_asked_for_them() -> None:
    with process(Whole) as served:
        engine = Engine(served)
        ask = engine.ask
        extension = ask("ExtendVote", pb.RequestExtendVote(height=3), pb.ResponseExtendVote).vote_extension
        assert extension == b"at 3"
        for height, status in ((3, 1), (4, 2)):
            verify = pb.RequestVerifyVoteExtension(height=height, vote_extension=extension)
            assert ask("VerifyVoteExtension", verify, pb.ResponseVerifyVoteExtension).status == status
        (snapshot,) = ask("ListSnapshots", pb.RequestListSnapshots(), pb.ResponseListSnapshots).snapshots
        assert (snapshot.height, snapshot.format, snapshot.chunks, snapshot.hash) == (5, 1, 2, b"h")
        for app_hash, result in ((b"good", 1), (b"bad", 3)):
            offer = pb.RequestOfferSnapshot(snapshot=snapshot, app_hash=app_hash)
            assert ask("OfferSnapshot", offer, pb.ResponseOfferSnapshot).result == result
        load = pb.RequestLoadSnapshotChunk(height=5, format=1, chunk=1)
        assert ask("LoadSnapshotChunk", load, pb.ResponseLoadSnapshotChunk).chunk == b"5/1/1"
        apply = pb.RequestApplySnapshotChunk(index=1, chunk=b"", sender="peer")
        found = ask("ApplySnapshotChunk", apply, pb.ResponseApplySnapshotChunk)
        assert (found.result, list(found.refetch_chunks), list(found.reject_senders)) == (3, [1], ["peer"])
        engine.close()


def test_rubbish_is_refused_and_changes_nothing(engine: Engine) -> None:
    with pytest.raises(grpc.RpcError) as found:
        engine.send("FinalizeBlock", b"\xff\xff\xff")
    assert isinstance(found.value, grpc.Call)
    assert found.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert engine.served.halted == []
    assert engine.ask("Echo", pb.RequestEcho(message="x"), pb.ResponseEcho).message == "x"
