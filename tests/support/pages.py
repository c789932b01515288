"""The commands of a page, run as a reader would: in order, in a shell; those that stay run until the end."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.repository import ROOT

LOOK_S = 0.1
ENOUGH_S = 60.0
END_S = 20.0


def commands(page: str) -> list[str]:
    """Return the lines of a page that begin with `$ `."""
    return re.findall(r"^\$ (.*)$", (ROOT / page).read_text(encoding="utf-8"), re.M)


class Reader:
    """Runs commands with a home, ports and programs of its own."""

    def __init__(
        self,
        folder: Path,
        *,
        cwd: Path,
        path: Sequence[Path],
        ports: Mapping[str, int],
        environment: Mapping[str, str],
    ) -> None:
        """`ports`: what is run in place of a port that a page names."""
        self.folder, self._cwd, self._ports = folder, cwd, ports
        self._processes: list[subprocess.Popen[bytes]] = []
        python = Path(sys.executable).parent
        places = [str(python), *map(str, path), os.environ["PATH"]]
        self._env = {**os.environ, "HOME": str(folder), "PATH": os.pathsep.join(places), **environment}

    def stay(self, command: str) -> None:
        """Start what runs until the end."""
        name = shlex.split(command)[0]
        with (self.folder / f"{len(self._processes)}-{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    self._shown(command),
                    shell=True,
                    cwd=self._cwd,
                    env=self._env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def run(self, command: str) -> str:
        """Run to the end, again while it fails because what it needs is not there yet; returns stdout."""
        deadline = time.monotonic() + ENOUGH_S
        while True:
            done = subprocess.run(
                self._shown(command),
                shell=True,
                cwd=self._cwd,
                env=self._env,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                return done.stdout
            assert time.monotonic() < deadline, f"$ {command}\n{done.stdout}{done.stderr}\n{self.logs()}"
            time.sleep(LOOK_S)

    def _shown(self, command: str) -> str:
        for port, ours in self._ports.items():
            command = command.replace(port, str(ours))
        return command

    def logs(self) -> str:
        return "\n".join(
            f"--- {log.name} ---\n" + "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            for log in sorted(self.folder.glob("*.log"))
        )

    def close(self) -> None:
        """End what stayed, shells and their children."""
        for process in self._processes:
            os.killpg(process.pid, signal.SIGKILL)
        for process in self._processes:
            process.wait(END_S)
