"""The folder of trusted light blocks: whole or not there, bounded, and never guessed at."""

from pathlib import Path

import pytest

from catenet.client.light.store import TrustedStore
from catenet.types.errors import Corrupt, InvalidInput
from support.chain import make_chain

CHAIN = make_chain(1, heights=6)
BLOCKS = [decided.light for decided in CHAIN.decided]


def store(folder: Path, *, keep: int = 100) -> TrustedStore:
    return TrustedStore(folder, "test-chain", keep=keep)


def test_what_is_saved_is_there_again(tmp_path: Path) -> None:
    first = store(tmp_path)
    assert (first.newest(), first.oldest(), first.below(9), len(first)) == (None, None, None, 0)
    for block in (BLOCKS[4], BLOCKS[1], BLOCKS[2]):
        first.save(block)
    for one in (first, store(tmp_path)):
        assert (one.newest(), one.oldest()) == (BLOCKS[4], BLOCKS[1])
        assert (one.below(5), one.below(2), one.at(3), one.at(4)) == (BLOCKS[2], None, BLOCKS[2], None)


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    one = store(tmp_path, keep=3)
    for block in BLOCKS:
        one.save(block)
    assert len(one) == 3
    assert one.oldest() == BLOCKS[3]
    assert len(list(tmp_path.glob("*.light"))) == 3


def test_a_write_that_was_cut_off_leaves_nothing(tmp_path: Path) -> None:
    one = store(tmp_path)
    one.save(BLOCKS[0])
    left = tmp_path / "0000000000000000002.tmp"
    left.write_bytes(BLOCKS[1].encode()[:50])
    assert store(tmp_path).newest() == BLOCKS[0]
    assert not left.exists()


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "moved"])
def test_damage_is_said_and_not_guessed_at(tmp_path: Path, damage: str) -> None:
    store(tmp_path).save(BLOCKS[0])
    (path,) = tmp_path.glob("*.light")
    data = path.read_bytes()
    match damage:
        case "cut":
            path.write_bytes(data[:-1])
        case "bit":
            path.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
        case "empty":
            path.write_bytes(b"")
        case _:
            path.rename(tmp_path / "0000000000000000009.light")
    with pytest.raises(Corrupt, match="is damaged; delete"):
        store(tmp_path)


def test_a_folder_is_of_one_chain(tmp_path: Path) -> None:
    store(tmp_path)
    with pytest.raises(InvalidInput, match="of chain 'test-chain', not 'other'"):
        TrustedStore(tmp_path, "other")
