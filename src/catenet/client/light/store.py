"""Verified light blocks on disk: one file a height, whole or not there, whatever happens meanwhile.

file := sha256 of the rest | canonical bytes of `LightBlock`        name: the height in 19 digits
The file `chain` holds the chain's name, `genesis` a digest of the genesis where trust began with one. What is
damaged is `Corrupt`: trust is not guessed.
"""

import os
from hashlib import sha256
from pathlib import Path
from typing import Final

from catenet.chain.encoding import DecodeError
from catenet.chain.light_block import LightBlock
from catenet.types.errors import Corrupt, InvalidInput

KEEP: Final = 100
SUFFIX: Final = ".light"


class TrustedStore:
    """The newest verified light blocks of one chain, in memory and in a folder."""

    def __init__(self, folder: Path, chain_id: str, *, keep: int = KEEP) -> None:
        """Open or create the folder. Raises `Corrupt`, `InvalidInput` (of another chain), OSError."""
        self.folder = folder
        self._keep = keep
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in folder.glob("*.tmp"):
            left.unlink()
        self._check_chain(chain_id)
        self._blocks = {block.height: block for block in map(self._read, sorted(folder.glob("*" + SUFFIX)))}

    def __len__(self) -> int:
        return len(self._blocks)

    def at(self, height: int) -> LightBlock | None:
        """Return the block of a height, if it is here."""
        return self._blocks.get(height)

    def newest(self) -> LightBlock | None:
        """Return the highest block, if there is any."""
        return self._blocks[max(self._blocks)] if self._blocks else None

    def oldest(self) -> LightBlock | None:
        """Return the lowest block, if there is any."""
        return self._blocks[min(self._blocks)] if self._blocks else None

    def below(self, height: int) -> LightBlock | None:
        """Return the highest block below a height, if there is any."""
        lower = [one for one in self._blocks if one < height]
        return self._blocks[max(lower)] if lower else None

    def save(self, block: LightBlock) -> None:
        """Keep a verified block, durably, and forget the oldest beyond what is kept. Raises OSError."""
        data = block.encode()
        self._write(self._path(block.height), sha256(data).digest() + data)
        self._blocks[block.height] = block
        while len(self._blocks) > self._keep:
            # A block below the others was asked for by somebody: what comes next starts from the newest.
            height = min(self._blocks)
            self._path(height).unlink(missing_ok=True)
            del self._blocks[height]

    def clear(self) -> None:
        """Forget everything. Raises OSError."""
        for height in sorted(self._blocks):
            self._path(height).unlink(missing_ok=True)
        self._blocks.clear()
        (self.folder / "genesis").unlink(missing_ok=True)

    def require_genesis(self, digest: bytes) -> None:
        """Note the genesis that trust begins with; raises `InvalidInput` when it began with another one."""
        path = self.folder / "genesis"
        if not path.exists():
            if not self._blocks:
                self._write(path, digest.hex().encode())
        elif path.read_bytes() != digest.hex().encode():
            raise InvalidInput(f"what {self.folder} holds began with another genesis; name another folder")

    def _path(self, height: int) -> Path:
        return self.folder / f"{height:019d}{SUFFIX}"

    def _check_chain(self, chain_id: str) -> None:
        path = self.folder / "chain"
        if path.exists():
            known = path.read_text(encoding="utf-8")
            if known != chain_id:
                raise InvalidInput(
                    f"{self.folder} holds what is trusted of chain {known!r}, not {chain_id!r}"
                )
        else:
            self._write(path, chain_id.encode())

    def _read(self, path: Path) -> LightBlock:
        data = path.read_bytes()
        try:
            block = LightBlock.decode(data[32:])
        except DecodeError:
            block = None
        if block is None or sha256(data[32:]).digest() != data[:32] or self._path(block.height) != path:
            raise Corrupt(
                f"{path} is damaged; delete {self.folder}, and name a trusted height and its hash again"
            )
        return block

    def _write(self, path: Path, data: bytes) -> None:
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
