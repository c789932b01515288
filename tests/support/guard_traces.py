"""The commands of traces in `tests/traces/guard`: the double-sign guard, with the key and the slot beside it.

sign KIND HEIGHT/ROUND BLOCK [at=MS]       consensus wants something of this time signed
journal KIND HEIGHT/ROUND BLOCK [at=MS]    the journal holds this own vote when the node starts
rejoin HEIGHT                              what was signed up to there is not known
restart                                    the slot's bytes are read again
export | import JSON                       CometBFT's file for a signer's state
"""

import json
from dataclasses import replace
from hashlib import sha256

from catenet.chain.commit import NIL, BlockID, PartSetHeader
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.core import guard
from support.chain import GENESIS_TIME_NS, make_keys

CHAIN_ID = "trace"


class Signer:
    """The key, and what its guard remembers."""

    def __init__(self) -> None:
        self.key = make_keys(1)[0]
        self.state = guard.GuardState()
        self.rejoin_height = 0

    def command(self, verb: str, args: list[str]) -> str:
        """Do one command; return what the guard said."""
        words = [arg for arg in args if not arg.startswith("at=")]
        at_ms = int(next((arg.removeprefix("at=") for arg in args if arg.startswith("at=")), "0"))
        match verb, words:
            case "sign", [kind, place, block]:
                return self._sign(self._item(kind, place, block, at_ms))
            case "journal", [kind, place, block]:
                vote = self._item(kind, place, block, at_ms)
                assert isinstance(vote, Vote)
                signed = replace(vote, signature=self.key.sign(vote.sign_bytes(CHAIN_ID)))
                self.state = guard.raised(self.state, signed, CHAIN_ID)
                return self._where()
            case "rejoin", [height]:
                self.rejoin_height = int(height)
                return ""
            case "restart", []:
                self.state = guard.GuardState.decode(self.state.encode())
                return self._where()
            case "export", []:
                content = json.loads(guard.export_json(self.state))
                return "\n".join([f"{name} {str(value)[:8]}" for name, value in content.items()])
            case "import", texts:
                try:
                    self.state = guard.import_json(" ".join(texts))
                except ValueError as error:
                    return f"refused: {error}"
                return self._where()
            case _:
                raise AssertionError(f"no command {verb} {args}")

    def _item(self, kind: str, place: str, block: str, at_ms: int) -> Vote | Proposal:
        height, round = (int(number) for number in place.split("/"))
        name = sha256(block.encode()).digest()
        block_id = NIL if block == "nil" else BlockID(hash=name, parts=PartSetHeader(total=1, hash=name))
        time_ns = GENESIS_TIME_NS + at_ms * 10**6
        if kind == "proposal":
            return Proposal(height=height, round=round, pol_round=-1, block_id=block_id, time_ns=time_ns)
        return Vote(
            type=VoteType[kind.upper()],
            height=height,
            round=round,
            block_id=block_id,
            time_ns=time_ns,
            address=self.key.public.address,
            index=0,
        )

    def _sign(self, item: Vote | Proposal) -> str:
        match guard.decide(self.state, item, CHAIN_ID, self.rejoin_height):
            case guard.Sign(sign_bytes=data):
                self.state, done = guard.signed(item, sign_bytes=data, signature=self.key.sign(data))
                return self._leaves("signed", done)
            case guard.Repeat(item=done):
                return self._leaves("the stored signature", done)
            case guard.Refuse(reason=reason):
                return f"refused: {reason}"

    def _leaves(self, said: str, done: Vote | Proposal) -> str:
        # Whatever leaves the guard must verify, with the time that was signed.
        assert self.key.public.verify(done.sign_bytes(CHAIN_ID), done.signature)
        return f"{said}, of {(done.time_ns - GENESIS_TIME_NS) // 10**6} ms"

    def _where(self) -> str:
        step = ("nothing", "proposal", "prevote", "precommit")[self.state.step]
        return f"{step} of {self.state.height}/{self.state.round}"
