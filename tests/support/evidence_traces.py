"""Commands of traces in `tests/traces/evidence`: one node's evidence pool over a chain of four validators.

chain HEIGHT                    so many blocks are decided
grow COUNT                      more blocks, without evidence
accuse BY height=H [second=nil|time]    consensus saw two votes of BY: for A, and for B, nil, or A again
evidence NAME by=N height=H [wrong=signature|power|time|order|member|same-block]    somebody makes evidence
receive NAME from=PEER          a peer sends it
judge NAME...                   a proposed block holds these
pick                            what this node would put into its block
commit NAME...                  a block with these is decided
forget BELOW                    the node knows no heights below
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from catenet.chain.commit import NIL, BlockID, PartSetHeader
from catenet.chain.encoding import message_field
from catenet.chain.evidence import DuplicateVoteEvidence, make
from catenet.chain.keys import PublicKey
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import Vote, VoteType
from catenet.core.evidence import EvidencePool, HistoryMissing
from catenet.types.effects import Append, Broadcast, Effect, Notice, Penalise
from support.chain import GENESIS_TIME_NS, LocalChain, make_chain


def named_id(letter: str) -> BlockID:
    """Return a block id that a letter stands for."""
    if letter == "nil":
        return NIL
    return BlockID(hash=letter.encode() * 32, parts=PartSetHeader(total=1, hash=letter.encode() * 32))


class History:
    """What the node knows of the chain's past."""

    def __init__(self, chain: LocalChain) -> None:
        self.chain = chain
        self.lowest = 1

    def _known(self, height: int) -> bool:
        return self.lowest <= height <= len(self.chain.decided)

    def validators_at(self, height: int) -> ValidatorSet | None:
        return self.chain.decided[height - 1].light.validators if self._known(height) else None

    def time_at(self, height: int) -> int | None:
        return self.chain.decided[height - 1].block.header.time_ns if self._known(height) else None

    def evidence_committed(self, evidence_hash: bytes) -> bool:
        return any(piece.hash() == evidence_hash for d in self.chain.decided for piece in d.block.evidence)


class Court:
    """One node's pool, and those who make evidence."""

    def __init__(self) -> None:
        self.named: dict[str, DuplicateVoteEvidence] = {}

    def command(self, verb: str, args: list[str]) -> str:
        """Do one command; return what the pool did or said."""
        words = [word for word in args if "=" not in word]
        options = dict(word.split("=", 1) for word in args if "=" in word)
        handler: Callable[[Sequence[str], dict[str, str]], str] = getattr(self, f"do_{verb}")
        return handler(words, options)

    def do_chain(self, words: Sequence[str], options: dict[str, str]) -> str:
        self.chain = make_chain(4, int(words[0]))
        self.history = History(self.chain)
        self.pool = EvidencePool(self.history, self._verify)
        return ""

    @staticmethod
    def _verify(key: PublicKey, message: bytes, signature: bytes) -> bool:
        return key.verify(message, signature)

    def do_grow(self, words: Sequence[str], options: dict[str, str]) -> str:
        lines = []
        for _ in range(int(words[0])):
            self.chain.grow(1)
            lines.append(self._said(self.pool.committed((), self.chain.state)))
        return "\n".join([line for line in lines if line])

    def do_forget(self, words: Sequence[str], options: dict[str, str]) -> str:
        self.history.lowest = int(words[0])
        return ""

    def _vote(self, by: int, height: int, letter: str, time_ns: int = GENESIS_TIME_NS) -> Vote:
        member = self.chain.state.validators.validators[by - 1]
        vote = Vote(
            type=VoteType.PRECOMMIT,
            height=height,
            round=0,
            block_id=named_id(letter),
            time_ns=time_ns,
            address=member.address,
            index=by - 1,
        )
        key = self.chain.keys[member.address]
        return replace(vote, signature=key.sign(vote.sign_bytes(self.chain.state.chain_id)))

    def do_accuse(self, words: Sequence[str], options: dict[str, str]) -> str:
        by, height, second = int(words[0]), int(options["height"]), options.get("second", "B")
        first = self._vote(by, height, "A")
        other = self._vote(by, height, second) if second != "time" else self._vote(by, height, "A", 1)
        return self._said(self.pool.accuse(first, other, self.chain.state))

    def do_evidence(self, words: Sequence[str], options: dict[str, str]) -> str:
        by, height, wrong = int(options["by"]), int(options["height"]), options.get("wrong")
        decided = self.chain.decided[height - 1]
        first, second = self._vote(by, height, "A"), self._vote(by, height, "B")
        made = make(first, second, decided.light.validators, decided.block.header.time_ns)
        match wrong:
            case None:
                pass
            case "signature":
                made = replace(made, vote_b=replace(second, signature=first.signature))
            case "power":
                made = replace(made, validator_power=made.validator_power + 1)
            case "time":
                made = replace(made, time_ns=made.time_ns + 1)
            case "order":
                made = replace(made, vote_a=made.vote_b, vote_b=made.vote_a)
            case "member":
                made = replace(
                    made,
                    vote_a=replace(first, address=b"?" * 20),
                    vote_b=replace(second, address=b"?" * 20),
                )
            case "same-block":
                made = replace(made, vote_b=self._vote(by, height, "A", 1))
            case _:
                raise AssertionError(wrong)
        self.named[words[0]] = made
        return ""

    def do_receive(self, words: Sequence[str], options: dict[str, str]) -> str:
        wrapped = message_field(1, self.named[words[0]].encode())
        return self._said(self.pool.received(options["from"].encode() * 20, wrapped, self.chain.state))

    def do_judge(self, words: Sequence[str], options: dict[str, str]) -> str:
        try:
            reason = self.pool.check([self.named[name] for name in words], self.chain.state)
        except HistoryMissing as error:
            return f"pending: {error}"
        return "valid" if reason is None else f"invalid: {self._plain(reason)}"

    def do_pick(self, words: Sequence[str], options: dict[str, str]) -> str:
        picked = [self._name(piece) for piece in self.pool.pick(self.chain.state)]
        return " ".join(picked) or "nothing"

    def do_commit(self, words: Sequence[str], options: dict[str, str]) -> str:
        evidence = tuple([self.named[name] for name in words])
        self.chain.add(self.chain.build(evidence=evidence))
        return self._said(self.pool.committed(evidence, self.chain.state))

    def _name(self, piece: DuplicateVoteEvidence) -> str:
        found = [name for name, known in self.named.items() if known == piece]
        return found[0] if found else f"evidence against {piece.vote_a.index + 1} at {piece.vote_a.height}"

    def _plain(self, text: str) -> str:
        for name, piece in self.named.items():
            text = text.replace(piece.hash().hex(), name)
        for index, member in enumerate(self.chain.state.validators.validators):
            text = text.replace(member.address.hex().upper(), f"{index + 1}")
        return text

    def _said(self, effects: Sequence[Effect]) -> str:
        lines = []
        for effect in effects:
            match effect:
                case Append():
                    lines.append("append evidence")
                case Broadcast():
                    lines.append("broadcast evidence")
                case Notice(name=name, alarm=alarm, fields=fields):
                    whom = self._plain(str(fields.get("validator", fields.get("reason", ""))))
                    lines.append(f"{'alarm' if alarm else 'notice'} {name}: {whom}")
                case Penalise(peer=peer, reason=reason, disconnect=disconnect):
                    cut = " and disconnect" if disconnect else ""
                    lines.append(f"penalise{cut} {chr(peer[0])}: {self._plain(reason)}")
                case other:
                    raise AssertionError(other)
        return "\n".join(lines)
