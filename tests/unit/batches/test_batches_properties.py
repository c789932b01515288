"""What holds whatever is lost, cut, restarted, left out or repeated (consensus.md 10.2: 10, 11, 13)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenet.core.batches.io import BatchConfig
from catenet.types.assembly import Missing
from catenet.types.batch import Inline, Ref
from catenet.types.ids import Ticket
from support.batches import SECOND_US, Net, tx_id

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.integers(0, 3), st.integers(0, 30)),
        st.tuples(st.just("cut"), st.integers(0, 3), st.integers(0, 3)),
        st.tuples(st.just("heal"), st.just(0), st.just(0)),
        st.tuples(st.just("run"), st.sampled_from([0, 1, 10, 250, 2_500]), st.just(0)),
        st.tuples(st.just("decide"), st.integers(0, 3), st.integers(0, 3)),
        st.tuples(st.just("restart"), st.integers(0, 3), st.just(0)),
    ),
    max_size=40,
)


class Story:
    """A network with what was submitted, acknowledged and committed."""

    def __init__(self) -> None:
        self.net = Net(config=BatchConfig(window_batches=6, pipe_bytes=400))
        self.txs_of: dict[Ticket, list[bytes]] = {}
        self.author_of: dict[Ticket, int] = {}
        self.acknowledged: dict[Ticket, None] = {}
        self.committed: list[bytes] = []

    def submit(self, node: int, number: int) -> None:
        # Few different transactions, so that several authors get the same ones.
        txs = [b"tx-%d" % ((number + step) % 31) for step in range(1 + number % 3)]
        ticket = len(self.txs_of) + 1
        ids = [tx_id(tx) for tx in txs]
        pool = self.net[node].pool
        done, known = pool.committed_ids(ids), pool.pending_ids(ids)
        fresh = [tx for tx in txs if tx_id(tx) not in done and tx_id(tx) not in known]
        joined = [name for name in known if name not in done]
        self.txs_of[ticket], self.author_of[ticket] = txs, node
        outputs = pool.enqueue(
            ticket, fresh, [tx_id(tx) for tx in fresh], self.net.now, client="c", joined=joined
        )
        self.net.take(self.net[node], outputs)

    def decide(self, proposer: int, left_out: int) -> None:
        """Decide what a node chooses; who lacks a batch fetches it first, as consensus has it."""
        net = self.net
        segments = net.choose(proposer).segments
        if left_out:
            segments = tuple(
                [
                    Ref(digest=s.digest, excluded=(0,)) if isinstance(s, Ref) and not s.excluded else s
                    for s in segments
                ]
            )
        for index in range(4):
            answer = net[index].pool.assemble(net.compact(segments))
            if isinstance(answer, Missing):
                site = net[index]
                net.take(site, site.pool.want(answer.digests, (), 1, (net.order[proposer],), net.now))
                for found in net[proposer].pool.serve(answer.digests):
                    net.take(site, site.pool.on_found(0, net.order[proposer], found, net.now))
        ids = [name for s in segments if not isinstance(s, Inline) for name in [s.digest]]
        assert len(ids) == len(set(ids))
        made = net.decide(segments, proposer=proposer)
        self.committed.extend(made.block.txs)

    def step(self, kind: str, a: int, b: int) -> None:
        net = self.net
        match kind:
            case "submit":
                self.submit(a, b)
            case "cut" if a != b:
                net.cut(a, b)
            case "heal":
                net.heal()
            case "run":
                net.run(a * 1000)
            case "decide":
                self.decide(a, b)
            case "restart":
                self.note()
                net.restart(net.order[a])
            case _:
                pass
        self.note()
        self.check()

    def note(self) -> None:
        for site in self.net.sites.values():
            self.acknowledged.update(dict.fromkeys(site.acknowledged))

    def check(self) -> None:
        # 11: no transaction is committed twice.
        assert len(self.committed) == len(set(self.committed))
        for ticket in self.acknowledged:
            for tx in self.txs_of[ticket]:
                # 10: what was acknowledged is committed, or a third holds it: two of four.
                holders = [site for site in self.net.sites.values() if site.pool.has(tx_id(tx))]
                assert tx in self.committed or len(holders) >= 2, tx
        for index in range(4):
            for author in range(4):
                if index != author:
                    # 13: no author takes more than its WINDOW.
                    assert self.net.tip(index, author).credit >= 0


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(steps=STEPS)
def test_what_is_acknowledged_is_never_lost_and_everything_ends_in_a_block(
    steps: list[tuple[str, int, int]],
) -> None:
    story = Story()
    for kind, a, b in steps:
        story.step(kind, a, b)
    net = story.net
    net.heal()
    for address in net.order:
        for site in net.sites.values():
            if site.address != address:
                net.take(site, site.pool.on_link(address, up=True, now=net.now))
    # 10: with honest proposers from here on, nothing stays behind.
    for turn in range(60):
        net.run(3 * SECOND_US)
        if not any(site.pool.pending_count for site in net.sites.values()):
            break
        story.decide(turn % 4, 0)
        story.note()
        story.check()
    assert [site.pool.pending_count for site in net.sites.values()] == [0, 0, 0, 0]
    # Nothing pins an author's WINDOW: every batch is freed.
    credits = [net.tip(a, b).credit for a in range(4) for b in range(4) if a != b]
    assert credits == [net.config.window_bytes] * 12
