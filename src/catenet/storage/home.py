"""A node's home: where things are, the lock that keeps a second process out, and files only the owner reads.

HOME/config/  catenet.toml  genesis.json  priv_validator_key.json  node_key.json  signed_chains
HOME/data/    journal/  guard  blocks/  index/  app/
HOME/lock
"""

import fcntl
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from catenet.storage.fault import fsync_directory, make_directory, naming, pwrite_all
from catenet.types.errors import NotFound, WrongState

PRIVATE = 0o600
PUBLIC = 0o644


@dataclass(frozen=True, slots=True)
class Home:
    """The layout of a home directory."""

    root: Path

    @property
    def settings(self) -> Path:
        """The node's configuration file."""
        return self.config / "catenet.toml"

    @property
    def config(self) -> Path:
        """What says who the node is and which chain it belongs to."""
        return self.root / "config"

    @property
    def data(self) -> Path:
        """What the node writes while it runs."""
        return self.root / "data"

    @property
    def genesis(self) -> Path:
        """The chain's genesis file."""
        return self.config / "genesis.json"

    @property
    def validator_key(self) -> Path:
        """The key that signs votes, as CometBFT writes it."""
        return self.config / "priv_validator_key.json"

    @property
    def node_key(self) -> Path:
        """The key that names the node, as CometBFT writes it."""
        return self.config / "node_key.json"

    @property
    def journal(self) -> Path:
        """The directory of the journal."""
        return self.data / "journal"

    @property
    def guard(self) -> Path:
        """The double-sign guard's file."""
        return self.data / "guard"

    @property
    def blocks(self) -> Path:
        """The directory of the block log."""
        return self.data / "blocks"

    @property
    def index(self) -> Path:
        """The directory of the block index."""
        return self.data / "index"

    @property
    def app(self) -> Path:
        """The directory of the built-in applications' state."""
        return self.data / "app"

    @property
    def repaired(self) -> Path:
        """A mark: something was cut by a repair, and nobody has drawn the consequence yet."""
        return self.data / "REPAIRED"

    @property
    def signed_chains(self) -> Path:
        """The ids of the chains that this home's key may have signed for, one a line."""
        return self.config / "signed_chains"

    def create(self) -> None:
        """Make the directories, private to their owner. They may exist."""
        for directory in (self.root, self.config, self.data):
            make_directory(directory)

    def has_signed(self, chain_id: str) -> bool:
        """Whether a node ran here for this chain: then journal and guard belong to the key, or were lost."""
        try:
            return chain_id in self.signed_chains.read_text().split()
        except FileNotFoundError:
            return False

    def note_signing(self, chain_id: str) -> None:
        """Note beside the key that it may sign for a chain from now on. Raises `WrongState`.

        The note lies with the key, not with the data: who loses the data, or carries only the key elsewhere,
        still has it.
        """
        if self.has_signed(chain_id):
            return
        before = self.signed_chains.read_text() if self.signed_chains.exists() else ""
        try:
            write_file(self.signed_chains, f"{before}{chain_id}\n".encode())
        except OSError as error:
            raise WrongState(
                f"{self.signed_chains}: {error.strerror}; a node notes beside its key for which chains it "
                "signs: make that folder writable for it"
            ) from None

    def lock(self) -> "HomeLock":
        """Take the home for this process. Raises `WrongState` naming the process that has it."""
        return HomeLock(self.root)


class HomeLock:
    """Holds a home for one process. The system gives it back when the process ends, however it ends."""

    def __init__(self, root: Path) -> None:
        """Take the lock. Raises `WrongState` naming the process that has it, `NotFound` for no such home."""
        path = root / "lock"
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        except FileNotFoundError:
            raise NotFound(f"{root} is no home of a node: make one with catenet init --home {root}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise WrongState(
                f"{root} is in use by process {holder}: two processes with one key would sign twice. "
                f"Stop that process, or give this one another --home"
            ) from None
        with naming(path):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Give the home back."""
        if self._descriptor >= 0:
            with suppress(OSError):  # who had the home is only said to people
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> "HomeLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def write_file(path: Path, data: bytes, *, mode: int = PUBLIC) -> None:
    """Write a file whole or not at all, durably: beside it, fsync, rename, fsync of the directory."""
    make_directory(path.parent)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.new")
    # O_EXCL and a mode from the start: at no moment could another user read a private file.
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with naming(unfinished):
            os.fchmod(descriptor, mode)
            pwrite_all(descriptor, data, 0)
            os.fsync(descriptor)
        unfinished.rename(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    fsync_directory(path.parent)


def write_private(path: Path, data: bytes) -> None:
    """Write a key file: like `write_file`, readable by its owner alone."""
    write_file(path, data, mode=PRIVATE)


def read_private(path: Path) -> bytes:
    """Read a key file. Raises `WrongState` when others may read or write it, `NotFound`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"{path} is not there") from None
    with os.fdopen(descriptor, "rb") as file:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o077:
            raise WrongState(f"{path} holds a key and has mode {mode:04o}: run chmod 600 {path}")
        return file.read()
