"""Evidence against a validator, made out of its own key and of what the JSON-RPC of its network says."""

from dataclasses import replace
from pathlib import Path

import httpx

from catenet.chain.block_id import NIL, BlockID, PartSetHeader
from catenet.chain.evidence import DuplicateVoteEvidence, make
from catenet.chain.json_fields import JsonObject
from catenet.chain.keys import PublicKey, parse_key_file
from catenet.chain.time import parse_rfc3339
from catenet.chain.validators import Validator, ValidatorSet
from catenet.chain.vote import Vote, VoteType


async def call(http: httpx.AsyncClient, method: str, **params: object) -> dict[str, object]:
    """Call a method of a JSON-RPC; returns the whole answer."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer: dict[str, object] = (await http.post("/", json=request)).json()
    return answer


async def double_vote(
    http: httpx.AsyncClient, home: Path, *, chain_id: str, height: int
) -> DuplicateVoteEvidence:
    """Return what convicts the validator of a home, had it signed for nil and for a block that is none.

    `http` leads to a node of its network, whose JSON-RPC says who the validators are.
    """
    key = parse_key_file((home / "config" / "priv_validator_key.json").read_text())
    found = JsonObject(await call(http, "validators", height=str(height))).child("result")
    members = tuple(
        Validator(
            public_key=PublicKey.from_json(member.child("pub_key")), power=member.integer("voting_power")
        )
        for member in found.children("validators")
    )
    valset = ValidatorSet(validators=members, proposer=members[0])
    header = JsonObject(await call(http, "header", height=str(height))).child("result").child("header")
    time_ns = parse_rfc3339(header.text("time"))
    place = valset.index_of(key.public.address)
    assert place is not None
    other = BlockID(hash=b"\x07" * 32, parts=PartSetHeader(total=1, hash=b"\x08" * 32))
    votes = []
    for block_id in (NIL, other):
        vote = Vote(
            type=VoteType.PRECOMMIT,
            height=height,
            round=0,
            block_id=block_id,
            time_ns=time_ns,
            address=key.public.address,
            index=place,
        )
        votes.append(replace(vote, signature=key.sign(vote.sign_bytes(chain_id))))
    return make(votes[0], votes[1], valset, time_ns)
