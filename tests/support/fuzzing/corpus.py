"""Real objects to begin from: a signed chain of four validators, and every file that a node reads."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from catenet.chain import evidence as evidence_format
from catenet.chain.block_id import NIL, BlockID
from catenet.chain.evidence import Evidence, make
from catenet.chain.keys import PublicKey, key_file_json, node_key_json
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.core.guard import GuardState, export_json, raised
from catenet.node.config import NodeConfig, PeerConfig, to_toml
from catenet.security.ca import KeyPair, issue_node, make_ca
from catenet.types.application import BlockOutcome, Event, EventAttribute, TxResult, ValidatorUpdate
from catenet.types.batch import Batch, Compact, Inline, Pick, Ref
from catenet.types.messages import ProposalMessage, VoteSet
from catenet.types.records import (
    BatchRecord,
    CheckpointRecord,
    CommitRecord,
    EvidenceRecord,
    ExecutedRecord,
    ForkRecord,
    IncarnationRecord,
    PolkaRecord,
    ProposalRecord,
    Record,
    RejoinRecord,
    RoundCertRecord,
    VoteRecord,
)
from support.chain import GENESIS_TIME_NS, LocalChain, make_chain, make_keys

TXS = (b"k=v", b"name=Ada", b"val=ed25519!" + b"A" * 43 + b"=!10", b"val=", b"=", b"\0=\xff", b"x" * 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """What generators choose from: real values, in their bytes."""

    chain: LocalChain
    votes: tuple[Vote, ...]
    proposals: tuple[Proposal, ...]
    evidence: tuple[Evidence, ...]
    compacts: tuple[Compact, ...]

    def pieces(self) -> Mapping[str, Sequence[bytes]]:
        """Return real bytes for the bytes fields of messages, by the names of these."""
        decided = self.chain.decided
        digests = [bytes(32), b"\1" * 32, *[each.block_id.hash for each in decided]]
        addresses = [member.address for member in self.chain.state.validators.validators]
        votes = [vote.encode() for vote in self.votes]
        blocks = [each.raw for each in decided]
        commits = [each.commit.encode() for each in decided]
        lists = [b"", evidence_format.encode_list(self.evidence)]
        return {
            **dict.fromkeys(("vote", "votes", "yours"), votes),
            **dict.fromkeys(("commit", "last_commit"), commits),
            **dict.fromkeys(("block", "blocks"), blocks),
            **dict.fromkeys(("digest", "digests", "block_id", "block_ids", "hash", "id", "ids"), digests),
            **dict.fromkeys(("head_hash", "nonce", "certificate"), digests),
            **dict.fromkeys(("author", "address"), addresses),
            "header": [each.block.header.encode() for each in decided],
            "signed": [proposal.encode() for proposal in self.proposals],
            "evidence": lists,
            "payload": [b"\n\3k=v", b"\n\0", b"\n"],
            "transactions": TXS,
            "data": TXS,
            "json": [b"{}", b'{"block":{}}', params_json()],
        }


@cache
def corpus() -> Corpus:
    """Return the corpus, made once."""
    chain = make_chain(4, heights=2)
    chain.add(chain.build(TXS[:3]), validator_updates=[(make_keys(1, first=9)[0].public, 7)])
    known = [each.block_id for each in chain.decided]
    votes = [
        chain.vote(index, block_id, type=type, round=round)
        for index, block_id in enumerate([NIL, *known])
        for type, round in ((VoteType.PREVOTE, 0), (VoteType.PRECOMMIT, 2**31 - 1))
    ]
    doubled = [
        make(chain.vote(index, NIL), chain.vote(index, known[-1]), chain.state.validators, GENESIS_TIME_NS)
        for index in (0, 1)
    ]
    proposals = [_proposal(known[-1], pol_round=pol_round) for pol_round in (-1, 0, 2**31 - 1)]
    return Corpus(
        chain=chain,
        votes=tuple(votes),
        proposals=tuple(proposals),
        evidence=tuple(doubled),
        compacts=tuple([_compact(chain, height) for height in range(len(chain.decided))]),
    )


def _proposal(block_id: BlockID, *, pol_round: int) -> Proposal:
    return Proposal(
        height=4,
        round=1,
        pol_round=pol_round,
        block_id=block_id,
        time_ns=GENESIS_TIME_NS,
        signature=b"s" * 64,
    )


def _compact(chain: LocalChain, height: int) -> Compact:
    block = chain.decided[height].block
    return Compact(
        header=block.header.encode(),
        last_commit=block.last_commit.encode(),
        evidence=evidence_format.encode_list(block.evidence),
        manifest=(
            Inline(txs=tuple(block.txs)),
            Ref(digest=b"\1" * 32, excluded=(0, 3)),
            Pick(digest=b"\2" * 32, indices=(2**32 - 1,)),
        ),
    )


@cache
def records() -> tuple[Record, ...]:
    """Return a journal's record of every kind."""
    real = corpus()
    votes, compact = VoteSet(votes=real.votes), real.compacts[-1]
    return (
        VoteRecord(vote=real.votes[1]),
        ProposalRecord(
            proposal=ProposalMessage(signed=real.proposals[0], compact=compact, pol=VoteSet(votes=()))
        ),
        PolkaRecord(votes=votes.votes, compact=compact),
        RoundCertRecord(votes=votes.votes),
        BatchRecord(author=b"\1" * 20, batch=Batch(incarnation=2, seq=1, payload=b"\n\3k=v")),
        CommitRecord(height=3, compact=compact, commit=real.chain.decided[-1].commit),
        ExecutedRecord(height=3, outcome=outcome()),
        CheckpointRecord(height=2**63 - 1),
        IncarnationRecord(incarnation=7),
        RejoinRecord(height=9),
        ForkRecord(height=9),
        EvidenceRecord(evidence=real.evidence[0].encode()),
    )


