"""Lamport's logical clock (CACM 21:7, 1978): orders what two nodes logged."""


class LamportClock:
    """A counter that every frame carries. `send` and `receive` return the time of that event."""

    __slots__ = ("time",)

    def __init__(self, time: int = 0) -> None:
        self.time = time

    def send(self) -> int:
        """Advance for a frame that leaves, and return the time it carries."""
        self.time += 1
        return self.time

    def receive(self, time: int) -> int:
        """Advance past the time that a received frame carried."""
        self.time = max(self.time, time) + 1
        return self.time
