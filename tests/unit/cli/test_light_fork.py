"""`catenet light` between two nodes with two signed histories: it ends with code 4, and both are told."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.chain import LocalChain, make_chain
from support.cli import Terminal
from support.cluster import HOST, free_ports
from support.light_nodes import Answers, chain_answers, rpc_server


def forked() -> tuple[LocalChain, LocalChain]:
    """Two chains of the same validators that part after height 3."""
    true, other = make_chain(4, heights=3), make_chain(4, heights=3)
    true.grow(3)
    other.add(other.build([b"another one"]), app_hash=b"made up")
    other.grow(2)
    return true, other


def noting(chain: LocalChain, taken: list[object]) -> Answers:
    answers = chain_answers(chain)

    def noted(method: str, params: Mapping[str, object]) -> object:
        if method == "broadcast_evidence":
            taken.append(params["evidence"])
        return answers(method, params)

    return noted


@pytest.mark.slow
@pytest.mark.parametrize("once", [True, False])
def test_two_signed_histories_are_code_4(catenet: Terminal, tmp_path: Path, once: bool) -> None:
    true, other = forked()
    taken: list[object] = []
    genesis = tmp_path / "genesis.json"
    genesis.write_text(true.genesis.to_json())
    mode = ("--once",) if once else ("--laddr", f"{HOST}:{free_ports(1)}")
    with rpc_server(noting(true, taken)) as primary, rpc_server(noting(other, taken)) as witness:
        arguments = ("light", "test-chain", "--primary", primary, "--witness", witness, *mode)
        trust = ("--genesis", genesis, "--trusting-period", "200000h", "--dir", tmp_path / "trusted")
        assert catenet(*arguments, *trust) == 4
    assert catenet.out == ""
    assert "have two histories after height 1, both signed" in catenet.err
    assert "Trust neither" in catenet.err
    kept = [json.loads(path.read_text()) for path in (tmp_path / "trusted").glob("evidence-*.json")]
    assert len(kept) == 2
    assert all(one in kept for one in taken)
    assert len(taken) == 2
