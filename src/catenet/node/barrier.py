"""The read barrier: the node finds out that it is as new as anything that was final when it was asked.

It asks the validators for their pledges and waits for its own blocks to reach them; `core/reads.py` says when
that is enough. One round of questions serves everybody who came before it began.
"""

import asyncio
from collections.abc import Awaitable, Callable

from catenet.chain.validators import ValidatorSet
from catenet.core.reads import is_current
from catenet.types.errors import CatenetError, Unavailable
from catenet.types.ids import Address

CONFIRM_S = 5.0
"""How long a read waits to be confirmed."""

ASK_S = 1.0
"""How long one question may take; a peer that did not answer is asked again."""

PAUSE_S = 0.1
"""Between two questions to a peer that cannot answer."""

Ask = Callable[[Address], Awaitable[int]]


class Barrier:
    """Confirms that this node is current."""

    def __init__(
        self,
        *,
        address: Address,
        head: Callable[[], int],
        validators: Callable[[int], ValidatorSet],
        pledge: Callable[[], int | None],
        ask: Ask,
    ) -> None:
        """`validators` are those of the height after a head; `pledge` is this node's own, None: not known.

        `ask` asks a peer for its pledge and raises a `CatenetError` when it does not answer.
        """
        self._address = address
        self._head = head
        self._validators = validators
        self._pledge = pledge
        self._ask = ask
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._begun = 0
        self._confirmed = 0

    async def confirm(self) -> None:
        """Return when the blocks here include all that was final anywhere at the time of the call.

        Raises `Unavailable` when too few validators answer.
        """
        newest = self._begun
        pledges: dict[Address, int] = {}
        try:
            async with asyncio.timeout(CONFIRM_S), self._turn:
                # Somebody's round that began after this call has ended meanwhile: its answer is mine, too.
                if self._confirmed <= newest:
                    self._begun += 1
                    await self._round(pledges)
                    self._confirmed = self._begun
        except TimeoutError:
            head = self._head()
            count = len(self._validators(head))
            raise Unavailable(
                f"not confirmed within {CONFIRM_S:g} s that height {head} is the newest: "
                f"{len(pledges)} of {count} validators answered; ask another node"
            ) from None

    def advanced(self) -> None:
        """Learn that there is a new block."""
        self._news.set()

    async def _round(self, pledges: dict[Address, int]) -> None:
        """Ask everybody once, and wait until the answers of enough are not above the own height."""
        own = self._pledge()
        if own is not None:
            pledges[self._address] = own
        asked: dict[Address, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as asking:
            while True:
                # Before looking: what comes while looking is looked at again.
                self._news.clear()
                head = self._head()
                validators = self._validators(head)
                if is_current(head, pledges, validators):
                    break
                for member in validators.validators:
                    if member.address != self._address and member.address not in asked:
                        question = asking.create_task(self._ask_until(member.address, pledges))
                        asked[member.address] = question
                await self._news.wait()
            for task in asked.values():
                task.cancel()

    async def _ask_until(self, peer: Address, pledges: dict[Address, int]) -> None:
        while peer not in pledges:
            try:
                async with asyncio.timeout(ASK_S):
                    pledges[peer] = await self._ask(peer)
            except (CatenetError, TimeoutError):
                await asyncio.sleep(PAUSE_S)
        self._news.set()
