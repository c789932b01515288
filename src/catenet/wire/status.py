"""The one place where errors become gRPC statuses and back. Nothing else may live here."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import grpc

from catenet.types.errors import (
    CatenetError,
    Conflict,
    Corrupt,
    Duplicate,
    Forbidden,
    InvalidInput,
    NotFound,
    Overloaded,
    PastTip,
    Rejected,
    Unauthenticated,
    Unavailable,
    WrongState,
)

RETRY_AFTER_KEY = "retry-after-ms"
"""Trailing metadata of RESOURCE_EXHAUSTED: milliseconds to wait before the same call may succeed."""

REJECTED_CODE_KEY = "catenet-code"
"""Trailing metadata of a transaction that the application refused: its code, in decimal."""

DETAILS_CHARS_MAX = 1000
INTERNAL_TEXT = "internal error"

_CODES: tuple[tuple[type[CatenetError], grpc.StatusCode], ...] = (
    (InvalidInput, grpc.StatusCode.INVALID_ARGUMENT),
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (Forbidden, grpc.StatusCode.PERMISSION_DENIED),
    (NotFound, grpc.StatusCode.NOT_FOUND),
    (PastTip, grpc.StatusCode.OUT_OF_RANGE),
    (Duplicate, grpc.StatusCode.ALREADY_EXISTS),
    (Overloaded, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (Unavailable, grpc.StatusCode.UNAVAILABLE),
    (Conflict, grpc.StatusCode.ABORTED),
    (WrongState, grpc.StatusCode.FAILED_PRECONDITION),
    (Rejected, grpc.StatusCode.FAILED_PRECONDITION),
    (Corrupt, grpc.StatusCode.DATA_LOSS),
)

_ERRORS: dict[grpc.StatusCode, type[CatenetError]] = {
    **{code: error for error, code in _CODES if error not in (Overloaded, Rejected)},
    grpc.StatusCode.DEADLINE_EXCEEDED: Unavailable,
    grpc.StatusCode.CANCELLED: Unavailable,
    grpc.StatusCode.UNIMPLEMENTED: InvalidInput,
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStatus:
    """How a call ends: what the caller sees."""

    code: grpc.StatusCode
    details: str
    trailing: tuple[tuple[str, str], ...] = ()
    """Trailing metadata."""


def status_of(error: BaseException) -> CallStatus:
    """Return the status of an error; what is not of our tree is a bug: logged, INTERNAL without detail."""
    leaves = list(_leaves(error))
    known = [leaf for leaf in leaves if isinstance(leaf, CatenetError)]
    if len(known) == len(leaves):
        for kind, code in _CODES:
            if isinstance(known[0], kind):
                return CallStatus(
                    code=code, details=str(known[0])[:DETAILS_CHARS_MAX], trailing=_trailing(known[0])
                )
    log.error("handler_failed", exc_info=error)
    return CallStatus(code=grpc.StatusCode.INTERNAL, details=INTERNAL_TEXT)


def error_of(error: grpc.aio.AioRpcError) -> CatenetError:
    """Return the error of ours that a failed call means to its caller."""
    code, details = error.code(), error.details() or ""
    trailing = {str(key): value for key, value in error.trailing_metadata() or ()}
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        wait_ms = _decimal(trailing.get(RETRY_AFTER_KEY))
        return Overloaded(details) if wait_ms is None else Overloaded(details, retry_after_s=wait_ms / 1000)
    rejected = _decimal(trailing.get(REJECTED_CODE_KEY))
    if code is grpc.StatusCode.FAILED_PRECONDITION and rejected is not None:
        return Rejected(details, code=rejected)
    kind = _ERRORS.get(code)
    return kind(details) if kind else CatenetError(f"{code.name}: {details}")


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield what went wrong: a TaskGroup wraps its children's errors in groups."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _trailing(error: CatenetError) -> tuple[tuple[str, str], ...]:
    match error:
        case Overloaded():
            return ((RETRY_AFTER_KEY, str(max(1, round(error.retry_after_s * 1000)))),)
        case Rejected():
            return ((REJECTED_CODE_KEY, str(error.code)),)
        case _:
            return ()


def _decimal(value: str | bytes | None) -> int | None:
    """Return a small decimal number that came in metadata, or None: the peer may send anything."""
    return (
        int(value)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10
        else None
    )
