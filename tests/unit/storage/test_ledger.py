"""The ledger: what was stored is served, found by every key, caught up after a crash; damage never is."""

import random
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from catenet.chain import evidence
from catenet.chain.block import Block
from catenet.chain.commit import BlockID, PartSetHeader
from catenet.storage.ledger import Ledger
from catenet.storage.scan import segment_path
from catenet.storage.tables import DATA_FILE
from catenet.types.effects import CommitBlock
from catenet.types.errors import Corrupt, WrongState
from catenet.types.ports import BlockReader, TxWindow
from support.chain import make_chain
from support.storage import BLOCK_INTERVAL_NS, GENESIS_TIME_NS, abandon, chain, flip

COUNT = 12
BLOCKS = list(chain(COUNT))


def stored(data: Path, blocks: list[CommitBlock] = BLOCKS, *, segment_bytes: int = 1 << 20) -> Ledger:
    ledger = Ledger.open(data, segment_bytes=segment_bytes)
    for block in blocks:
        ledger.store(block)
    return ledger


def crash(ledger: Ledger) -> None:
    """Close the files as a killed process would: nothing more is written."""
    abandon(ledger._log)
    ledger._tables.abandon()


def serves(ledger: Ledger, blocks: list[CommitBlock] = BLOCKS) -> None:
    """Check every answer of the ledger against the blocks that were stored."""
    reader: BlockReader = ledger
    window: TxWindow = ledger
    assert (reader.lowest, reader.head) == (blocks[0].height, blocks[-1].height)
    for block in blocks:
        found = reader.block(block.height)
        assert found is not None
        assert (found.height, found.raw, found.block_id, found.commit) == (
            block.height,
            block.raw,
            block.block_id,
            block.commit,
        )
        assert reader.height_of(block.block_id.hash) == block.height
        assert reader.outcome(block.height) == block.outcome
        assert ledger.state_at(block.height) == block.state
        assert ledger.time_at(block.height) == block.state.last_time_ns
        assert ledger.validators_at(block.height) == block.state.last_validators
        places = reader.locate([*block.tx_ids, bytes(32)])
        assert list(places) == list(block.tx_ids)
        for index, (tx_id, result) in enumerate(zip(block.tx_ids, block.outcome.results, strict=True)):
            place = places[tx_id]
            assert (place.height, place.index, place.code) == (block.height, index, result.code)
            assert place.time_ns == block.state.last_time_ns
        times = dict.fromkeys(block.tx_ids, block.state.last_time_ns)
        assert window.committed([*block.tx_ids, bytes(32)]) == times
    assert ledger.validators_at(blocks[-1].height + 1) == blocks[-1].state.validators
    for height in (0, blocks[0].height - 1, blocks[-1].height + 1, blocks[-1].height + 2):
        assert reader.block(height) is None
        assert reader.outcome(height) is None
        assert ledger.time_at(height) is None
    assert reader.height_of(bytes(32)) is None
    assert ledger.verify() == len(blocks)


def test_blocks_are_served_at_once_and_after_flush_close_and_open(tmp_path: Path) -> None:
    ledger = stored(tmp_path)
    serves(ledger)
    assert (ledger.flushed, ledger.flush(), ledger.flushed) == (0, COUNT, COUNT)
    serves(ledger)
    ledger.close()
    ledger = Ledger.open(tmp_path)
    assert not ledger.rebuilt
    serves(ledger)
    ledger.close()


