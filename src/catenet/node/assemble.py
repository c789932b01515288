"""Puts a node together from its home: opens what is stored, makes the adapters, hands them to each other.

The only module that knows all rooms. What the end of a node looks like is in `supervise`.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar

from catenet import __version__
from catenet.api.server import Listener, PublicServer, TlsFiles
from catenet.chain.genesis import Genesis
from catenet.chain.keys import PrivateKey, PublicKey, node_id, parse_key_file, parse_node_key
from catenet.core.node import Node
from catenet.core.reads import pledge
from catenet.network.config import Endpoint, LocalNode, TlsIdentity
from catenet.network.peers import Peers
from catenet.node import clock, settings, telemetry
from catenet.node.barrier import ASK_S, Barrier
from catenet.node.config import TLS_CA, TLS_CERTIFICATE, TLS_KEY, NodeConfig
from catenet.node.desk import NodeDesk
from catenet.node.doors import Door
from catenet.node.foreign import Hosted, open_application
from catenet.node.gateway import NodeGateway
from catenet.node.handshake import refill, shake_hands
from catenet.node.history import ChainHistory
from catenet.node.intake import Intake
from catenet.node.journal import Journal, open_journal
from catenet.node.maintenance import Maintenance
from catenet.node.opening import open_app_state, read_genesis, read_key, stored_state
from catenet.node.outbox import Outbox
from catenet.node.perform import Perform
from catenet.node.runtime import Runtime
from catenet.node.supervise import EXIT_FAILED, Supervisor
from catenet.node.view import Identity, View
from catenet.node.watching import WatchedCore
from catenet.node.worker import AppWorker
from catenet.security.identity import CertificateChecker
from catenet.storage.home import Home, read_private
from catenet.storage.ledger import Ledger
from catenet.storage.state import TableState
from catenet.storage.writer import Writer
from catenet.types.desk import NodeFacts
from catenet.types.errors import CatenetError, InvalidInput
from catenet.types.events import Started
from catenet.types.ids import Address
from catenet.types.lamport import LamportClock
from catenet.wire.records import encode_record

log = logging.getLogger(__name__)

T = TypeVar("T")

STOP_S = 3.0
"""How long connections may take to end in good order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The node's two keys."""

    vote: PrivateKey
    node: PrivateKey


async def run_node(root: Path, *, config: NodeConfig) -> int:
    """Run the node of a home until it is told to stop; return the exit code."""
    lamport = LamportClock()
    as_json = config.log_format == "json" or (config.log_format == "auto" and not sys.stderr.isatty())
    telemetry.configure(
        name=config.name, level=config.log_level, as_json=as_json, lamport=lambda: lamport.time
    )
    home = Home(root)
    try:
        with home.lock():
            return await _run_locked(home, config, lamport)
    except (CatenetError, OSError) as error:
        log.critical("not_started", extra={"reason": str(error)})
        return EXIT_FAILED


async def _run_locked(home: Home, config: NodeConfig, lamport: LamportClock) -> int:
    genesis = read_genesis(home)
    keys = Keys(
        vote=read_key(home.validator_key, parse_key_file), node=read_key(home.node_key, parse_node_key)
    )
    ledger = Ledger.open(home.data)
    if ledger.rebuilt:
        log.warning("index_rebuilt", extra={"height": ledger.head})
    state = stored_state(home, genesis, ledger)
    journal = open_journal(home, state=state, key=keys.vote)
    refill(ledger, journal.records, genesis)
    app_state = open_app_state(home, journal, ledger)
    try:
        hosted = await open_application(config, app_state, genesis=genesis, ledger=ledger)
        code = await Assembly(
            home=home,
            config=config,
            genesis=genesis,
            keys=keys,
            journal=journal,
            ledger=ledger,
            app_state=app_state,
            hosted=hosted,
            lamport=lamport,
        ).run()
    finally:
        closed = _close(ledger, app_state, journal)
    return code if closed else EXIT_FAILED


def _close(ledger: Ledger, app_state: TableState, journal: Journal) -> bool:
    """Close what is stored; False when something failed, after which nothing that rests on it is written."""
    try:
        # The blocks before the state that follows from them.
        ledger.close()
        app_state.close()
        journal.close()
    except (CatenetError, OSError) as error:
        log.critical("not_closed", extra={"reason": str(error)})
        return False
    return True


