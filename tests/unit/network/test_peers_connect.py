"""Nodes find, prove and lose each other over real gRPC on loopback."""

import asyncio
from dataclasses import replace

import pytest

from catenet.types.batch import Batch
from catenet.types.errors import NotFound, PastTip, Unavailable, WrongState
from catenet.types.messages import BatchMessage, FoundBatch, Have, Ping, Skip, Status, Tip, Wanted
from support.network import QUICK, Blocks, Recorder, address_of, connected, network, status, until

pytestmark = pytest.mark.slow


def test_two_nodes_connect_and_exchange() -> None:
    async def body() -> None:
        async with network(2) as net:
            a, b = await net.start(0), await net.start(1)
            await connected(a, b)
            tip = Tip(author=b.address, incarnation=1, seq=2, credit=3)
            a.peers.send(b.address, [status(7), Have(tips=(tip,))])
            b.peers.send(a.address, [status(8)])
            await until(lambda: len(b.handler.messages) == 2 and len(a.handler.messages) == 1)
            assert b.handler.messages == [(a.address, status(7)), (a.address, Have(tips=(tip,)))]
            assert a.handler.messages == [(b.address, status(8))]
            assert a.handler.links == [(b.address, True)]
            assert b.handler.links == [(a.address, True)]
            assert a.peers.last_seen_us[b.address] > 0
            # Hello, Proof and one frame each way: more than six events happened before the last one.
            assert a.peers.clock.time > 6

    asyncio.run(body())


def test_batches_travel_in_order_from_the_first_moment_on() -> None:
    async def body() -> None:
        async with network(2) as net:
            a, b = await net.start(0), await net.start(1)
            await connected(a, b)
            batches = [
                BatchMessage(batch=Batch(incarnation=1, seq=n, payload=bytes(60_000))) for n in range(1, 101)
            ]
            for batch in batches:
                a.peers.send(b.address, [batch])
            a.peers.send(b.address, [Skip(to=100)])
            await until(lambda: len(b.handler.messages) == 101)
            assert [message for _, message in b.handler.messages] == [*batches, Skip(to=100)]

    asyncio.run(body())


def test_a_broadcast_reaches_all_and_a_dead_node_comes_back() -> None:
    async def body() -> None:
        async with network(3) as net:
            a, b, c = [await net.start(index) for index in range(3)]
            await connected(a, b, c)
            a.peers.broadcast([status(1), Ping()])
            await until(lambda: bool(b.handler.of(Ping)) and bool(c.handler.of(Ping)))
            port = c.peers.port
            await c.stop()
            await until(lambda: c.address not in a.peers.connected | b.peers.connected)
            assert a.handler.links[-1] == (c.address, False)
            a.peers.broadcast([status(2)])
            await until(lambda: b.handler.of(Status)[-1] == status(2))
            again = await net.start(2, port=port)
            await connected(a, b, again)
            b.peers.broadcast([status(3)])
            await until(lambda: again.handler.of(Status) == [status(3)])

    asyncio.run(body())


def test_fetch_blocks_and_pledge_answer_over_bulk() -> None:
    async def body() -> None:
        found = FoundBatch(author=address_of(1), batch=Batch(incarnation=1, seq=1, payload=b"\x0a\x01x"))
        raws = [bytes([n]) * 700_000 for n in range(1, 9)]
        async with network(2) as net:
            a = await net.start(0)
            b = await net.start(1, handler=Recorder(reader=Blocks(raws=raws, lowest=3), found=[found]))
            await connected(a, b)
            wanted = Wanted(digests=(bytes(32),), height=4)
            b.handler.pledged = 41
            assert await a.peers.pledge(b.address, timeout_s=5) == 41
            b.handler.pledged = None
            with pytest.raises(Unavailable, match="takes no part"):
                await a.peers.pledge(b.address, timeout_s=5)
            answer = [each async for each in a.peers.fetch(b.address, wanted, timeout_s=5)]
            assert (answer, b.handler.wanted) == ([found], [wanted])
            got: list[bytes] = []
            async for run in a.peers.blocks(b.address, 3, 9, timeout_s=5):
                assert run.first == 3 + len(got)
                assert run.commit
                got += run.blocks
            assert got == raws[:7]
            with pytest.raises(NotFound, match="lowest height kept is 3"):
                await anext(aiter(a.peers.blocks(b.address, 1, 2, timeout_s=5)))
            with pytest.raises(PastTip, match="head, which is 10"):
                await anext(aiter(a.peers.blocks(b.address, 11, 12, timeout_s=5)))
            with pytest.raises(Unavailable):
                await anext(aiter(a.peers.blocks(bytes(20), 1, 2, timeout_s=5)))

    asyncio.run(body())


def test_a_banned_peer_is_cut_and_stays_away_for_its_time() -> None:
    async def body() -> None:
        async with network(2) as net:
            a, b = await net.start(0), await net.start(1)
            await connected(a, b)
            a.peers.disconnect(b.address, ban_s=0.5)
            await until(lambda: not a.peers.connected)
            await asyncio.sleep(0.3)
            assert not a.peers.connected
            await connected(a, b)

    asyncio.run(body())


def test_a_silent_peer_is_cut_after_its_misses() -> None:
    async def body() -> None:
        async with network(2) as net:
            a = await net.start(0, config=replace(QUICK, ping_s=0.2))
            b = await net.start(1, config=replace(QUICK, ping_s=30))
            await connected(a, b)
            await until(lambda: (b.address, False) in a.handler.links, seconds=3)
            assert b.handler.of(Ping)

    asyncio.run(body())


def test_the_higher_address_dials_when_the_lower_one_cannot() -> None:
    async def body() -> None:
        async with network(2) as net:
            low, high = sorted(range(2), key=address_of)
            config = replace(QUICK, higher_dials_after_s=0.2)
            a = await net.start(low, config=config)
            reachable = net.endpoints[low]
            b = await net.start(high, config=config)
            # The lower node has a wrong address of the higher one; both read the same table, so it is split.
            net.endpoints[high] = replace(net.endpoints[high], target="127.0.0.1:1")
            assert net.endpoints[low] == reachable
            await connected(a, b)

    asyncio.run(body())


def test_a_taken_port_is_a_clear_error() -> None:
    async def body() -> None:
        async with network(2) as net:
            a = await net.start(0)
            with pytest.raises(
                WrongState, match=f"cannot listen on 127.0.0.1:{a.peers.port}: the port is taken"
            ):
                await net.start(1, port=a.peers.port)

    asyncio.run(body())


def test_a_dead_serving_loop_is_replaced_within_a_second() -> None:
    async def body() -> None:
        async with network(2) as net:
            a = await net.start(0)
            loops = [task for task in asyncio.all_tasks() if "_server_main_loop" in repr(task)]
            assert len(loops) == 1
            loops[0].cancel()
            await until(lambda: loops[0].done() and a.peers.server_restarts == 1, seconds=1)
            b = await net.start(1)
            await connected(a, b)

    asyncio.run(body())
