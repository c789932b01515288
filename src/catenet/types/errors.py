"""The one tree of errors. Each leaf answers the question "what may the caller do?".

    CatenetError
    ├── InvalidInput      never retry: the request is wrong
    ├── Unauthenticated   get credentials
    ├── Forbidden         stop
    ├── NotFound          fix the name or the height
    ├── PastTip           wait for the height
    ├── Duplicate         treat as success
    ├── Overloaded        wait `retry_after_s`, then retry the same call
    ├── Unavailable       retry the same call, here or elsewhere
    ├── Conflict          re-read, then retry the whole step
    ├── WrongState        fix the state first
    ├── Rejected          the application refused the transaction: `code` says why
    └── Corrupt           call a human; the node stops
        ├── NotVerified   ask another node: what this one says does not hold
        └── Forked        call a human: validators signed two histories

`wire/status.py` alone translates them to gRPC. A message shows what was wrong, the value, and what to do.
"""


class CatenetError(Exception):
    """Root of all errors that Catenet raises on purpose."""


class InvalidInput(CatenetError):
    """The request can never succeed as it stands."""


class Unauthenticated(CatenetError):
    """Who calls is not known or not proven."""


class Forbidden(CatenetError):
    """The caller is known and may not do this."""


class NotFound(CatenetError):
    """What was named does not exist here."""


class PastTip(CatenetError):
    """A height above the newest one."""


class Duplicate(CatenetError):
    """It is there already."""


class Overloaded(CatenetError):
    """A bound is reached; the same call may succeed after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: float = 0.1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(CatenetError):
    """The node cannot answer at the moment."""


class Conflict(CatenetError):
    """Something changed in between."""


class WrongState(CatenetError):
    """The node is in a state in which the call makes no sense."""


class Rejected(CatenetError):
    """The application refused a transaction."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class Corrupt(CatenetError):
    """Stored data fails its checks: file and offset are in the message."""


class NotVerified(Corrupt):
    """An answer that its proof does not bear out: the message says which and why."""


class Forked(Corrupt):
    """Enough validators signed two histories to make a light client believe either."""
