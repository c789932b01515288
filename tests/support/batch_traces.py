"""The commands of traces in `tests/traces/batches`: a few pools of batches and the links between them.

nodes 4 [window=N]      begin; nodes are numbered from 1 in the order of the set
submit N NAME [COUNT]   a client of node N hands in COUNT transactions NAME-0, NAME-1, ... under ticket NAME
cut A B | heal          lose everything between two nodes | nothing any more
run MS                  deliver what is on its way and let time pass
due                     which nodes have a reason for a block
choose N                what node N would propose now, as `author.number[indices]`
decide N [leave=I,J]    decide what node N chooses, without the transactions at these places of each batch
empty COUNT             decide empty blocks
pending | held          transactions that wait | how far each node holds each author's stream
restart N               crash a node; its journal comes back
"""

from catenet.core.batches.io import BatchConfig
from catenet.types.batch import Inline, Ref, Segment
from catenet.types.messages import BatchMessage, Message, Skip
from support.batches import Net


class Pools:
    """The nodes of one trace."""

    def __init__(self) -> None:
        self.net = Net()
        self.tickets: list[str] = []
        self._shown = 0
        self._acknowledged: dict[int, int] = {}

    def command(self, verb: str, args: list[str]) -> str:
        """Do one command; return what it says, or what was sent and acknowledged meanwhile."""
        words = [word for word in args if "=" not in word]
        options = dict(word.split("=", 1) for word in args if "=" in word)
        match verb, words:
            case "nodes", [count]:
                config = BatchConfig(window_batches=int(options.get("window", "256")))
                self.net = Net((10,) * int(count), config)
                self._shown = len(self.net.sent)
                return ""
            case "submit", [node, name, *count]:
                number = int(count[0]) if count else 1
                txs = [f"{name}-{index}".encode() for index in range(number)]
                self.tickets.append(name)
                self.net.submit(int(node) - 1, txs, ticket=len(self.tickets) - 1)
            case "cut", [a, b]:
                self.net.cut(int(a) - 1, int(b) - 1)
                return ""
            case "heal", []:
                self.net.heal()
                return ""
            case "run", [ms]:
                self.net.run(int(ms) * 1000)
            case "due", []:
                return " ".join([str(n) for n in self._numbers() if self._site_due(n)]) or "nobody"
            case "choose", [node]:
                return self._segments(self.net.choose(int(node) - 1).segments)
            case "decide", [node]:
                return self._decide(int(node) - 1, options.get("leave", ""), options.get("without", ""))
            case "empty", [count]:
                for _ in range(int(count)):
                    self.net.decide()
                self.net.run()
            case "pending", []:
                return "\n".join([f"{n} {self.net[n - 1].pool.pending_count}" for n in self._numbers()])
            case "held", []:
                return "\n".join([f"{n} {self._held(n)}" for n in self._numbers()])
            case "restart", [node]:
                self.net.restart(self.net.order[int(node) - 1])
                self.net.run()
            case _:
                raise AssertionError(f"no command {verb} {args}")
        return self._news()

    def _numbers(self) -> range:
        return range(1, len(self.net.order) + 1)

    def _number(self, address: bytes) -> int:
        return self.net.order.index(address) + 1

    def _site_due(self, number: int) -> bool:
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

    def _segments(self, segments: tuple[Segment, ...]) -> str:
        return "\n".join([self._segment(segment) for segment in segments]) or "nothing"

    def _segment(self, segment: Segment) -> str:
        if isinstance(segment, Inline):
            return f"inline {len(segment.txs)}"
        for site in self.net.sites.values():
            for found in site.pool.serve([segment.digest]):
                name = f"{self._number(found.author)}.{found.batch.seq}"
                if isinstance(segment, Ref):
                    left = ",".join(map(str, segment.excluded))
                    return f"{name} without {left}" if left else name
                return f"{name} only {','.join(map(str, segment.indices))}"
        return "unknown"

    def _news(self) -> str:
        lines = [self._line(sender, peer, message) for sender, peer, message in self.net.sent[self._shown :]]
        self._shown = len(self.net.sent)
        for number in self._numbers():
            site = self.net[number - 1]
            known = self._acknowledged.get(number, 0)
            lines.extend([f"{number} replicated {self.tickets[t]}" for t in site.acknowledged[known:]])
            self._acknowledged[number] = len(site.acknowledged)
        return "\n".join([line for line in lines if line])

    def _line(self, sender: bytes, peer: bytes, message: Message) -> str:
        lost = " (lost)" if (sender, peer) in self.net.blocked else ""
        match message:
            case BatchMessage(batch=batch):
                return f"{self._number(sender)} batch {batch.seq} to {self._number(peer)}{lost}"
            case Skip(to=to):
                return f"{self._number(sender)} skip {to} to {self._number(peer)}{lost}"
            case _:
                return ""