def test_an_empty_ledger_has_no_head(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    assert (ledger.lowest, ledger.head, ledger.block(1), ledger.locate([])) == (1, 0, None, {})
    ledger.close()


def test_a_chain_may_begin_above_one(tmp_path: Path) -> None:
    blocks = list(chain(3, initial_height=1000))
    ledger = stored(tmp_path, blocks)
    serves(ledger, blocks)
    crash(ledger)
    ledger = Ledger.open(tmp_path)
    serves(ledger, blocks)
    ledger.close()


def test_times_of_the_window_are_those_of_the_blocks(tmp_path: Path) -> None:
    ledger = stored(tmp_path)
    known = ledger.committed([BLOCKS[0].tx_ids[0], BLOCKS[3].tx_ids[1], b"\7" * 32])
    assert known == {
        BLOCKS[0].tx_ids[0]: GENESIS_TIME_NS,
        BLOCKS[3].tx_ids[1]: GENESIS_TIME_NS + 3 * BLOCK_INTERVAL_NS,
    }
    ledger.close()


@pytest.mark.parametrize("flush_at", [0, 1, 5, COUNT])
def test_after_a_kill_the_index_is_caught_up_from_the_log(tmp_path: Path, flush_at: int) -> None:
    ledger = Ledger.open(tmp_path, segment_bytes=4096)
    for block in BLOCKS:
        ledger.store(block)
        if block.height == flush_at:
            ledger.flush()
    crash(ledger)
    ledger = Ledger.open(tmp_path, segment_bytes=4096)
    assert not ledger.rebuilt
    serves(ledger)
    ledger.close()


def test_a_lost_index_is_rebuilt_and_equals_the_one_before(tmp_path: Path) -> None:
    ledger = stored(tmp_path, segment_bytes=4096)
    ledger.flush()
    before = {name: ledger._tables.items(name, b"", b"", 10**6) for name in ("heights", "hashes", "txs")}
    ledger.close()
    shutil.rmtree(tmp_path / "index")
    ledger = Ledger.open(tmp_path, segment_bytes=4096)
    after = {name: ledger._tables.items(name, b"", b"", 10**6) for name in ("heights", "hashes", "txs")}
    assert after == before
    serves(ledger)
    ledger.close()


@pytest.mark.slow
def test_a_damaged_index_is_rebuilt_wherever_a_bit_flips(tmp_path: Path) -> None:
    stored(tmp_path / "a").close()
    size = (tmp_path / "a" / "index" / DATA_FILE).stat().st_size
    for bit in random.Random(5).sample(range(size * 8), 6):
        shutil.rmtree(tmp_path / "b", ignore_errors=True)
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        flip(tmp_path / "b" / "index" / DATA_FILE, bit)
        ledger = Ledger.open(tmp_path / "b")
        assert ledger.rebuilt
        serves(ledger)
        ledger.close()


def test_a_damaged_block_is_found_and_never_served(tmp_path: Path) -> None:
    stored(tmp_path / "a").close()
    path = segment_path(tmp_path / "b" / "blocks", 1)
    size = segment_path(tmp_path / "a" / "blocks", 1).stat().st_size
    for bit in random.Random(6).sample(range((size - 24) * 8), 15):
        shutil.rmtree(tmp_path / "b", ignore_errors=True)
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        flip(path, bit)
        with pytest.raises(Corrupt, match="catenet repair --home"):
            Ledger.open(tmp_path / "b")


def test_a_block_damaged_in_an_older_segment_is_refused_when_it_is_read(tmp_path: Path) -> None:
    stored(tmp_path, segment_bytes=4096).close()
    path = segment_path(tmp_path / "blocks", 1)
    flip(path, path.read_bytes().index(BLOCKS[0].raw) * 8 + 77)
    ledger = Ledger.open(tmp_path, segment_bytes=4096)
    for ask in (ledger.block, ledger.outcome, ledger.state_at):
        with pytest.raises(Corrupt):
            ask(1)
    with pytest.raises(Corrupt):
        ledger.verify()
    found = ledger.block(COUNT)
    assert found is not None
    assert found.raw == BLOCKS[-1].raw
    ledger.close()


def test_what_was_not_flushed_may_be_lost_with_the_system_and_comes_again(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    for block in BLOCKS[:5]:
        ledger.store(block)
    assert ledger.flush() == 5
    for block in BLOCKS[5:]:
        ledger.store(block)
    crash(ledger)
    path = segment_path(tmp_path / "blocks", 1)
    data = bytearray(path.read_bytes())
    at = data.index(BLOCKS[7].raw)
    data[at : at + 300] = bytes(300)  # this page was not written back, later ones were
    path.write_bytes(data)
    ledger = Ledger.open(tmp_path)
    assert ledger.head == 7
    for block in BLOCKS[4:]:
        ledger.store(block)
    serves(ledger)
    ledger.close()


def test_flushed_blocks_that_are_gone_are_corrupt(tmp_path: Path) -> None:
    stored(tmp_path).close()
    path = segment_path(tmp_path / "blocks", 1)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(Corrupt, match="synced record"):
        Ledger.open(tmp_path)
    shutil.rmtree(tmp_path / "blocks")
    with pytest.raises(Corrupt, match="gone"):
        Ledger.open(tmp_path)


def test_a_block_log_of_another_chain_rebuilds_the_index(tmp_path: Path) -> None:
    other = list(chain(3, seed=9))
    stored(tmp_path / "a").close()
    stored(tmp_path / "b", other).close()
    shutil.rmtree(tmp_path / "a" / "index")
    shutil.copytree(tmp_path / "b" / "index", tmp_path / "a" / "index")
    ledger = Ledger.open(tmp_path / "a")
    assert ledger.rebuilt
    serves(ledger)
    ledger.close()


def test_heights_come_without_gaps_and_never_twice_differently(tmp_path: Path) -> None:
    ledger = stored(tmp_path, BLOCKS[:4])
    with pytest.raises(WrongState, match="does not follow"):
        ledger.store(BLOCKS[5])
    ledger.store(BLOCKS[2])
    serves(ledger, BLOCKS[:4])
    with pytest.raises(Corrupt, match="now decided"):
        ledger.store(list(chain(4, seed=8))[3])
    ledger.store(BLOCKS[4])
    serves(ledger, BLOCKS[:5])
    ledger.close()


def test_the_cache_is_bounded_and_old_blocks_come_from_the_log(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, cache_bytes=3 * len(BLOCKS[5].raw))
    for block in BLOCKS:
        ledger.store(block)
    assert 2 <= len(ledger._cache) <= 3
    serves(ledger)
    ledger.close()


def test_many_rows_flush_by_themselves(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, pending_rows_max=20)
    for block in BLOCKS:
        ledger.store(block)
    assert ledger.flushed >= COUNT - 4
    serves(ledger)
    crash(ledger)


@pytest.mark.slow
def test_reads_beside_writes_and_flushes_always_see_whole_heights(tmp_path: Path) -> None:
    blocks = list(chain(60, txs=20))
    ledger = Ledger.open(tmp_path, cache_bytes=10_000)
    wrong: list[str] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            head = ledger.head
            if head:
                block = blocks[head - 1]
                found = ledger.block(head)
                if found is None or found.raw != block.raw:
                    wrong.append(f"block {head}")
                if len(ledger.committed(block.tx_ids)) != 20 or ledger.height_of(block.block_id.hash) != head:
                    wrong.append(f"index of {head}")

    def flush() -> None:
        while not stop.is_set():
            ledger.flush()

    threads = [threading.Thread(target=target) for target in (read, read, flush)]
    for thread in threads:
        thread.start()
    try:
        for block in blocks:
            ledger.store(block)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    serves(ledger, blocks)
    ledger.close()


CHILD = """
import sys
from pathlib import Path
from support.storage import chain
from catenet.storage.ledger import Ledger
ledger = Ledger.open(Path(sys.argv[1]), segment_bytes=30000)
for block in chain(400, txs=20):
    if block.height > ledger.head:
        ledger.store(block)
        print(block.height, flush=True)
        if block.height % 9 == 0:
            ledger.flush()
"""


@pytest.mark.slow
def test_blocks_survive_kill_9_of_the_node(tmp_path: Path) -> None:
    blocks = list(chain(400, txs=20))
    choices = random.Random(7)
    told = 0
    for _ in range(4):
        command = [sys.executable, "-c", CHILD, str(tmp_path)]
        environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
            assert child.stdout is not None
            for _ in range(choices.randrange(5, 40)):
                told = int(child.stdout.readline())
            child.kill()
            told = max([told, *map(int, child.stdout)])
        ledger = Ledger.open(tmp_path, segment_bytes=30000)
        assert ledger.head >= told
        serves(ledger, blocks[: ledger.head])
        crash(ledger)


def test_evidence_is_found_by_its_hash_also_after_a_crash_and_a_rebuild(tmp_path: Path) -> None:
    local = make_chain(4, 1)
    vote_a, vote_b = (
        local.vote(0, BlockID(hash=bytes([n]) * 32, parts=PartSetHeader(total=1, hash=bytes(32))))
        for n in (1, 2)
    )
    piece = evidence.make(vote_a, vote_b, local.state.validators, GENESIS_TIME_NS)
    block = Block(
        header=BLOCKS[0].block.header,
        txs=BLOCKS[0].block.txs,
        evidence=(piece,),
        last_commit=BLOCKS[0].block.last_commit,
    )
    ledger = stored(tmp_path, [replace(BLOCKS[0], block=block, raw=block.encode())])
    assert ledger.evidence_committed(piece.hash())
    assert ledger.height_of(piece.hash()) is None, "evidence is no block"
    crash(ledger)
    ledger = Ledger.open(tmp_path)
    assert ledger.evidence_committed(piece.hash())
    ledger.close()
    shutil.rmtree(tmp_path / "index")
    ledger = Ledger.open(tmp_path)
    assert ledger.evidence_committed(piece.hash())
    assert not ledger.evidence_committed(bytes(32))
    ledger.close()
