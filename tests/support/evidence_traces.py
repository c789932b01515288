"""Commands of traces in `tests/traces/evidence`: one node's evidence pool over a chain of four validators.

chain HEIGHT [age=N]            so many blocks are decided; evidence expires after N blocks (and a second)
grow COUNT                      more blocks, without evidence
accuse BY height=H [second=nil|time]    consensus saw two votes of BY: for A, and for B, nil, or A again
evidence NAME by=N height=H [wrong=signature|power|time|order|member|same-block]    somebody makes evidence
attack NAME height=H common=C [kind=lunatic|early|equivocation|amnesia|same]
       [signers=N] [wrong=time|power|names|signature]
                                somebody shows a light client another block H; both histories have block C
receive NAME from=PEER [behind] a peer sends it; the node knows that it is behind
hand-in NAME                    a client hands it in
judge NAME...                   a proposed block holds these
pick                            what this node would put into its block
commit NAME...                  a block with these is decided
forget BELOW                    the node knows no heights below
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from catenet.chain.commit import NIL, BlockID, PartSetHeader
from catenet.chain.evidence import Evidence, make, wrap
from catenet.chain.keys import PublicKey
from catenet.chain.light_block import LightBlock
from catenet.chain.light_fork import make_attack_evidence
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import Vote, VoteType
from catenet.core.evidence import EvidencePool, HistoryMissing
from catenet.types.effects import Append, Broadcast, Effect, Notice, Penalise
from support.chain import GENESIS_TIME_NS, SECOND_NS, LocalChain, make_chain


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

    def light_block_at(self, height: int) -> LightBlock | None:
        if not self._known(height):
            return None
        light, after = self.chain.decided[height - 1].light, self.chain.decided[height:]
        return replace(light, commit=after[0].block.last_commit) if after else light

    def evidence_committed(self, evidence_hash: bytes) -> bool:
        return any(piece.hash() == evidence_hash for d in self.chain.decided for piece in d.block.evidence)


class Court:
    """One node's pool, and those who make evidence."""

    def __init__(self) -> None:
        self.named: dict[str, Evidence] = {}

    def command(self, verb: str, args: list[str]) -> str:
        """Do one command; return what the pool did or said."""
        words = [word for word in args if "=" not in word]
        options = dict(word.split("=", 1) for word in args if "=" in word)
        handler: Callable[[Sequence[str], dict[str, str]], str] = getattr(
            self, f"do_{verb.replace('-', '_')}"
        )
        return handler(words, options)

    def do_chain(self, words: Sequence[str], options: dict[str, str]) -> str:
        self.chain = make_chain(4, int(words[0]))
        if "age" in options:
            params = replace(
                self.chain.state.params,
                evidence_max_age_blocks=int(options["age"]),
                evidence_max_age_ns=SECOND_NS,
            )
            self.chain.state = replace(self.chain.state, params=params)
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
        peer, wrapped = options["from"].encode() * 20, wrap(self.named[words[0]])
        behind = "behind" in words
        return self._said(self.pool.received(peer, wrapped, self.chain.state, is_behind=behind))

    def do_hand_in(self, words: Sequence[str], options: dict[str, str]) -> str:
        reason = self.pool.refusal(wrap(self.named[words[0]]), self.chain.state)
        return "taken" if reason is None else f"refused: {self._plain(reason)}"

    def do_attack(self, words: Sequence[str], options: dict[str, str]) -> str:
        height, common = int(options["height"]), int(options["common"])
        conflicting = self._forged(height, options)
        trusted = self.history.light_block_at(min(height, len(self.chain.decided)))
        shared = self.history.light_block_at(common)
        assert trusted is not None
        assert shared is not None
        made = make_attack_evidence(conflicting=conflicting, trusted=trusted, common=shared)
        match options.get("wrong"):
            case None:
                pass
            case "time":
                made = replace(made, time_ns=made.time_ns + 1)
            case "power":
                made = replace(made, total_power=made.total_power + 1)
            case "names":
                made = replace(made, byzantine_validators=made.byzantine_validators[1:])
            case "signature":
                commit = conflicting.commit
                first, second, *rest = commit.signatures
                forged = replace(first, signature=second.signature)
                commit = replace(commit, signatures=(forged, second, *rest))
                made = replace(made, conflicting_block=replace(conflicting, commit=commit))
            case other:
                raise AssertionError(other)
        self.named[words[0]] = made
        return ""

    def _forged(self, height: int, options: dict[str, str]) -> LightBlock:
        """Return another block of a height, decided by the first `signers` validators (default: 3)."""
        signers, kind = int(options.get("signers", 3)), options.get("kind", "lunatic")
        chain = make_chain(4, height - 1)
        absent = range(signers, 4)
        match kind:
            case "same":
                chain.grow(1)
            case "lunatic" | "early":
                # Of a height to come: its time must not be after the newest block's.
                time_ns = self.chain.state.last_time_ns
                chain.state = replace(chain.state, app_hash=b"made up")
                block = chain.build([b"loot"])
                if kind == "early":
                    block = replace(block, header=replace(block.header, time_ns=time_ns - 1))
                chain.add(block, chain.sign(block, absent=absent))
            case "equivocation" | "amnesia":
                block = chain.build([b"another"])
                chain.add(block, chain.sign(block, round=int(kind == "amnesia"), absent=absent))
            case _:
                raise AssertionError(kind)
        return chain.decided[-1].light

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

    def _name(self, piece: Evidence) -> str:
        found = [name for name, known in self.named.items() if known == piece]
        whom = self._plain(" ".join([address.hex().upper() for address in piece.accused]))
        return found[0] if found else f"evidence against {whom} at {piece.height}"

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
                    said = fields.get("validator", fields.get("validators", fields.get("reason", "")))
                    whom = self._plain(str(said))
                    lines.append(f"{'alarm' if alarm else 'notice'} {name}: {whom}")
                case Penalise(peer=peer, reason=reason, disconnect=disconnect):
                    cut = " and disconnect" if disconnect else ""
                    lines.append(f"penalise{cut} {chr(peer[0])}: {self._plain(reason)}")
                case other:
                    raise AssertionError(other)
        return "\n".join(lines)
