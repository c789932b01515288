"""Our application under a CometBFT node: the service `tendermint.abci.ABCI` over an `Application`.

All calls go to the application one at a time, whichever of the engine's four connections they come over.
What the application raises in a call that changes its state ends the server, as it ends our own node.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from catenet.abci import answers, requests, values
from catenet.abci.checks import Checks
from catenet.types.application import Application, CheckResult, Query, QueryResult
from catenet.types.errors import WrongState
from catenet.types.extensions import Snapshots, VoteExtensions
from catenet.wire.abci import abci_pb2 as pb
from catenet.wire.grpc_runner import ServerRunner
from catenet.wire.grpc_server import Context, Handler, Option, parser, server_options, service, unary

log = logging.getLogger(__name__)

T = TypeVar("T")

SERVICE = "tendermint.abci.ABCI"

MESSAGE_BYTES_MAX = 112 * 1024 * 1024
"""A block of the format has up to 100 MiB; the engine sends it whole."""

STREAMS_MAX = 1024
CALLS_MAX = 16 * STREAMS_MAX
"""More calls at once than a node makes over its connections: a refused one would end the node."""

FAILED = CheckResult(code=1, log="the application failed to check it", codespace="catenet")

ACCEPTED = pb.ResponseProcessProposal(status="ACCEPT").SerializeToString()
REFUSED = pb.ResponseProcessProposal(status="REJECT").SerializeToString()
EXTENSION_ACCEPTED = pb.ResponseVerifyVoteExtension(status="ACCEPT").SerializeToString()
EXTENSION_REFUSED = pb.ResponseVerifyVoteExtension(status="REJECT").SerializeToString()


class Worker(Protocol):
    """The one thread in which the application lives."""

    def run(
        self, call: Callable[[], T], *, done: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> None:
        """Run a call there; `done` or `failed` follows in the event loop."""
        ...


@dataclass(frozen=True, slots=True)
class Returned(Generic[T]):
    """What a call returned."""

    value: T


@dataclass(frozen=True, slots=True)
class Raised:
    """What a call raised."""

    error: BaseException


class AbciServer:
    """Serves one application to one engine. `start`, then `run` until cancelled, then `stop`."""

    def __init__(
        self,
        app: Application,
        *,
        address: str,
        worker: Worker,
        committed: Callable[[], object],
        halt: Callable[[str], None],
    ) -> None:
        """`committed` makes what was committed durable, in the application's thread; `halt` is told why."""
        self._app = app
        self._worker = worker
        self._committed = committed
        self._halt = halt
        self._checks = Checks(self._check_all)
        self._began = False
        """InitChain was called since the start."""
        self._executed = False
        """A block is executed and not committed."""
        self._runner = ServerRunner(
            address=address,
            handlers=[service(SERVICE, self._methods())],
            options=_options(),
            credentials=None,
            calls_max=CALLS_MAX,
        )

    @property
    def port(self) -> int:
        """The port that is bound, once started."""
        return self._runner.port

    async def start(self) -> None:
        """Bind and serve. Raises `WrongState` when the address cannot be had."""
        await self._runner.start()

    async def run(self) -> None:
        """Gather checks and watch the port until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._checks.run())
            tasks.create_task(self._runner.run())

    async def stop(self, grace_s: float) -> None:
        """Take no new calls; let the running ones end within `grace_s` seconds."""
        await self._runner.stop(grace_s)

    def _methods(self) -> dict[str, Handler]:
        return {
            "Echo": unary(self._echo, parser(pb.RequestEcho)),
            "Flush": unary(self._flush, parser(pb.RequestFlush)),
            "Info": unary(self._info, parser(pb.RequestInfo)),
            "InitChain": unary(self._init_chain, parser(pb.RequestInitChain)),
            "CheckTx": unary(self._check_tx, parser(pb.RequestCheckTx)),
            "Query": unary(self._query, parser(pb.RequestQuery)),
            "PrepareProposal": unary(self._prepare, parser(pb.RequestPrepareProposal)),
            "ProcessProposal": unary(self._process, parser(pb.RequestProcessProposal)),
            "ExtendVote": unary(self._extend_vote, parser(pb.RequestExtendVote)),
            "VerifyVoteExtension": unary(self._verify_extension, parser(pb.RequestVerifyVoteExtension)),
            "FinalizeBlock": unary(self._finalize, parser(pb.RequestFinalizeBlock)),
            "Commit": unary(self._commit, parser(pb.RequestCommit)),
            "ListSnapshots": unary(self._list_snapshots, parser(pb.RequestListSnapshots)),
            "OfferSnapshot": unary(self._offer_snapshot, parser(pb.RequestOfferSnapshot)),
            "LoadSnapshotChunk": unary(self._load_chunk, parser(pb.RequestLoadSnapshotChunk)),
            "ApplySnapshotChunk": unary(self._apply_chunk, parser(pb.RequestApplySnapshotChunk)),
        }

    # Calls to the application.

    async def _ask(self, call: Callable[[], T]) -> Returned[T] | Raised:
        """Make a call in the application's thread; say what came of it."""
        answer: asyncio.Future[Returned[T] | Raised] = asyncio.get_running_loop().create_future()

        def settle(outcome: Returned[T] | Raised) -> None:
            if not answer.done():
                answer.set_result(outcome)

        self._worker.run(
            call,
            done=lambda value: settle(Returned(value)),
            failed=lambda error: settle(Raised(error)),
        )
        return await answer

    async def _must(self, what: str, call: Callable[[], T]) -> T:
        """Make a call that must not fail: after a fault the application's state is not known any more."""
        match await self._ask(call):
            case Returned(value=value):
                return value
            case Raised(error=error):
                reason = f"{what} failed: {type(error).__name__}: {error}"
                log.critical("application_failed", exc_info=error, extra={"call": what})
                self._halt(reason)
                raise WrongState(reason)

    async def _may(self, what: str, call: Callable[[], bytes], otherwise: Callable[[], bytes]) -> bytes:
        """Make a call whose fault the chain can live with."""
        match await self._ask(call):
            case Returned(value=value):
                return value
            case Raised(error=error):
                log.error("application_failed", exc_info=error, extra={"call": what})
                return otherwise()

    async def _check_all(self, txs: Sequence[bytes], recheck: bool) -> Sequence[CheckResult]:
        match await self._ask(lambda: list(self._app.check_txs(txs, recheck=recheck))):
            case Returned(value=results) if len(results) == len(txs):
                return results
            case Returned(value=results):
                log.error("check_failed", extra={"given": len(results), "wanted": len(txs)})
            case Raised(error=error):
                log.error("check_failed", exc_info=error)
        return [FAILED] * len(txs)

    # The methods of the service.

    async def _echo(self, request: pb.RequestEcho, context: Context) -> bytes:
        return pb.ResponseEcho(message=request.message).SerializeToString()

    async def _flush(self, request: pb.RequestFlush, context: Context) -> bytes:
        return b""

    async def _info(self, request: pb.RequestInfo, context: Context) -> bytes:
        return await self._must("info", lambda: answers.info_out(self._app.info()).SerializeToString())

    async def _init_chain(self, request: pb.RequestInitChain, context: Context) -> bytes:
        genesis = requests.init_chain_in(request)

        def work() -> bytes:
            self._began = True
            return answers.init_chain_out(self._app.init_chain(genesis)).SerializeToString()

        return await self._must("init_chain", work)

    async def _check_tx(self, request: pb.RequestCheckTx, context: Context) -> bytes:
        recheck = request.type == pb.CHECK_TX_TYPE_RECHECK
        result = await self._checks.ask(request.tx, recheck=recheck)
        return answers.check_out(result).SerializeToString()

    async def _query(self, request: pb.RequestQuery, context: Context) -> bytes:
        return await self._may(
            "query",
            lambda: self._answer(requests.query_in(request)),
            lambda: answers.query_out(
                QueryResult(code=1, log="the application failed to answer", codespace="catenet")
            ).SerializeToString(),
        )

    def _answer(self, query: Query) -> bytes:
        return answers.query_out(self._app.query(query)).SerializeToString()

    async def _prepare(self, request: pb.RequestPrepareProposal, context: Context) -> bytes:
        prepare = requests.prepare_in(request)

        def chosen(txs: Sequence[bytes]) -> bytes:
            return pb.ResponsePrepareProposal(txs=fitting(txs, prepare.max_tx_bytes)).SerializeToString()

        return await self._may(
            f"prepare_proposal at height {prepare.height}",
            lambda: chosen(self._app.prepare_proposal(prepare)),
            lambda: chosen(prepare.txs),
        )

    async def _process(self, request: pb.RequestProcessProposal, context: Context) -> bytes:
        process = requests.process_in(request)
        return await self._may(
            f"process_proposal at height {process.height}",
            lambda: ACCEPTED if self._app.process_proposal(process) else REFUSED,
            lambda: REFUSED,
        )

    async def _finalize(self, request: pb.RequestFinalizeBlock, context: Context) -> bytes:
        block = requests.finalize_in(request)
        what = f"finalize_block at height {block.height}"
        stands = await self._must(what, lambda: self._app.info().last_block_height)
        # An engine goes on over our restarts without asking where we stand.
        if stands != block.height - 1 if stands else not self._began:
            raise WrongState(
                f"block {block.height} does not follow: the application is at height {stands} since it was"
                " started; start the engine again, which then gives it the blocks that it lacks"
            )

        def work() -> bytes:
            answer = answers.outcome_out(self._app.finalize_block(block)).SerializeToString()
            self._executed = True
            return answer

        return await self._must(what, work)

    async def _commit(self, request: pb.RequestCommit, context: Context) -> bytes:
        if not self._executed:
            raise WrongState(
                "no block was executed since the application was started: it does not hold what is to be"
                " committed; start the engine again, which then gives it the block again"
            )

        def work() -> bytes:
            self._executed = False
            result = self._app.commit()
            # Before the engine hears of it: it may drop blocks that the application would need again.
            self._committed()
            return pb.ResponseCommit(retain_height=result.retain_height).SerializeToString()

        return await self._must("commit", work)

    # Vote extensions and snapshots: of applications that have them.

    async def _extend_vote(self, request: pb.RequestExtendVote, context: Context) -> bytes:
        app = self._app
        if not isinstance(app, VoteExtensions):
            return b""
        extend = requests.extend_vote_in(request)
        return await self._must(
            f"extend_vote at height {extend.height}",
            lambda: pb.ResponseExtendVote(vote_extension=app.extend_vote(extend)).SerializeToString(),
        )

    async def _verify_extension(self, request: pb.RequestVerifyVoteExtension, context: Context) -> bytes:
        app = self._app
        if not isinstance(app, VoteExtensions):
            # Ours are empty; what another one says is no business of an application without extensions.
            return EXTENSION_REFUSED if request.vote_extension else EXTENSION_ACCEPTED
        verify = requests.verify_extension_in(request)
        return await self._may(
            f"verify_vote_extension at height {verify.height}",
            lambda: EXTENSION_ACCEPTED if app.verify_vote_extension(verify) else EXTENSION_REFUSED,
            lambda: EXTENSION_REFUSED,
        )

    async def _list_snapshots(self, request: pb.RequestListSnapshots, context: Context) -> bytes:
        app = self._app
        if not isinstance(app, Snapshots):
            return b""
        return await self._must(
            "list_snapshots",
            lambda: pb.ResponseListSnapshots(
                snapshots=[values.snapshot_out(one) for one in app.list_snapshots()]
            ).SerializeToString(),
        )

    async def _offer_snapshot(self, request: pb.RequestOfferSnapshot, context: Context) -> bytes:
        app = self._app
        if not isinstance(app, Snapshots):
            return pb.ResponseOfferSnapshot(result="ABORT").SerializeToString()
        snapshot = values.snapshot_in(request.snapshot)
        return await self._must(
            f"offer_snapshot of height {snapshot.height}",
            lambda: pb.ResponseOfferSnapshot(
                result=app.offer_snapshot(snapshot, request.app_hash).name
            ).SerializeToString(),
        )

    async def _load_chunk(self, request: pb.RequestLoadSnapshotChunk, context: Context) -> bytes:
        app = self._app
        if not isinstance(app, Snapshots):
            return b""
        return await self._must(
            f"load_snapshot_chunk of height {request.height}",
            lambda: pb.ResponseLoadSnapshotChunk(
                chunk=app.load_snapshot_chunk(request.height, request.format, request.chunk)
            ).SerializeToString(),
        )

    async def _apply_chunk(self, request: pb.RequestApplySnapshotChunk, context: Context) -> bytes:
        app = self._app
        if not isinstance(app, Snapshots):
            return pb.ResponseApplySnapshotChunk(result="ABORT").SerializeToString()
        return await self._must(
            f"apply_snapshot_chunk {request.index}",
            lambda: answers.chunk_out(
                app.apply_snapshot_chunk(request.index, request.chunk, request.sender)
            ).SerializeToString(),
        )


def fitting(txs: Sequence[bytes], bytes_max: int) -> list[bytes]:
    """Return the first transactions that a block has room for, as the format counts them."""
    kept: list[bytes] = []
    taken = 0
    for tx in txs:
        length = len(tx)
        # Each stands behind its tag and its length as a varint.
        taken += 1 + max(1, (length.bit_length() + 6) // 7) + length
        if taken > bytes_max:
            break
        kept.append(tx)
    return kept


def _options() -> list[Option]:
    sizes = {
        "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
        "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
    }
    usual = server_options(streams_max=STREAMS_MAX, window_bytes=4 * 1024 * 1024)
    return [*(option for option in usual if option[0] not in sizes), *sizes.items()]
