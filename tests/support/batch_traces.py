"""The commands of traces in `tests/traces/batches`: a few pools of batches and the links between them.

nodes 4 [window=N] [ttl=HEIGHTS] [seal=BYTES]    begin; nodes are numbered from 1 in the order of the set
show have               from here on print what nodes tell each other to hold, when it is news
submit N NAME [COUNT]   a client of node N hands in COUNT transactions NAME-0, NAME-1, ... under ticket NAME
cut A B | heal          lose everything between two nodes | nothing any more
run MS                  deliver what is on its way and let time pass
due                     which nodes have a reason for a block
choose N                what node N would propose now, as `author.number[indices]`
decide N [leave=I,J]    decide what node N chooses, without the transactions at these places of each batch
empty COUNT [seconds=1]  decide empty blocks, so far apart in block time
propose N               what node N would propose becomes the proposal that the others judge
judge N                 whether node N can put the proposal together, or what it lacks; it fetches that
answer N                whom node N asked answers
offer N NAME [COUNT]    as `submit`, but by the way of a client: through ingress, which looks for repeats
journal N               the batches in node N's journal
pending | held          transactions that wait | how far each node holds each author's stream
restart N               crash a node; its journal comes back
"""

from collections.abc import Callable, Sequence

from catenet.chain.block import split_txs
from catenet.core.batches.io import BatchConfig
from catenet.core.ingress import Admitted, Ingress, IngressConfig
from catenet.types.application import CheckResult
from catenet.types.assembly import Assembled, Missing
from catenet.types.batch import Compact, Inline, Ref, Segment, batch_digest
from catenet.types.effects import Acknowledge, CheckTxs
from catenet.types.events import Level, Submitted, TxsChecked
from catenet.types.ids import Digest
from catenet.types.messages import BatchMessage, Have, Message, Skip
from catenet.types.records import BatchRecord
from support.batches import Net, make_compact


