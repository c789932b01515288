"""The nodes a client may talk to: channels opened once, whose turn it is, and calls that try again."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from catenet.types.errors import CatenetError, Corrupt, InvalidInput, Overloaded, Unavailable
from catenet.wire.grpc_channel import channel_options
from catenet.wire.status import RETRY_AFTER_KEY, error_of

TIMEOUT_S_MAX: Final = 1800.0
"""Half of the time for which a network recognises a repeated transaction by default (consensus.md 5.6)."""

FIRST_PAUSE_S: Final = 0.05
PAUSE_S_MAX: Final = 2.0
RETRY_BURST: Final = 100
RETRIES_PER_S: Final = 20
"""All calls of one client together may retry so often: who recovers is not trampled down."""

A = TypeVar("A", bound=Message)
Unary: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"


class Pauses:
    """Exponential back-off with full jitter: the n-th pause is between 0 and FIRST_PAUSE_S * 2^n, capped."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._failures = 0

    def reset(self) -> None:
        """Begin again with short pauses: something went well."""
        self._failures = 0

    def next_s(self) -> float:
        """Return the next pause in seconds."""
        longest = min(PAUSE_S_MAX, FIRST_PAUSE_S * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        return self._random.uniform(0, longest)

    def spread_s(self, pause_s: float) -> float:
        """Return a pause that a node asked for, up to twice as long: not everybody comes back at once."""
        return pause_s + self._random.uniform(0, pause_s)


class RetryBudget:
    """A token bucket for retries: who comes when it is empty waits for its turn."""

    def __init__(self) -> None:
        self._tokens = float(RETRY_BURST)
        self._filled_at = 0.0

    def delay_s(self, now_s: float) -> float:
        """Count one retry, and return how long it has to wait."""
        self._tokens = min(RETRY_BURST, self._tokens + (now_s - self._filled_at) * RETRIES_PER_S) - 1
        self._filled_at = now_s
        return max(0.0, -self._tokens / RETRIES_PER_S)


class Nodes:
    """Channels to the targets, one each, and which of them is used: the first, until it fails."""

    def __init__(
        self,
        targets: Sequence[str],
        *,
        tls_ca: Path | None,
        tls_server_name: str | None,
        random: Random,
    ) -> None:
        if not targets:
            raise InvalidInput("a client needs at least one target, as host:port")
        self._targets = tuple(targets)
        self._credentials = None if tls_ca is None else _credentials(tls_ca)
        self._server_name = tls_server_name or ""
        self._random = random
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._methods: dict[tuple[str, str], Unary] = {}
        self._turn = 0
        self.budget = RetryBudget()

    def __len__(self) -> int:
        return len(self._targets)

    @property
    def current(self) -> str:
        """The target whose turn it is."""
        return self._targets[self._turn]

    def pauses(self) -> Pauses:
        """Return a new series of pauses."""
        return Pauses(self._random)

    def failed(self, target: str) -> None:
        """Go on to the next target, unless somebody did so already."""
        if target == self.current:
            self._turn = (self._turn + 1) % len(self._targets)

    def channel(self, target: str) -> grpc.aio.Channel:
        """Return the channel to a target; it stays open until `close`."""
        if (channel := self._channels.get(target)) is None:
            options = channel_options(own_connection=True, server_name=self._server_name)
            if self._credentials is None:
                channel = grpc.aio.insecure_channel(target, options)
            else:
                channel = grpc.aio.secure_channel(target, self._credentials, options)
            self._channels[target] = channel
        return channel

    async def close(self) -> None:
        """Close all channels."""
        channels, self._channels = self._channels, {}
        self._methods.clear()
        for channel in channels.values():
            await channel.close()

    async def call(
        self, method: str, request: Message, answer: type[A], *, timeout_s: float, attempt_timeout_s: float
    ) -> A:
        """Call a unary method that may be repeated, at one node after another, until `timeout_s` is over."""
        now = asyncio.get_running_loop().time
        deadline = now() + timeout_s
        pauses = self.pauses()
        data = request.SerializeToString()
        while True:
            target = self.current
            limit = min(attempt_timeout_s, deadline - now())
            try:
                return decoded(answer, await self._unary(target, method)(data, timeout=limit))
            except grpc.aio.AioRpcError as error:
                fault = error_of(error)
                if not may_retry(error):
                    raise fault from None
            if isinstance(fault, Overloaded):
                pause = pauses.spread_s(fault.retry_after_s)
            else:
                self.failed(target)
                pause = pauses.next_s()
            pause = max(pause, self.budget.delay_s(now()))
            if now() + pause >= deadline:
                raise gave_up(fault, target, timeout_s)
            await asyncio.sleep(pause)

    def _unary(self, target: str, method: str) -> Unary:
        key = (target, method)
        if (callable_ := self._methods.get(key)) is None:
            callable_ = self._methods[key] = self.channel(target).unary_unary(method)
        return callable_


def decoded(kind: type[A], data: bytes) -> A:
    """Return the message in an answer's bytes. Raises `Corrupt` when there is none."""
    try:
        return kind.FromString(data)
    except DecodeError:
        raise Corrupt(f"the node's answer is no {kind.DESCRIPTOR.full_name}") from None


def may_retry(error: grpc.aio.AioRpcError) -> bool:
    """Say whether the same call may succeed later or elsewhere. All calls of ours may be repeated."""
    match error_of(error):
        case Unavailable():
            return True
        case Overloaded():
            # Without the node's word on when, it is gRPC that refuses the message for its size.
            return RETRY_AFTER_KEY in dict(error.trailing_metadata() or ())
        case other:
            # INTERNAL, UNKNOWN: a fault in that node, which another one need not have.
            return type(other) is CatenetError


def gave_up(fault: CatenetError, target: str, timeout_s: float) -> CatenetError:
    """Return the error to raise when no retry is left: the last one, with where and how long."""
    text = f"{fault} (last tried {target}; gave up after {timeout_s:g} s)"
    if isinstance(fault, Overloaded):
        return Overloaded(text, retry_after_s=fault.retry_after_s)
    return Unavailable(text)


def checked_timeout(timeout_s: float) -> float:
    """Return a timeout for a call with retries, or raise `InvalidInput`."""
    if not 0 < timeout_s <= TIMEOUT_S_MAX:
        raise InvalidInput(
            f"timeout_s {timeout_s:g} is out of range: more than 0, at most {TIMEOUT_S_MAX:g} "
            "(a network recognises a repeated transaction for a limited time)"
        )
    return timeout_s


def _credentials(tls_ca: Path) -> grpc.ChannelCredentials:
    try:
        return grpc.ssl_channel_credentials(root_certificates=tls_ca.read_bytes())
    except OSError as fault:
        raise InvalidInput(f"cannot read {tls_ca}: {fault.strerror}") from None
