"""A foreign application behind the port of our node, over deaths and returns of its process.

Before a call of consensus the application is asked where it stands. One that was away, or came back without
what it had, is brought to the height of the chain again (`shake_hands`), and the call is made again. What
must stop the node is raised: an application that stays away, does not answer, or contradicts the chain.
"""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from catenet.abci.link import SCHEME, Gone, Late, Link
from catenet.abci.remote import ParamsBefore, RemoteApplication
from catenet.types.application import (
    Application,
    BlockOutcome,
    CheckResult,
    CommitResult,
    FinalizeBlock,
    Info,
    InitChain,
    InitChainResult,
    PrepareProposal,
    ProcessProposal,
    Query,
    QueryResult,
)
from catenet.types.errors import CatenetError, Corrupt, WrongState

log = logging.getLogger(__name__)

T = TypeVar("T")

RETURNS_MAX = 20
"""An application that leaves so often in one call dies of the call itself."""

ALWAYS = (Corrupt, Gone)
CONSENSUS = (Corrupt, Gone, Late)
"""What stops the node: in every call, and in one of consensus."""

ShakeHands = Callable[[Application], int]
"""Brings an application to the height of the stored chain; returns that height. Raises `Corrupt`."""


class HostedApplication(Application):
    """One foreign application. Called in one thread; `close` may be called from another."""

    def __init__(self, link: Link, *, params_before: ParamsBefore, shake_hands: ShakeHands) -> None:
        self._link = link
        self._remote = RemoteApplication(link, params_before)
        self._shake_hands = shake_hands
        self._started = False
        self._halt: Callable[[str], None] = log.critical
        self._height = 0
        """What the application has committed, as far as is known here."""
        self._executed: tuple[FinalizeBlock, BlockOutcome] | None = None
        """A block that is executed and not yet committed: an application that dies loses it."""

    def connect(self) -> None:
        """Reach the application. Raises `Gone` when it does not come."""
        self._link.connect()

    def started(self, height: int, halt: Callable[[str], None]) -> None:
        """Learn that the application is at the chain's height: from now on its deaths are survived.

        `halt` stops the node; it is called in the application's thread.
        """
        self._height, self._halt, self._started = height, halt, True

    def close(self) -> None:
        """Stop waiting for an application that is away."""
        self._link.close()

    def info(self) -> Info:
        """Ask where the application stands."""
        return self._remote.info()

    def init_chain(self, request: InitChain) -> InitChainResult:
        """Start the application from the genesis."""
        return self._remote.init_chain(request)

    def check_txs(self, txs: Sequence[bytes], *, recheck: bool) -> Sequence[CheckResult]:
        """Check a batch, in order."""
        return self._ask(lambda: self._remote.check_txs(txs, recheck=recheck))

    def prepare_proposal(self, request: PrepareProposal) -> Sequence[bytes]:
        """Have the application choose the transactions of a block."""
        return self._decide(lambda: self._remote.prepare_proposal(request))

    def process_proposal(self, request: ProcessProposal) -> bool:
        """Have the application judge a block."""
        return self._decide(lambda: self._remote.process_proposal(request))

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        """Have a block executed."""
        outcome = self._decide(lambda: self._remote.finalize_block(request))
        if self._started:
            self._executed = (request, outcome)
        return outcome

    def commit(self) -> CommitResult:
        """Have the application keep the block; afterwards it must say that it has."""
        if not self._started:
            return self._remote.commit()
        return self._or_halt(self._commit, CONSENSUS)

    def _commit(self) -> CommitResult:
        assert self._executed is not None
        # The chain has the block: whatever happens from here on, a handshake executes and commits it.
        self._height, self._executed = self._executed[0].height, None
        try:
            result = self._remote.commit()
            stands = self._remote.info().last_block_height == self._height
        except (Gone, WrongState) as error:
            # It left, or came back in between: a new life may refuse to commit what it has not executed.
            log.warning("application_left", extra={"reason": str(error)})
            result, stands = CommitResult(), False
        if not stands:
            self._survive(self._return)
        return result

    def query(self, request: Query) -> QueryResult:
        """Ask for committed state."""
        return self._ask(lambda: self._remote.query(request))

    def _ask(self, call: Callable[[], T]) -> T:
        """Make a call that clients wait for: they can live without an answer in time."""
        if not self._started:
            return call()
        return self._or_halt(lambda: self._survive(call), ALWAYS)

    def _decide(self, call: Callable[[], T]) -> T:
        """Make a call of consensus, once the application is where it should be."""
        if not self._started:
            return call()

        def in_place() -> T:
            height = self._height
            if self._executed is None and (found := self._remote.info().last_block_height) != height:
                log.warning("application_returned", extra={"height": found, "expected": height})
                self._return()
            return call()

        return self._or_halt(lambda: self._survive(in_place), CONSENSUS)

    def _survive(self, call: Callable[[], T]) -> T:
        """Make a call; when the application leaves meanwhile, wait for it, bring it back, call again."""
        away = self._link.was_lost
        for _ in range(RETURNS_MAX):
            try:
                if away:
                    self._return()
                return call()
            except Gone as error:
                log.warning("application_left", extra={"reason": str(error)})
            self._link.connect()
            away = True
        raise Corrupt(f"{self._who} left {RETURNS_MAX} times in one call: see its log for why it dies")

    def _or_halt(self, call: Callable[[], T], faults: tuple[type[CatenetError], ...]) -> T:
        """Make a call; what is among `faults` stops the node: to go on without a vote would be silent."""
        try:
            return call()
        except faults as error:
            if not self._link.is_closed:
                self._halt(str(error))
            raise

    def _return(self) -> None:
        """Bring an application that was away to where it was."""
        self._link.was_lost = False
        executed = self._executed
        if executed is not None and self._remote.info().last_block_height == executed[0].height:
            # Only the connection was lost: it still holds the block that it executed, and says so.
            return
        try:
            self._height = self._shake_hands(self._remote)
        except WrongState as error:
            # It came back once more in between, and its new life refuses to commit what it has not executed.
            raise Gone(str(error)) from None
        stands = self._remote.info().last_block_height
        if stands != self._height:
            raise Corrupt(
                f"{self._who} says that it is at height {stands} after it committed {self._height}:"
                " in `last_block_height` of Info it must say what it has committed"
            )
        log.info("application_replayed", extra={"height": self._height})
        if executed is not None:
            self._execute_again(*executed)

    def _execute_again(self, request: FinalizeBlock, before: BlockOutcome) -> None:
        outcome = self._remote.finalize_block(request)
        if outcome.app_hash != before.app_hash:
            raise Corrupt(
                f"{self._who} executed height {request.height} again after it was away and came to"
                f" application hash {outcome.app_hash.hex().upper()}, not {before.app_hash.hex().upper()}:"
                " it is not deterministic, or another one was started"
            )

    @property
    def _who(self) -> str:
        return f"the application at {SCHEME}{self._link.target}"
