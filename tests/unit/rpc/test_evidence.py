"""Evidence as clients hand it in: read to the byte, and refused when it proves nothing."""

import json

from catenet.chain.evidence import DuplicateVoteEvidence
from catenet.chain.json_fields import JsonObject
from catenet.chain.light_fork import make_attack_evidence
from catenet.rpc import reading, shapes
from support.chain import make_chain
from support.rpc import Caller, MemoryDesk, run_served
from support.rpc_json import load_vectors

CASES = load_vectors("reference_vectors_seed1").children("evidence")


def test_evidence_of_the_reference_is_read_to_the_byte_and_shown_as_it_came() -> None:
    for case in CASES:
        value = case.child("evidence")
        evidence = reading.evidence(value)
        assert evidence.encode() == case.hex("bytes")
        assert shapes.evidence(evidence) == case.raw("evidence")


def test_an_attack_on_light_clients_is_shown_and_read_back() -> None:
    lights = [decided.light for decided in make_chain(heights=3).decided]
    attack = make_attack_evidence(conflicting=lights[2], trusted=lights[1], common=lights[0])
    shown = json.loads(json.dumps(shapes.evidence(attack)))
    assert reading.evidence(JsonObject(shown)) == attack


def test_a_double_vote_is_handed_on() -> None:
    async def body(desk: MemoryDesk, caller: Caller) -> None:
        shown = CASES[0].raw("evidence")
        evidence = reading.evidence(CASES[0].child("evidence"))
        assert isinstance(evidence, DuplicateVoteEvidence)
        answer = await caller.post("broadcast_evidence", {"evidence": shown})
        assert answer["result"] == {"hash": shapes.based(evidence.hash())}
        assert desk.accusations == [evidence]
        desk.refuse = "it is old"
        refused = await caller.error("broadcast_evidence", {"evidence": shown})
        assert refused == (-32603, "failed to add evidence: it is old")

    run_served(body)


def test_evidence_that_does_not_read_is_refused() -> None:
    async def body(desk: MemoryDesk, caller: Caller) -> None:
        shown = CASES[0].raw("evidence")
        assert isinstance(shown, dict)
        assert await caller.error("broadcast_evidence") == (-32603, "no evidence was provided")
        half = {**shown["value"], "vote_b": None}
        negative = {**shown["value"], "vote_a": {**shown["value"]["vote_a"], "round": -1}}
        for wrong in (
            "text",
            {},
            {"type": "tendermint/Other", "value": {}},
            {"type": "tendermint/LightClientAttackEvidence", "value": {}},
            {**shown, "value": half},
        ):
            assert (await caller.error("broadcast_evidence", {"evidence": wrong}))[0] == -32602
        assert "error" in await caller.post("broadcast_evidence", {"evidence": {**shown, "value": negative}})
        assert not desk.accusations

    run_served(body)
