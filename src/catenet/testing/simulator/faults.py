"""What goes wrong with machines: crashes planned and aimed, disks that fail, are lost or restored, clocks.

All of it happens while there is chaos only. What happens on links is the business of `network`.
"""

from collections.abc import Callable, Sequence
from functools import partial

from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.config import SimulationConfig
from catenet.testing.simulator.home import back_up
from catenet.testing.simulator.host import Host
from catenet.testing.simulator.schedule import Schedule


class Faults:
    """The plan of one run, and its execution."""

    def __init__(
        self,
        schedule: Schedule,
        chooser: Chooser,
        config: SimulationConfig,
        hosts: Sequence[Host],
        *,
        going_on: Callable[[], bool],
    ) -> None:
        """`going_on` says whether there is chaos still."""
        self._schedule = schedule
        self._chooser = chooser
        self._config = config
        self._hosts = hosts
        self._going_on = going_on

    def plan(self) -> None:
        """Choose what goes wrong, where and when."""
        config, pick = self._config, self._chooser.pick
        hosts = self._hosts
        honest = [host for host in hosts if host.conduct is None]
        for _ in range(config.crashes):
            self._some_time(partial(self._crash, pick(hosts)))
        for _ in range(config.aimed_crashes):
            self._some_time(partial(self._aim, pick(hosts)))
        for _ in range(config.lock_crashes):
            self._some_time(self._aim_at_lock)
        if config.total_crash:
            self._some_time(self._crash_all)
        for _ in range(config.clock_steps):
            self._some_time(partial(self._step_clock, pick(honest)))
        # One machine has all the disk trouble: with more than f of them promises are void.
        victim = pick(honest[1:] or honest)
        for _ in range(config.disk_failures):
            self._some_time(partial(self._fail_disk, victim))
        for _ in range(config.lost_journals):
            self._some_time(partial(self._lose_journal, victim))
        for _ in range(config.restored_backups):
            self._some_time(partial(self._back_up, victim))

    def _some_time(self, action: Callable[[], None]) -> None:
        self._schedule.after(self._chooser.choose(self._config.chaos_us), action)

    # Crashes.

    def _crash(self, victim: Host) -> None:
        if not victim.alive or not self._going_on():
            return
        victim.crash()
        self._schedule.after(self._chooser.choose(self._config.down_us) + 1, lambda: self.restart(victim))

    def _crash_all(self) -> None:
        for host in self._hosts:
            self._crash(host)

    def restart(self, victim: Host) -> None:
        """Start a node that is down."""
        if not victim.alive:
            victim.start()

    def _aim(self, victim: Host) -> None:
        """Crash right after the next signature, within about one fsync of it."""

        def after_signature(item: Vote | Proposal) -> bool:
            delay = self._chooser.choose(2 * self._config.fsync_us)
            self._schedule.after(delay, lambda: self._crash(victim))
            return True

        victim.on_signature = after_signature

    def _aim_at_lock(self) -> None:
        """Crash everybody shortly after the first one locks: who knows of the polka forgets it, or nobody."""
        hit: list[int] = []

        def after_signature(item: Vote | Proposal) -> bool:
            if isinstance(item, Proposal) or item.type is not VoteType.PRECOMMIT or item.is_nil:
                return False
            if not hit:
                hit.append(item.height)
                for host in self._hosts:
                    delay = self._chooser.choose(8 * self._config.fsync_us)
                    self._schedule.after(delay, partial(self._crash, host))
            return True

        for host in self._hosts:
            host.on_signature = after_signature

    # Disks and clocks.

    def _fail_disk(self, victim: Host) -> None:
        """The disk refuses: the node stops, as a node does whose fsync fails, and is started again later."""
        self._crash(victim)

    def _lose_journal(self, victim: Host) -> None:
        """Crash, and lose the journal; the guard's file stays."""
        if victim.alive and self._going_on():
            self._crash(victim)
            victim.disk.lose_journal()

    def _back_up(self, victim: Host) -> None:
        """Copy the whole home of a node, and put it back after a crash some time later."""
        restore = back_up(victim.disk, victim.chain, victim.state)

        def put_back() -> None:
            if victim.alive and self._going_on():
                self._crash(victim)
                restore()
                victim.distrusted()

        self._schedule.after(self._chooser.choose(self._config.chaos_us // 2) + 1, put_back)

    def _step_clock(self, victim: Host) -> None:
        """Set a clock by up to an hour, either way."""
        if self._going_on():
            victim.set_clock(self._chooser.between(-3_600, 3_600) * 1_000_000)
