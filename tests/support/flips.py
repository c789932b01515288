"""One flipped bit in a home: what the production's openers then say, and whether all they serve is true.

    python -m support.flips HOME      reads lines `FILE BIT`, writes a JSON object for each

A process of its own: what LMDB makes of damaged pages may end it.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from catenet.apps.kv import KeyValue
from catenet.chain.block import Block
from catenet.chain.genesis import Genesis
from catenet.chain.keys import PrivateKey, parse_key_file
from catenet.node.handshake import refill, shake_hands
from catenet.node.journal import open_journal
from catenet.node.opening import stored_state
from catenet.storage.home import Home
from catenet.storage.ledger import Ledger
from catenet.storage.state import open_state
from catenet.types.application import Query
from catenet.types.errors import CatenetError, Corrupt, WrongState
from support.audit import copy_of
from support.storage import flip

Answers = dict[str, object]
"""What is asked, and what is answered; a question that is refused has no answer."""


@dataclass(slots=True)
class Served:
    """What one start of a home gives out."""

    answers: Answers = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was thrown away and made again."""

    @contextmanager
    def asking(self) -> Iterator[None]:
        try:
            yield
        except (Corrupt, WrongState) as error:
            self.refusals.append(str(error))


def serve(home: Home, genesis: Genesis, key: PrivateKey, asked: "Asked | None") -> Served:
    """Start what a node starts, and ask everything. A refusal to start leaves all questions open."""
    served = Served()
    with served.asking():
        ledger = Ledger.open(home.data)
        try:
            journal = open_journal(home, state=stored_state(home, genesis, ledger), key=key)
        except CatenetError:
            ledger.close()
            raise
        store, was_reset = open_state(home.app)
        served.notes += ["index"] * ledger.rebuilt + ["state"] * was_reset
        app = KeyValue(store)
        try:
            with served.asking():
                refill(ledger, journal.records, genesis)
                shake_hands(app, genesis, ledger)
                ask(served, ledger, app, asked or Asked.of(ledger))
        finally:
            with served.asking():
                store.close()
            with served.asking():
                ledger.close()
            journal.close()
    return served


@dataclass(frozen=True, slots=True)
class Asked:
    """What there is to ask for."""

    head: int
    hashes: list[bytes]
    txs: list[bytes]

    @classmethod
    def of(cls, ledger: Ledger) -> "Asked":
        stored = [block for height in range(1, ledger.head + 1) if (block := ledger.block(height))]
        txs = [bytes(tx) for block in stored for tx in Block.decode(block.raw).txs]
        return cls(ledger.head, [block.block_id.hash for block in stored], txs)


def ask(served: Served, ledger: Ledger, app: KeyValue, asked: Asked) -> None:
    """Ask for every block, transaction and key, and for some that are not there."""
    answers = served.answers
    answers["head"] = ledger.head
    answers["lowest"] = ledger.lowest
    for height in range(1, asked.head + 2):
        with served.asking():
            answers[f"block {height}"] = ledger.block(height)
        with served.asking():
            answers[f"outcome {height}"] = ledger.outcome(height)
        with served.asking():
            answers[f"state {height}"] = ledger.state_at(height)
        with served.asking():
            answers[f"time {height}"] = ledger.time_at(height)
    for block_hash in [*asked.hashes, bytes(32)]:
        with served.asking():
            answers[f"hash {block_hash.hex()}"] = ledger.height_of(block_hash)
    for tx in [*asked.txs, b"no=such"]:
        tx_id = sha256(tx).digest()
        with served.asking():
            answers[f"tx {tx!r}"] = dict(ledger.locate([tx_id]))
        with served.asking():
            answers[f"committed {tx!r}"] = dict(ledger.committed([tx_id]))
        with served.asking():
            answers[f"key {tx!r}"] = app.query(
                Query(data=tx.partition(b"=")[0], path="", height=0, prove=False)
            )
    with served.asking():
        answers["info"] = app.info()


class Bench:
    """A home to damage, again and again."""

    def __init__(self, home: Home, scratch: Home) -> None:
        self._home, self._scratch = home, scratch
        self._genesis = Genesis.from_json(home.genesis.read_text())
        self._key = parse_key_file(home.validator_key.read_text())
        with copy_of(home) as copy:
            whole = serve(copy, self._genesis, self._key, None)
            assert not whole.refusals
            ledger = Ledger.open(copy.data)
            self.asked = Asked.of(ledger)
            ledger.close()
        self.truth = whole.answers

    def damage(self, file: str, bit: int) -> dict[str, object]:
        """Flip a bit, start, ask; then start again, for what is healed by the next start."""
        shutil.rmtree(self._scratch.data, ignore_errors=True)
        shutil.copytree(self._home.data, self._scratch.data)
        flip(self._scratch.root / file, bit)
        starts = [self._start() for _ in range(2)]
        return {
            "wrong": [line for start in starts for line in self._wrong(start)],
            "refused": [start.refusals for start in starts],
            "rebuilt": [start.notes for start in starts],
            "open": [len(self.truth) - len(start.answers) for start in starts],
        }

    def _start(self) -> Served:
        return serve(self._scratch, self._genesis, self._key, self.asked)

    def _wrong(self, served: Served) -> list[str]:
        return [
            f"{what}: {answer!r} and not {self.truth[what]!r}"[:500]
            for what, answer in served.answers.items()
            if answer != self.truth[what]
        ]


def main(root: Path) -> None:
    """Serve as a worker."""
    home = Home(root)
    bench = Bench(home, Home(root.with_name("scratch")))
    for line in sys.stdin:
        file, bit = line.split()
        print(json.dumps(bench.damage(file, int(bit))), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
