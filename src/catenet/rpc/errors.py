"""What goes wrong in a call, in the codes and words of JSON-RPC 2.0. Codes are the reference's."""

from catenet.types.errors import CatenetError

PARSE = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL = -32603
SERVER = -32000

MESSAGES = {
    PARSE: "Parse error. Invalid JSON",
    INVALID_REQUEST: "Invalid Request",
    METHOD_NOT_FOUND: "Method not found",
    INVALID_PARAMS: "Invalid params",
    INTERNAL: "Internal error",
    SERVER: "Server error",
}


class RpcError(CatenetError):
    """A call that is answered with an error. `data` says what was wrong; some clients match it by pattern."""

    def __init__(self, code: int, data: str = "") -> None:
        super().__init__(data or MESSAGES[code])
        self.code = code
        self.data = data

    def to_json(self) -> dict[str, object]:
        """Return the member `error` of an answer."""
        error: dict[str, object] = {"code": self.code, "message": MESSAGES[self.code]}
        if self.data:
            error["data"] = self.data
        return error


class BadParams(ValueError):
    """Parameters that do not fit the method: the message says which."""


def failed(text: str) -> RpcError:
    """Return the error of a method that cannot answer."""
    return RpcError(INTERNAL, text)