def outcome() -> BlockOutcome:
    """Return what executing a block gave, with everything that can be in it."""
    event = Event(type="t", attributes=(EventAttribute(key="k", value="v", index=False),))
    return BlockOutcome(
        results=(TxResult(), TxResult(), TxResult(code=7, log="no", gas_used=-1, events=(event,))),
        app_hash=b"h" * 8,
        validator_updates=(ValidatorUpdate(public_key=b"\3" * 32, power=0),),
        param_updates=corpus().chain.state.params,
        events=(event,),
    )


def params_json() -> bytes:
    """Return the default parameters, as a genesis file has them."""
    return b'{"block":{"max_bytes":"2097152","max_gas":"-1"},"evidence":{"max_age_num_blocks":"1",\
"max_age_duration":"1","max_bytes":"1"},"validator":{"pub_key_types":["ed25519"]}}'


def guard_state() -> GuardState:
    """Return what the guard keeps after a precommit."""
    return raised(GuardState(), corpus().votes[1], "test-chain")


@cache
def texts() -> Mapping[str, str]:
    """Return the files of a node that are JSON, by a name of their own."""
    key = make_keys(1)[0]
    return {
        "genesis": corpus().chain.genesis.to_json(),
        "key": key_file_json(key),
        "node key": node_key_json(key),
        "state": corpus().chain.state.to_json().decode(),
        "sign state": export_json(guard_state()),
        "params": params_json().decode(),
        "network": '{"chain_id": "c", "ca": "ca/ca.pem", "nodes": [{"name": "node0", "home": "node0",'
        ' "plaintext": "127.0.0.1:1", "tls": "", "peer": "[::1]:2"}]}',
    }


@cache
def settings_text() -> str:
    """Return a node's configuration file with two peers."""
    peer = PeerConfig(address="A" * 40, name="node1", host="127.0.0.1")
    return to_toml(NodeConfig(peers=(peer, peer)))


@cache
def certificates() -> tuple[KeyPair, KeyPair]:
    """Return an authority, and a node's certificate by it."""
    now_ns = time.time_ns()
    authority = make_ca(chain_id="test-chain", now_ns=now_ns)
    return authority, issue_node(authority, chain_id="test-chain", name="node1", now_ns=now_ns)


def public_keys() -> Sequence[PublicKey]:
    """Return one key of each kind."""
    return make_keys(1)[0].public, PublicKey("secp256k1", b"\2" * 33)
