"""The one place where effects are performed: one `match`, nothing decided here.

What the durability law holds back passes through the `Outbox`; the rest is done at once.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Protocol, assert_never

from catenet.node.outbox import Outbox
from catenet.node.signer import Signer
from catenet.node.worker import AppWorker
from catenet.types.application import Application, CheckResult
from catenet.types.effects import (
    Abandoned,
    Acknowledge,
    Answer,
    Append,
    Broadcast,
    CheckTxs,
    CommitBlock,
    Dropped,
    Effect,
    Execute,
    Fetch,
    Halt,
    Notice,
    Overload,
    Penalise,
    PrepareBlock,
    ProcessBlock,
    RequestBlocks,
    Send,
    SetTimer,
    Sign,
)
from catenet.types.errors import CatenetError, Unavailable
from catenet.types.events import (
    BlocksEnded,
    BlocksReceived,
    Committed,
    Event,
    FetchEnded,
    FetchReceived,
    Finalized,
    Prepared,
    Processed,
    TimerFired,
    TimerKey,
    TxsChecked,
)
from catenet.types.ids import Address, RequestId
from catenet.types.messages import Found, Message
from catenet.types.ports import PeerNetwork
from catenet.types.records import Record, RejoinRecord

log = logging.getLogger(__name__)

FETCH_TIMEOUT_S = 5.0
BLOCKS_TIMEOUT_S = 30.0
BAN_S = 600.0
"""How long a peer that was caught lying is refused (S2)."""


class BlockSink(Protocol):
    """Where final blocks are stored (`catenet.storage.ledger.Ledger`)."""

    def store(self, effect: CommitBlock) -> None:
        """Store block, commit, outcome and index of one height."""
        ...


class Clients(Protocol):
    """The submissions that wait for an answer (`catenet.node.gateway.NodeGateway`)."""

    def acknowledged(self, effect: Acknowledge) -> None:
        """A submission reached a level."""
        ...

    def refused(self, effect: Overload | Abandoned) -> None:
        """A submission was refused as a whole, or will not be REPLICATED."""
        ...

    def dropped(self, effect: Dropped) -> None:
        """Transactions will not be committed from here."""
        ...

    def final(self, effect: CommitBlock) -> None:
        """A block is final."""
        ...

    def answered(self, request: RequestId, found: Sequence[Found]) -> None:
        """The answer to a peer's fetch is ready."""
        ...


