"""The unmodified light client of CometBFT as a proxy in front of our nodes."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from support.cluster import HOST, free_ports
from support.cometbft import cometbft_binary, with_parent

LOOK_S = 0.05
START_S = 30.0


class LightClient:
    """One `cometbft light` process; what it answers, it has verified."""

    def __init__(self, url: str, log: Path, process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self._log = log
        self._process = process
        # It closes idle connections without a word; each question has its own.
        self._http = httpx.Client(base_url=url, timeout=60, limits=httpx.Limits(max_keepalive_connections=0))

    def ask(self, method: str, **params: str) -> dict[str, object]:
        """Ask it by URI; returns the result. Fails on any error."""
        answer = self._http.get(f"/{method}", params=params)
        assert answer.status_code == 200, f"{method} {params}: {answer.text}\n{self.log()[-3000:]}"
        found = answer.json()["result"]
        assert isinstance(found, dict)
        return found

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def errors(self) -> list[str]:
        """Return the lines that it logged as errors."""
        return [line for line in self.log().splitlines() if line.startswith("E[") or "ERROR" in line]

    def wait_started(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            assert self._process.poll() is None, self.log()
            try:
                self._http.get("/status")
            except httpx.TransportError:
                assert time.monotonic() < deadline, self.log()
                time.sleep(LOOK_S)
            else:
                return

    def close(self) -> None:
        self._http.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)


@contextmanager
def light_client(
    folder: Path, chain_id: str, *, primary: str, witness: str, options: Sequence[str] = ()
) -> Iterator[LightClient]:
    """Run a light client that trusts the first block of `primary`, for the length of the body."""
    port = free_ports(1)
    folder.mkdir()
    trusted = httpx.get(f"{primary}/commit?height=1", timeout=10).json()
    name = trusted["result"]["signed_header"]["commit"]["block_id"]["hash"]
    command = [*with_parent(), str(cometbft_binary()), "light", chain_id]
    command += ["--primary", primary, "--witnesses", witness, "--height", "1", "--hash", name]
    command += ["--home-dir", str(folder), "--laddr", f"tcp://{HOST}:{port}", "--verbose", *options]
    log = folder / "light.log"
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=os.environ)
    client = LightClient(f"http://{HOST}:{port}", log, process)
    try:
        client.wait_started()
        yield client
    finally:
        client.close()
