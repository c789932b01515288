"""How storage reports damage, and the two file-system rules everything here relies on.

A file's bytes are durable after fsync of the file; its *name* only after fsync of its directory.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catenet.types.errors import Corrupt


def damaged(file: Path, offset: int, why: str, *, remedy: str) -> Corrupt:
    """Return the error for damage in `file` at byte `offset`; `remedy` tells the operator what to do."""
    return Corrupt(f"{file}: damaged at byte {offset}: {why}. {remedy}")


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """Have an OSError name the file it is about: what fails on a descriptor does not."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(file)) from error


def fsync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with naming(directory):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(directory: Path) -> None:
    """Create a directory, private to its owner, with a durable name; it may exist already."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)
    fsync_directory(directory.parent)


def pwrite_all(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of `data` at `offset`. Raises OSError (a short write is continued, never ignored)."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written
