"""Looks at what every node's application does: it must be the same everywhere, and it must not fail.

What lives here stands between a simulated node and its application, and changes nothing on the way.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from catenet.testing.simulator.config import Violation
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
from catenet.types.ports import StateStore

P = ParamSpec("P")
R = TypeVar("R")


ADVICE = (
    "The same blocks must give the same everywhere: no clock, no chance, no hash(), no walk through a set, "
    "nothing shared between instances, nothing that a restart forgets"
)


class Divergence(Violation):
    """The applications of two nodes made different things of the same blocks."""


class ApplicationFailed(Violation):
    """The application raised, or did what no application may; what it raised is the cause."""


@dataclass(slots=True)
class Watch:
    """What the applications of all nodes answered, to compare it."""

    proposed: Callable[[Sequence[bytes]], None]
    """Hears which transactions an application proposes: it may add some of its own."""
    committed: Callable[[str, int, int], None]
    """Hears of each commit: node, height, number of transactions."""
    refused: int = 0
    """How many proposed blocks applications refused."""
    _answers: dict[tuple[str, int, bytes], dict[str, list[str]]] = field(default_factory=dict)
    """(what, height, about) -> answer -> who gave it."""

    def compare(self, node: str, height: int, said: Mapping[str, str], about: bytes = b"") -> None:
        """Take what a node's application said at a height. Raises `Divergence` if another said otherwise."""
        for what, value in said.items():
            answers = self._answers.setdefault((what, height, about), {})
            nodes = answers.setdefault(value, [])
            if node not in nodes:
                nodes.append(node)
            if len(answers) > 1:
                sides = "; ".join(
                    f"{value} at {', '.join(sorted(who))}"
                    for value, who in sorted(answers.items(), key=lambda item: min(item[1]))
                )
                text = f"at height {height} the applications differ in {what}: {sides}"
                raise Divergence(f"{text}. {ADVICE}")


class GuardedStore:
    """An application's state store, to which it may write when it commits, and what it commits."""

    def __init__(self, store: StateStore, node: str) -> None:
        self._store = store
        self._node = node
        self.allowed: int | None = store.height
        """The height that may be written at the moment; None: nothing may."""

    @property
    def height(self) -> int:
        """The committed height; 0 before the first commit."""
        return self._store.height

    def get(self, key: bytes) -> bytes | None:
        """Return a committed value."""
        return self._store.get(key)

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Return committed values, in order."""
        return self._store.get_many(keys)

    def items(self, prefix: bytes, after: bytes = b"", limit: int = 100) -> Sequence[tuple[bytes, bytes]]:
        """Return committed items under a prefix, after a key, ascending."""
        return self._store.items(prefix, after, limit)

    def write(self, height: int, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Commit changes and the height. Raises `ApplicationFailed` when it is not the time for it."""
        if self.allowed is None:
            text = f"{self._node}: writes height {height} to its store outside of commit"
            raise ApplicationFailed(f"{text}: a crash would leave it ahead of its chain")
        if height != self.allowed:
            text = f"{self._node}: writes height {height} to its store, and is to write height {self.allowed}"
            raise ApplicationFailed(text)
        self._store.write(height, changes)


class Watched(Application):
    """One node's application, from one start of the node to the next."""

    def __init__(
        self, make: Callable[[StateStore], Application], store: StateStore, *, node: str, watch: Watch
    ) -> None:
        self._node = node
        self._watch = watch
        self._store = GuardedStore(store, node)
        self._block: FinalizeBlock | None = None
        self._app = self._call(0, make, self._store)
        self._store.allowed = None

    def info(self) -> Info:
        """Ask which height the application has committed."""
        return self._call(0, self._app.info)

    def init_chain(self, request: InitChain) -> InitChainResult:
        """Start from the genesis state; the answers of all nodes are compared."""
        self._store.allowed = 0
        result = self._call(0, self._app.init_chain, request)
        self._store.allowed = None
        self._watch.compare(self._node, 0, {"the answer to init_chain": repr(result)})
        return result

    def check_tx(self, tx: bytes, *, recheck: bool) -> CheckResult:
        """Ask whether a transaction may enter."""
        return self._call(0, self._app.check_tx, tx, recheck=recheck)

    def check_txs(self, txs: Sequence[bytes], *, recheck: bool) -> Sequence[CheckResult]:
        """Ask about a batch."""
        return self._call(0, self._app.check_txs, txs, recheck=recheck)

    def prepare_proposal(self, request: PrepareProposal) -> Sequence[bytes]:
        """Ask for the transactions of a block; the application's own ones count as submitted."""
        txs = self._call(request.height, self._app.prepare_proposal, request)
        self._watch.proposed(txs)
        return txs

    def process_proposal(self, request: ProcessProposal) -> bool:
        """Ask whether a proposed block is accepted; all nodes must say the same."""
        accepted = self._call(request.height, self._app.process_proposal, request)
        self._watch.refused += not accepted
        said = {"process_proposal": "accepted" if accepted else "refused"}
        self._watch.compare(self._node, request.height, said, about=request.hash)
        return accepted

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        """Execute a block; what the chain keeps of the outcome is compared."""
        outcome = self._call(request.height, self._app.finalize_block, request)
        if not isinstance(outcome, BlockOutcome):
            text = f"{self._node}: finalize_block returned {outcome!r} at height {request.height}"
            raise ApplicationFailed(f"{text}; return a BlockOutcome")
        self._block = request
        self._watch.compare(self._node, request.height, _in_words(request, outcome))
        return outcome

    def commit(self) -> CommitResult:
        """Have the application keep what the last block changed."""
        assert self._block is not None
        height, count = self._block.height, len(self._block.txs)
        self._store.allowed = height
        result = self._call(height, self._app.commit)
        self._store.allowed = None
        self._watch.committed(self._node, height, count)
        return result

    def query(self, request: Query) -> QueryResult:
        """Read committed state."""
        return self._call(0, self._app.query, request)

    def query_many(self, requests: Sequence[Query]) -> Sequence[QueryResult]:
        """Read many values."""
        return self._call(0, self._app.query_many, requests)

    def _call(self, height: int, verb: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the application. Raises `ApplicationFailed` from what it raised."""
        try:
            return verb(*args, **kwargs)
        except Violation:
            raise
        except Exception as error:
            where = f" at height {height}" if height else ""
            text = f"{self._node}: {_name(verb)} raised {type(error).__name__}{where}: {error}"
            raise ApplicationFailed(text) from error


def _in_words(request: FinalizeBlock, outcome: BlockOutcome) -> dict[str, str]:
    """Return all of an outcome that the chain keeps, by name. Logs and events may differ."""
    words = {
        f"the result of transaction {index} ({tx[:40]!r})": (
            f"code {result.code}, data {result.data!r}, gas {result.gas_used} of {result.gas_wanted}"
        )
        for index, (tx, result) in enumerate(zip(request.txs, outcome.results, strict=False))
    }
    updates = [f"{update.public_key.hex()} power {update.power}" for update in outcome.validator_updates]
    words["the validator updates"] = ", ".join(updates) or "none"
    words["the parameter updates"] = repr(outcome.param_updates)
    words["the application hash"] = outcome.app_hash.hex().upper() or "none"
    return words


def _name(verb: Callable[..., object]) -> str:
    """Return what a traceback calls a function or class."""
    name: object = getattr(verb, "__qualname__", verb)
    return str(name)