def _read_tls(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        text = f"{path}: {error.strerror}; copy there what the chain's authority issued for this node"
        raise InvalidInput(text) from None


class Assembly:
    """The parts of one running node."""

    def __init__(
        self,
        *,
        home: Home,
        config: NodeConfig,
        genesis: Genesis,
        keys: Keys,
        journal: Journal,
        ledger: Ledger,
        app_state: TableState,
        hosted: Hosted,
        lamport: LamportClock,
    ) -> None:
        self._home = home
        self._config = config
        self._genesis = genesis
        self._keys = keys
        self._journal = journal
        self._ledger = ledger
        self._app_state = app_state
        self._loop = asyncio.get_running_loop()
        self._hosted = hosted
        self._worker = AppWorker(self._loop)
        self._runtime = Runtime(self._loop)
        self._supervisor = Supervisor(self._runtime.stop)
        state = shake_hands(hosted.app, genesis, ledger)
        hosted.started(state.last_height, call_in(self._loop, self._supervisor.halt))
        journal.settle()
        self._core = Node(
            settings.core_config(config),
            state,
            address=keys.vote.public.address,
            window=ledger,
            reader=ledger,
            history=ChainHistory(ledger),
            verify=PublicKey.verify,
        )
        self._core.restore(journal.records)
        self._watched = WatchedCore(self._core)
        self._peers = self._make_peers(lamport)
        self._view = View(self._identity(), self._core, self._peers, ledger, clock.now)
        self._barrier = self._make_barrier()
        self._gateway = NodeGateway(
            post=self._runtime.post,
            reader=ledger,
            app=hosted.app,
            worker=self._worker,
            confirm=self._barrier.confirm,
            status=self._view.status,
            pending=self._core.pending,
            judge=lambda wrapped: self._core.evidence.refusal(wrapped, self._core.state),
            tx_bytes_max=config.batches.tx_bytes_max,
        )
        self._public = PublicServer(self._gateway, self._listeners())
        self._door = Door(config, home.config, self._gateway, self._make_desk(), ledger.events)

    async def run(self) -> int:
        """Open the ports, take part, and drain in the end."""
        self._supervisor.listen()
        # First of all: what clients and peers send as soon as the ports are open comes after it.
        self._runtime.post(Started())
        await self._public.start()
        await self._door.start()
        intake = Intake(
            post=self._runtime.post,
            post_message=self._runtime.post_message,
            fetch=self._gateway.on_fetch,
            heard=self._view.heard,
            pledge=self._pledge,
            reader=self._ledger,
        )
        await self._peers.start(intake)
        async with asyncio.TaskGroup() as tasks:
            writer, perform, maintenance = self._start_core(tasks)
            keep = self._supervisor.keep
            peers = tasks.create_task(keep("the peer connections", self._peers.run()))
            public = tasks.create_task(keep("the public ports", self._public.run()))
            door = tasks.create_task(keep("the JSON-RPC", self._door.run()))
            checkpoints = tasks.create_task(keep("the checkpoints", maintenance.run()))
            log.info("started", extra={"height": self._ledger.head, "home": str(self._home.root)})
            code = await self._supervisor.run(self._drain, self._gateway.stop)
            self._runtime.stop()
            perform.stop()
            self._hosted.close()
            checkpoints.cancel()
            self._peers.stop()
            await asyncio.wait([peers, public, door], timeout=STOP_S)
            for task in (public, door, peers):
                task.cancel()
        # In a thread, so that a second signal is heard while the application finishes its call.
        await asyncio.to_thread(self._worker.close)
        writer.close()
        log.info("stopped", extra={"height": self._ledger.head, "home": str(self._home.root)})
        return code

    async def _drain(self, grace_s: float) -> None:
        async with asyncio.TaskGroup() as tasks:
            for door in (self._public, self._door):
                tasks.create_task(door.stop(grace_s))

    def _start_core(self, tasks: asyncio.TaskGroup) -> tuple[Writer, Perform, Maintenance]:
        loop, journal = self._loop, self._journal
        outbox = Outbox()
        writer = Writer(
            journal.safety.journal,
            journal.safety.guard,
            on_durable=call_in(loop, outbox.on_durable),
            on_failure=call_in(loop, self._disk_failed),
        )
        maintenance = Maintenance(
            ledger=self._ledger,
            app_state=self._app_state,
            write=lambda records: writer.write([encode_record(record) for record in records]),
            trim=writer.trim,
            live_records=self._core.live_records,
            newest_ticket=lambda: outbox.newest,
        )
        perform = Perform(
            tasks=tasks,
            post=self._runtime.post,
            encode=encode_record,
            outbox=outbox,
            network=self._peers,
            signer=journal.signer,
            app=self._hosted.app,
            worker=self._worker,
            sink=self._ledger,
            clients=self._gateway,
            halt=self._supervisor.halt,
            on_final=self._on_final(maintenance),
        )
        outbox.start(write=writer.write, release=perform.release)
        self._runtime.start(self._watched, perform)
        return writer, perform, maintenance

    def _make_barrier(self) -> Barrier:
        ledger = self._ledger
        return Barrier(
            address=self._keys.vote.public.address,
            head=lambda: ledger.head,
            validators=lambda head: ledger.validators_at(head + 1) or self._core.state.validators,
            pledge=self._pledge,
            ask=lambda peer: self._peers.pledge(peer, timeout_s=ASK_S),
        )

    def _make_desk(self) -> NodeDesk:
        return NodeDesk(
            facts=NodeFacts(
                public_key=self._keys.vote.public,
                peer_address=str(self._config.listen.peer),
                genesis=self._genesis,
            ),
            ledger=self._ledger,
            core=self._core,
            watched=self._watched,
            peers=self._peers,
            known=self._config.peers,
            app=self._hosted.app,
            worker=self._worker,
            clock=clock.now,
        )

    def _on_final(self, maintenance: Maintenance) -> Callable[[int, int], None]:
        def on_final(height: int, size: int) -> None:
            maintenance.on_final(height, size)
            self._barrier.advanced()

        return on_final

    def _pledge(self) -> int | None:
        """Return the newest height that this node may have helped to decide; None while it does not vote."""
        if self._core.syncing or not self._core.consensus.signs:
            return None
        return pledge(self._journal.signer.state, self._ledger.head)

    def _disk_failed(self, error: OSError) -> None:
        # A failed write or fsync is never tried again: what is on the disk is not known any more.
        self._runtime.stop()
        self._supervisor.halt(f"the journal cannot be written: {error}")

    def _make_peers(self, lamport: LamportClock) -> Peers:
        config, folder = self._config, self._home.config
        ca = _read_tls(folder / TLS_CA)
        try:
            checker = CertificateChecker(
                ca=ca, chain_id=self._genesis.chain_id, now_ns=lambda: clock.now().wall_ns
            )
        except InvalidInput as error:
            raise InvalidInput(f"{folder / TLS_CA}: {error}") from None
        vote = self._keys.vote
        endpoints = [
            Endpoint(address=bytes.fromhex(peer.address), name=peer.name, target=f"{peer.host}:{peer.port}")
            for peer in config.peers
        ]
        return Peers(
            local=LocalNode(
                chain_id=self._genesis.chain_id,
                address=vote.public.address,
                node_id=node_id(self._keys.node.public),
                sign=vote.sign,
                software=f"catenet/{__version__}",
            ),
            tls=TlsIdentity(
                ca=ca,
                certificate=_read_tls(folder / TLS_CERTIFICATE),
                key=read_private(folder / TLS_KEY),
                identify=checker.check,
            ),
            config=settings.network_config(config),
            endpoints=lambda: endpoints,
            members=self._members,
            clock=lamport,
            # Only spreads the pauses between attempts to connect; nothing depends on its values.
            random=Random(vote.public.address),
            now_us=lambda: clock.now().mono_us,
        )

    def _members(self) -> Mapping[Address, PublicKey]:
        """Return who may connect: the validators of the heights around this one."""
        state = self._core.state
        sets = [state.last_validators, state.validators, state.next_validators]
        return {v.address: v.public_key for members in sets if members for v in members.validators}

    def _identity(self) -> Identity:
        names = {validator.address: validator.name for validator in self._genesis.validators}
        names.update({bytes.fromhex(peer.address): peer.name for peer in self._config.peers})
        address = self._keys.vote.public.address
        return Identity(
            chain_id=self._genesis.chain_id,
            node_id=node_id(self._keys.node.public),
            name=self._config.name,
            address=address,
            home=str(self._home.root),
            names={**names, address: self._config.name},
        )

    def _listeners(self) -> Sequence[Listener]:
        listen, folder = self._config.listen, self._home.config
        listeners = []
        if listen.public_plaintext is not None:
            listeners.append(Listener(address=str(listen.public_plaintext)))
        if listen.public_tls is not None:
            files = TlsFiles(certificate=folder / TLS_CERTIFICATE, key=folder / TLS_KEY)
            listeners.append(Listener(address=str(listen.public_tls), tls=files))
        return listeners


def call_in(loop: asyncio.AbstractEventLoop, call: Callable[[T], None]) -> Callable[[T], None]:
    """Return a function that has `call` done in the event loop, whichever thread it is called in."""

    def relay(value: T) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(call, value)

    return relay
