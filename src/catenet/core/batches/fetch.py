"""Asking peers for missing batches and blocks (G5, D7). What is wanted is said whole, each time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from catenet.core.batches.io import BatchConfig
from catenet.types.effects import Fetch
from catenet.types.ids import Address, Digest, RequestId
from catenet.types.messages import Wanted


@dataclass(slots=True)
class _Request:
    peer: Address
    digests: tuple[Digest, ...]
    hashes: tuple[bytes, ...]
    asked_us: int


class Fetcher:
    """Wanted names, and the requests under way: one per peer.

    No name is asked of two peers at once, unless the first lets it wait: a frozen peer must hold nothing up.
    """

    def __init__(self, config: BatchConfig, requests: Iterator[RequestId]) -> None:
        self._config = config
        self._requests = requests
        self._digests: dict[Digest, list[Address]] = {}
        """Missing batches and the peers left to ask, next one first."""
        self._hashes: dict[bytes, list[Address]] = {}
        self._height = 0
        self._running: dict[RequestId, _Request] = {}

    def want(
        self, digests: Sequence[Digest], hashes: Sequence[bytes], height: int, sources: Sequence[Address]
    ) -> None:
        """Replace what is wanted. Each call brings turned sources: names get a fresh list of peers to ask."""
        self._height = height
        self._digests = {digest: list(sources) for digest in digests[: self._config.wanted]}
        self._hashes = {block_hash: list(sources) for block_hash in hashes}

    def wants(self, digest: Digest) -> bool:
        """Say whether a batch is wanted."""
        return digest in self._digests

    def asked(self, request: RequestId, digest: Digest) -> bool:
        """Say whether this request asked for that batch: a late answer to it is no intrusion."""
        running = self._running.get(request)
        return running is not None and digest in running.digests

    def wants_block(self, request: RequestId, block_hash: bytes) -> bool:
        """Say whether a block is wanted, or was when this request asked for it."""
        running = self._running.get(request)
        return block_hash in self._hashes or (running is not None and block_hash in running.hashes)

    def got(self, digest: Digest) -> None:
        """A batch came in, by whatever way."""
        self._digests.pop(digest, None)

    def got_block(self, block_hash: bytes) -> None:
        """A block came in."""
        self._hashes.pop(block_hash, None)

    def ended(self, request: RequestId) -> bool:
        """A request is over. Says whether it was one of these."""
        return self._running.pop(request, None) is not None

    def ask(self, now_us: int) -> list[Fetch]:
        """Ask for everything that is wanted and not asked for, of peers that are not busy."""
        busy = {running.peer for running in self._running.values()}
        since_us = now_us - self._config.fetch_patience_us
        young = [running for running in self._running.values() if running.asked_us > since_us]
        asked = {digest for running in young for digest in running.digests}
        asked_hashes = {name for running in young for name in running.hashes}
        plan: dict[Address, tuple[list[Digest], list[bytes]]] = {}
        for digest, sources in self._digests.items():
            peer = None if digest in asked else self._next(sources, busy)
            if peer is not None:
                names = plan.setdefault(peer, ([], []))[0]
                if len(names) < self._config.fetch_digests:
                    sources.remove(peer)
                    names.append(digest)
        for name, sources in self._hashes.items():
            peer = None if name in asked_hashes else self._next(sources, busy)
            if peer is not None:
                sources.remove(peer)
                plan.setdefault(peer, ([], []))[1].append(name)
        return [self._request(peer, *names, now_us) for peer, names in plan.items()]

    def _next(self, sources: Sequence[Address], busy: set[Address]) -> Address | None:
        return next((peer for peer in sources if peer not in busy), None)

    def _request(self, peer: Address, digests: list[Digest], hashes: list[bytes], now_us: int) -> Fetch:
        request = next(self._requests)
        running = _Request(peer=peer, digests=tuple(digests), hashes=tuple(hashes), asked_us=now_us)
        self._running[request] = running
        wanted = Wanted(digests=running.digests, block_hashes=running.hashes, height=self._height)
        return Fetch(request=request, peer=peer, wanted=wanted)