class Perform:
    """Does effects, with the adapters it was given."""

    def __init__(
        self,
        *,
        tasks: asyncio.TaskGroup,
        post: Callable[[Event], None],
        encode: Callable[[Record], bytes],
        outbox: Outbox,
        network: PeerNetwork,
        signer: Signer,
        app: Application,
        worker: AppWorker,
        sink: BlockSink,
        clients: Clients,
        halt: Callable[[str], None],
        on_final: Callable[[int, int], None],
    ) -> None:
        """`halt` is told why; `on_final` the height and the size in bytes of each final block."""
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._post = post
        self._encode = encode
        self._outbox = outbox
        self._network = network
        self._signer = signer
        self._app = app
        self._worker = worker
        self._sink = sink
        self._clients = clients
        self._halt = halt
        self._on_final = on_final
        self._timers: dict[TimerKey, asyncio.TimerHandle] = {}
        self._requests: set[asyncio.Task[None]] = set()
        self._stopped = False

    def stop(self) -> None:
        """Give up requests to peers, timers and what is still held back: nobody waits for it any more."""
        self._stopped = True
        for timer in self._timers.values():
            timer.cancel()
        for task in self._requests:
            task.cancel()

    def perform(self, effect: Effect) -> None:
        """Do one effect, or hold it back until the records before it are on disk."""
        match effect:
            case Append(record=record):
                self._append(record)
            case Send() | Broadcast() | Answer() | Acknowledge() | CommitBlock():
                self._outbox.hold(effect)
            case SetTimer(key=key, delay_us=delay_us):
                self._set_timer(key, delay_us)
            case Sign(item=item):
                self._post(self._signer.sign(item, self._outbox.guard))
            case CheckTxs() | PrepareBlock() | ProcessBlock() | Execute():
                self._ask_application(effect)
            case Fetch():
                self._request(self._fetch(effect))
            case RequestBlocks():
                self._request(self._request_blocks(effect))
            case Overload() | Abandoned():
                self._clients.refused(effect)
            case Dropped():
                self._clients.dropped(effect)
            case Penalise(peer=peer, reason=reason, disconnect=disconnect):
                # Only what cuts the peer off is worth a line: it cannot be repeated at will.
                log.log(
                    logging.WARNING if disconnect else logging.DEBUG,
                    "peer_penalised",
                    extra={"peer": peer.hex(), "reason": reason},
                )
                if disconnect:
                    self._network.disconnect(peer, ban_s=BAN_S)
            case Notice(name=name, fields=fields, alarm=alarm):
                log.log(logging.WARNING if alarm else logging.INFO, name, extra={"fields": dict(fields)})
            case Halt(reason=reason):
                self._halt(reason)
            case _:
                assert_never(effect)

    def _append(self, record: Record) -> None:
        self._outbox.append(self._encode(record))
        if isinstance(record, RejoinRecord):
            # The key refuses by itself what the core will not ask for.
            self._signer.sign_above(record.height)

    def end_turn(self) -> None:
        """Hand what this turn appended to the writer."""
        try:
            self._outbox.end_turn()
        except Unavailable as error:
            # The disk failed a moment ago: the word of its thread is on the way.
            self._halt(str(error))

    def release(self, effects: Sequence[Effect]) -> None:
        """Let go of effects whose records are on disk, each peer's messages in the order asked for.

        Neighbours share a frame; a broadcast is serialised once.
        """
        if self._stopped:
            return
        broadcast: list[Message] = []
        sends: dict[Address, list[Message]] = {}
        for effect in effects:
            match effect:
                case Broadcast(message=message):
                    self._send(sends)
                    broadcast.append(message)
                case Send(peer=peer, message=message):
                    self._broadcast(broadcast)
                    sends.setdefault(peer, []).append(message)
                case Answer(request=request, found=found):
                    self._clients.answered(request, found)
                case Acknowledge():
                    self._clients.acknowledged(effect)
                case CommitBlock():
                    self._commit(effect)
                case _:
                    raise AssertionError(f"{type(effect).__name__} is never held back")
        self._broadcast(broadcast)
        self._send(sends)

    def _broadcast(self, messages: list[Message]) -> None:
        if messages:
            self._network.broadcast(tuple(messages))
            messages.clear()

    def _send(self, messages_of: dict[Address, list[Message]]) -> None:
        for peer, messages in messages_of.items():
            self._network.send(peer, messages)
        messages_of.clear()

    def _request(self, work: Coroutine[object, object, None]) -> None:
        task = self._tasks.create_task(work)
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    def _set_timer(self, key: TimerKey, delay_us: int) -> None:
        running = self._timers.pop(key, None)
        if running is not None:
            running.cancel()
        self._timers[key] = self._loop.call_later(delay_us / 1e6, self._fire, key)

    def _fire(self, key: TimerKey) -> None:
        self._timers.pop(key, None)
        self._post(TimerFired(key=key))

    def _ask_application(self, effect: CheckTxs | PrepareBlock | ProcessBlock | Execute) -> None:
        app, run, post = self._app, self._worker.run, self._post
        match effect:
            case CheckTxs(request=request, txs=txs, recheck=recheck):

                def refused(error: BaseException) -> None:
                    log.error("check_failed", exc_info=error)
                    results = [CheckResult(code=1, log="the application failed to check it")] * len(txs)
                    post(TxsChecked(request=request, results=results))

                run(
                    lambda: app.check_txs(txs, recheck=recheck),
                    done=lambda results: post(TxsChecked(request=request, results=results)),
                    failed=refused,
                )
            case PrepareBlock(height=height, round=round_, request=prepare):

                def unprepared(error: BaseException) -> None:
                    log.error("prepare_failed", exc_info=error)
                    post(Prepared(height=height, round=round_, txs=prepare.txs))

                run(
                    lambda: app.prepare_proposal(prepare),
                    done=lambda chosen: post(Prepared(height=height, round=round_, txs=chosen)),
                    failed=unprepared,
                )
            case ProcessBlock(request=process):

                def judged(accepted: bool | None) -> None:
                    post(Processed(height=process.height, block_hash=process.hash, accepted=accepted))

                def unjudged(error: BaseException) -> None:
                    log.error("process_failed", exc_info=error)
                    judged(None)

                run(lambda: app.process_proposal(process), done=judged, failed=unjudged)
            case Execute(height=height, request=execute):
                run(
                    lambda: app.finalize_block(execute),
                    done=lambda outcome: post(Finalized(height=height, outcome=outcome)),
                    # Whether other nodes fail alike is not known: going on could fork the state.
                    failed=lambda error: self._fatal(f"finalize_block failed at height {height}", error),
                )

    def _commit(self, effect: CommitBlock) -> None:
        def work() -> None:
            # The store first: an application ahead of it could not be told what it has executed.
            self._sink.store(effect)
            self._app.commit()

        def done(_: None) -> None:
            self._clients.final(effect)
            self._on_final(effect.height, len(effect.raw))
            self._post(Committed(height=effect.height))

        self._worker.run(
            work,
            done=done,
            failed=lambda error: self._fatal(f"commit failed at height {effect.height}", error),
        )

    def _fatal(self, what: str, error: BaseException) -> None:
        log.critical("halted", exc_info=error, extra={"reason": what})
        self._halt(f"{what}: {type(error).__name__}: {error}")

    async def _fetch(self, effect: Fetch) -> None:
        failed = False
        try:
            async for found in self._network.fetch(effect.peer, effect.wanted, timeout_s=FETCH_TIMEOUT_S):
                self._post(FetchReceived(request=effect.request, peer=effect.peer, found=found))
        except CatenetError as error:
            log.debug("fetch_failed", extra={"peer": effect.peer.hex(), "reason": str(error)})
            failed = True
        self._post(FetchEnded(request=effect.request, peer=effect.peer, failed=failed))

    async def _request_blocks(self, effect: RequestBlocks) -> None:
        failed = False
        try:
            runs = self._network.blocks(effect.peer, effect.first, effect.last, timeout_s=BLOCKS_TIMEOUT_S)
            async for run in runs:
                self._post(
                    BlocksReceived(
                        request=effect.request,
                        peer=effect.peer,
                        first=run.first,
                        blocks=run.blocks,
                        commit=run.commit,
                    )
                )
        except CatenetError as error:
            log.debug("blocks_failed", extra={"peer": effect.peer.hex(), "reason": str(error)})
            failed = True
        self._post(BlocksEnded(request=effect.request, peer=effect.peer, failed=failed))
