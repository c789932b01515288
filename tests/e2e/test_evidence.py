"""A hostile validator on real nodes: what it signs twice convicts it, what it forges cuts it off."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from catenet.chain.block import Block as ChainBlock
from catenet.chain.commit import ABSENT, BlockID, CommitSig, Flag, PartSetHeader
from catenet.chain.evidence import DuplicateVoteEvidence, Evidence, make
from catenet.chain.genesis import Genesis
from catenet.chain.keys import PrivateKey, parse_key_file
from catenet.chain.light_block import LightBlock
from catenet.chain.light_fork import make_attack_evidence
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import Vote, VoteType
from catenet.client.values import Block
from catenet.network.config import Endpoint
from catenet.storage.home import Home
from catenet.types.events import Level
from catenet.types.messages import ProposalMessage, VoteMessage
from support.cluster import Cluster, cluster
from support.liar import Liar, lying
from support.repository import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

LIAR = 3
WITHIN_S = 30.0


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))
    settings = (
        "app=support.town_hall:TownHall",
        "consensus.min_block_interval_ms=20",
        "consensus.propose_timeout_ms=300",
    )
    with cluster(tmp_path / "net", settings=settings) as made:
        yield made


def endpoints(net: Cluster) -> list[Endpoint]:
    return [
        Endpoint(address=address(net, index), name=f"node{index}", target=net.peer(index))
        for index in range(LIAR)
    ]


def address(net: Cluster, index: int) -> bytes:
    return parse_key_file(Home(net.home(index)).validator_key.read_text()).public.address


async def found(net: Cluster, *, after: int = 0) -> tuple[int, Evidence]:
    """Return the first evidence in a block above a height."""
    async with net.client(0) as client, asyncio.timeout(WITHIN_S):
        async for block in client.blocks(after + 1, raw=True):
            evidence = ChainBlock.decode(block.raw).evidence
            if evidence:
                (piece,) = evidence
                return block.height, piece
    raise AssertionError("the stream of blocks ended")


async def told(net: Cluster, index: int) -> bytes:
    """Return what the application of a node was told of misbehaviour."""
    async with net.client(index) as client:
        return (await client.query("/store", b"guilty")).value


def test_who_votes_twice_is_convicted_on_all_nodes_and_who_forges_is_cut_off(net: Cluster) -> None:
    async def body() -> None:
        net.start(0, 1, 2)
        port = int(net.peer(LIAR).rpartition(":")[2])
        async with lying(Home(net.home(LIAR)), port, endpoints(net)) as liar:
            await net.wait_status(0, lambda s: s.height >= 2, within_s=WITHIN_S, what="height 2")
            at = await votes_twice(net, liar)
            shown = await attacks(net, liar, after=at)
            await forges(net, liar)
            await comes_too_late(net, liar)
            chain = await net.chain(0, await grow(net, 5))
            assert [block.height for block in chain if ChainBlock.decode(block.raw).evidence] == [at, shown]

    asyncio.run(body())


async def votes_twice(net: Cluster, liar: Liar) -> int:
    """One node hears both votes; all convict, in one block, and their applications are told."""
    twice: list[tuple[Vote, Vote]] = []

    def answer(proposal: ProposalMessage) -> None:
        if not twice:
            twice.append(liar.vote_twice(proposal))
            liar.peers.send(address(net, 0), [VoteMessage(vote=vote) for vote in twice[0]])

    liar.on_proposal = answer
    height, piece = await found(net)
    assert isinstance(piece, DuplicateVoteEvidence)
    assert {piece.vote_a, piece.vote_b} == set(twice[0])
    await net.wait_height(height, 0, 1, 2, within_s=WITHIN_S)
    assert net.events(0, "double-vote")
    for index in range(LIAR):
        assert await told(net, index) == f"{liar.address.hex()} {piece.height} 10".encode()
        assert not net.events(index, "peer_penalised")
    return height


async def attacks(net: Cluster, liar: Liar, *, after: int) -> int:
    """Three of four have signed another block of a height: who shows it convicts them, on all nodes."""
    chain = await net.chain(0, await grow(net, 3))
    first, height = light_block(net, chain, 1), after + 1
    true = light_block(net, chain, height)
    header = replace(true.header, data_hash=bytes(32))
    other = BlockID(hash=header.hash(), parts=true.commit.block_id.parts)
    commit = replace(true.commit, block_id=other)
    entries = list(commit.signatures)
    for index, member in enumerate(true.validators.validators[:3]):
        entry = CommitSig(flag=Flag.COMMIT, address=member.address, time_ns=header.time_ns + 1, signature=b"")
        entries[index] = entry
        unsigned = replace(commit, signatures=tuple(entries))
        signature = keys(net)[member.address].sign(unsigned.sign_bytes(liar.genesis.chain_id, index))
        entries[index] = replace(entry, signature=signature)
    conflicting = LightBlock(
        header=header,
        commit=replace(commit, signatures=(*entries[:3], ABSENT)),
        validators=true.validators,
    )
    evidence = make_attack_evidence(conflicting=conflicting, trusted=true, common=first)
    assert evidence.byzantine_validators
    await liar.wait_link(address(net, 0), up=True)
    liar.accuse(address(net, 0), evidence)
    # A height is due for evidence as it is for transactions: nobody submits any here.
    shown, piece = await found(net, after=after)
    assert piece == evidence
    await net.wait_height(shown, 0, 1, 2, within_s=WITHIN_S)
    guilty = [f"{member.address.hex()} {height} 10" for member in evidence.byzantine_validators]
    for index in range(LIAR):
        assert (await told(net, index)).decode().splitlines() == guilty
    return shown


def keys(net: Cluster) -> dict[bytes, PrivateKey]:
    read = [parse_key_file(Home(net.home(index)).validator_key.read_text()) for index in range(net.count)]
    return {key.public.address: key for key in read}


def light_block(net: Cluster, chain: list[Block], height: int) -> LightBlock:
    """Return a height as the chain has it: its commit is the one in the next block."""
    genesis = Genesis.from_json(Home(net.home(0)).genesis.read_text())
    return LightBlock(
        header=ChainBlock.decode(chain[height - 1].raw).header,
        commit=ChainBlock.decode(chain[height].raw).last_commit,
        validators=ValidatorSet.new(genesis.members()),
    )


async def forges(net: Cluster, liar: Liar) -> None:
    """It accuses another validator with signatures of its own."""
    evidence = await old_double_vote(net, liar)
    victim = liar.index_of(address(net, 0))
    false = [
        liar.sign(replace(vote, address=address(net, 0), index=victim))
        for vote in (evidence.vote_a, evidence.vote_b)
    ]
    forged = replace(evidence, vote_a=false[0], vote_b=false[1])
    await cut_off(net, liar, 2, forged, "a signature is wrong")


async def comes_too_late(net: Cluster, liar: Liar) -> None:
    """What it says is true, and of a height that nobody may be convicted for any more."""
    evidence = await old_double_vote(net, liar)
    async with net.client(0) as client:
        for tx in (b"param.age_blocks=1", b"param.age_ns=1"):
            await client.submit([tx], Level.COMMITTED)
    await net.wait_height(await grow(net, 4), 1, within_s=WITHIN_S)
    await cut_off(net, liar, 1, evidence, "expired long ago")


async def grow(net: Cluster, count: int) -> int:
    """Have so many blocks made; returns the height of the last one."""
    height = 0
    async with net.client(0) as client:
        for number in range(count):
            name = f"grow{await net.head()}/{number}"
            result = await client.submit([f"{name}=x".encode()], Level.COMMITTED)
            height = result.height
    return height


async def old_double_vote(net: Cluster, liar: Liar) -> DuplicateVoteEvidence:
    """Return true evidence against the liar, of height 1."""
    (first,) = await net.chain(0, 1)
    header = ChainBlock.decode(first.raw).header
    votes = [
        liar.sign(
            Vote(
                type=VoteType.PRECOMMIT,
                height=1,
                round=0,
                block_id=BlockID(hash=name * 32, parts=PartSetHeader(total=1, hash=name * 32)),
                time_ns=header.time_ns + 1,
                address=liar.address,
                index=liar.index,
            )
        )
        for name in (b"a", b"b")
    ]
    return make(votes[0], votes[1], ValidatorSet.new(liar.genesis.members()), header.time_ns)


async def cut_off(net: Cluster, liar: Liar, index: int, evidence: Evidence, why: str) -> None:
    """Give a node evidence and wait until it has ended the connection, for that reason."""
    peer = address(net, index)
    await liar.wait_link(peer, up=True)
    liar.accuse(peer, evidence)
    await liar.wait_link(peer, up=False)
    (entry,) = net.events(index, "peer_penalised")
    assert (entry["peer"], why in str(entry["reason"])) == (liar.address.hex(), True)