class Pools:
    """The nodes of one trace."""

    def __init__(self) -> None:
        self.net = Net()
        self.tickets: list[str] = []
        self.proposal: Compact | None = None
        self._shown = 0
        self._acknowledged: dict[int, int] = {}
        self._fetched: dict[int, int] = {}
        self._dropped: dict[int, int] = {}
        self._told: dict[tuple[bytes, bytes, bytes], int] | None = None

    def command(self, verb: str, args: list[str]) -> str:
        """Do one command; return what it says, or what was sent and acknowledged meanwhile."""
        words = [word for word in args if "=" not in word]
        options = dict(word.split("=", 1) for word in args if "=" in word)
        if verb == "nodes":
            return self._begin(int(words[0]), options)
        known: dict[str, Callable[[Sequence[str], dict[str, str]], str | None]] = {
            "show": self._show,
            "submit": self._submit,
            "offer": self._offer,
            "cut": lambda w, o: self.net.cut(int(w[0]) - 1, int(w[1]) - 1),
            "heal": lambda w, o: self.net.heal(),
            "run": lambda w, o: self.net.run(int(w[0]) * 1000),
            "due": lambda w, o: " ".join([str(n) for n in self._numbers() if self._due(n)]) or "nobody",
            "choose": lambda w, o: self._segments(self.net.choose(int(w[0]) - 1).segments),
            "propose": lambda w, o: self._propose(int(w[0]) - 1),
            "judge": lambda w, o: self._judge(int(w[0])),
            "answer": lambda w, o: self._answer(int(w[0])),
            "decide": lambda w, o: self._decide(int(w[0]) - 1, o.get("leave", ""), o.get("without", "")),
            "empty": self._empty,
            "pending": lambda w, o: self._each(lambda n: f"{self.net[n - 1].pool.pending_count}"),
            "held": lambda w, o: self._each(self._held),
            "journal": lambda w, o: " ".join(self._journal(int(w[0]))),
            "restart": self._restart,
        }
        said = known[verb](words, options)
        return self._news() if said is None else said

    def _begin(self, count: int, options: dict[str, str]) -> str:
        config = BatchConfig(
            window_batches=int(options.get("window", "256")),
            ttl_heights=int(options.get("ttl", "1000")),
            seal_bytes=int(options.get("seal", str(128 * 1024))),
        )
        self.net = Net((10,) * count, config)
        self._shown = len(self.net.sent)
        return ""

    def _show(self, words: Sequence[str], options: dict[str, str]) -> str:
        assert words == ["have"]
        self._told = {}
        return ""

    def _txs(self, words: Sequence[str]) -> list[bytes]:
        number = int(words[2]) if len(words) > 2 else 1
        return [f"{words[1]}-{index}".encode() for index in range(number)]

    def _submit(self, words: Sequence[str], options: dict[str, str]) -> None:
        self.tickets.append(words[1])
        self.net.submit(int(words[0]) - 1, self._txs(words), ticket=len(self.tickets) - 1)

    def _offer(self, words: Sequence[str], options: dict[str, str]) -> str:
        """Go the way of a client: ingress, the application, the pool."""
        number, txs = int(words[0]), self._txs(words)
        site = self.net[number - 1]
        ingress = Ingress(IngressConfig(), site.pool)
        self.tickets.append(words[1])
        event = Submitted(
            ticket=len(self.tickets) - 1, client="client", txs=tuple(txs), level=Level.REPLICATED
        )
        lines, outputs = [], list(ingress.on_submitted(event))
        while outputs:
            match outputs.pop(0):
                case CheckTxs(request=request, txs=asked):
                    lines.append(f"{number} asks the application about {len(asked)}")
                    results = tuple([CheckResult(code=0)] * len(asked))
                    outputs.extend(ingress.on_checked(TxsChecked(request=request, results=results)))
                case Admitted() as a:
                    lines.append(f"{number} admits {len(a.txs)}, {len(a.joined)} wait here already")
                    queued = site.pool.enqueue(a.ticket, a.txs, a.ids, self.net.now, joined=a.joined)
                    self.net.take(site, queued)
                case Acknowledge():
                    pass
                case other:
                    raise AssertionError(other)
        return "\n".join([*lines, self._news()])

    def _empty(self, words: Sequence[str], options: dict[str, str]) -> None:
        for _ in range(int(words[0])):
            self.net.decide(seconds=int(options.get("seconds", "1")))
        self.net.run()

    def _restart(self, words: Sequence[str], options: dict[str, str]) -> None:
        self.net.restart(self.net.order[int(words[0]) - 1])
        self.net.run()

    def _each(self, say: Callable[[int], str]) -> str:
        return "\n".join([f"{n} {say(n)}" for n in self._numbers()])

    def _numbers(self) -> range:
        return range(1, len(self.net.order) + 1)

    def _number(self, address: bytes) -> int:
        return self.net.order.index(address) + 1

    def _due(self, number: int) -> bool:
        return self.net[number - 1].pool.due(self.net.now)

    def _held(self, number: int) -> str:
        others = [n for n in self._numbers() if n != number]
        return " ".join([f"{n}:{self.net.tip(number - 1, n - 1).seq}" for n in others])

    def _decide(self, node: int, leave: str, without: str) -> str:
        segments = self.net.choose(node).segments
        absent = [int(number) - 1 for number in without.split(",") if number]
        places = tuple([int(place) for place in leave.split(",") if place])
        if places:
            segments = tuple(
                [Ref(digest=s.digest, excluded=places) for s in segments if not isinstance(s, Inline)]
            )
        made = self.net.decide(segments, proposer=node, skip=absent)
        self.net.run()
        return f"height {self.net.height}: {len(made.tx_ids)} transactions\n{self._news()}"

    def _propose(self, node: int) -> str:
        segments = self.net.choose(node).segments
        txs = [
            tx
            for segment in segments
            if isinstance(segment, Ref)
            for found in self.net[node].pool.serve([segment.digest])
            for tx in split_txs(found.batch.payload)
        ]
        self.proposal = make_compact(segments, txs, height=self.net.height + 1)
        return self._segments(segments)

    def _judge(self, number: int) -> str:
        assert self.proposal is not None, "nothing is proposed"
        site = self.net[number - 1]
        match site.pool.assemble(self.proposal):
            case Assembled(tx_ids=ids):
                return f"{number} has the block: {len(ids)} transactions"
            case Missing(digests=digests):
                others = [address for address in self.net.order if address != site.address]
                self.net.take(site, site.pool.want(digests, (), self.net.height + 1, others, self.net.now))
                return f"{number} lacks {', '.join([self._name(digest) for digest in digests])}"
            case broken:
                return f"{number} cannot use it: {broken}"

    def _answer(self, number: int) -> None:
        site = self.net[number - 1]
        fetch = site.fetches[-1]
        for found in self.net.sites[fetch.peer].pool.serve(fetch.wanted.digests):
            self.net.take(site, site.pool.on_found(fetch.request, fetch.peer, found, self.net.now))
        self.net.take(site, site.pool.on_fetch_ended(fetch.request, self.net.now))

    def _journal(self, number: int) -> list[str]:
        records = [r for r in self.net[number - 1].journal if isinstance(r, BatchRecord)]
        return [self._name(batch_digest(r.author, r.batch)) for r in records] or ["nothing"]

    def _name(self, digest: Digest) -> str:
        """Return a batch as `author.number`."""
        for site in self.net.sites.values():
            for found in site.pool.serve([digest]):
                return f"{self._number(found.author)}.{found.batch.seq}"
        return "unknown"

    def _segments(self, segments: tuple[Segment, ...]) -> str:
        return "\n".join([self._segment(segment) for segment in segments]) or "nothing"

    def _segment(self, segment: Segment) -> str:
        if isinstance(segment, Inline):
            return f"inline {len(segment.txs)}"
        name = self._name(segment.digest)
        if isinstance(segment, Ref):
            left = ",".join(map(str, segment.excluded))
            return f"{name} without {left}" if left else name
        return f"{name} only {','.join(map(str, segment.indices))}"

    def _news(self) -> str:
        lines = [self._line(sender, peer, message) for sender, peer, message in self.net.sent[self._shown :]]
        self._shown = len(self.net.sent)
        for number in self._numbers():
            site = self.net[number - 1]
            for fetch in site.fetches[self._fetched.get(number, 0) :]:
                names = ", ".join([self._name(digest) for digest in fetch.wanted.digests])
                lines.append(f"{number} asks {self._number(fetch.peer)} for {names}")
            self._fetched[number] = len(site.fetches)
            known = self._acknowledged.get(number, 0)
            lines.extend([f"{number} replicated {self.tickets[t]}" for t in site.acknowledged[known:]])
            self._acknowledged[number] = len(site.acknowledged)
            gone = site.dropped[self._dropped.get(number, 0) :]
            lines.extend([f"{number} drops {len(drop.tx_ids)}: {drop.reason}" for drop in gone])
            self._dropped[number] = len(site.dropped)
        return "\n".join([line for line in lines if line])

    def _line(self, sender: bytes, peer: bytes, message: Message) -> str:
        lost = " (lost)" if (sender, peer) in self.net.blocked else ""
        match message:
            case BatchMessage(batch=batch):
                return f"{self._number(sender)} batch {batch.seq} to {self._number(peer)}{lost}"
            case Skip(to=to):
                return f"{self._number(sender)} skip {to} to {self._number(peer)}{lost}"
            case Have() if self._told is not None:
                told = []
                for tip in message.tips:
                    place = (sender, peer, tip.author)
                    if tip.seq > self._told.get(place, 0):
                        self._told[place] = tip.seq
                        told.append(f"{self._number(tip.author)}.{tip.seq}")
                if told:
                    return f"{self._number(sender)} has {', '.join(told)}, to {self._number(peer)}{lost}"
                return ""
            case _:
                return ""
