"""What peers send, on its way into the inbox. Implements `ports.PeerHandler`; decides nothing."""

from collections.abc import Awaitable, Callable, Sequence

from catenet.types.errors import Unavailable
from catenet.types.events import Event, LinkChanged, Received
from catenet.types.ids import Address
from catenet.types.messages import Found, Message, Status, Wanted
from catenet.types.ports import BlockReader

Heard = Callable[[Address, Status], None]


class Intake:
    """Turns frames and links into events."""

    def __init__(
        self,
        *,
        post: Callable[[Event], None],
        post_message: Callable[[Received, int], bool],
        fetch: Callable[[Address, Wanted], Awaitable[Sequence[Found]]],
        heard: Heard,
        pledge: Callable[[], int | None],
        reader: BlockReader,
    ) -> None:
        """`heard` is told each Status, for the node's own status page; `pledge` is None when not known."""
        self._post = post
        self._post_message = post_message
        self._fetch = fetch
        self._heard = heard
        self._pledge = pledge
        self._reader = reader

    @property
    def reader(self) -> BlockReader:
        """The final blocks, for peers that sync."""
        return self._reader

    def on_messages(self, peer: Address, messages: Sequence[Message], size: int) -> None:
        """Queue a frame's messages, in order; what is above the peer's share of the inbox is dropped."""
        share = size // max(1, len(messages))
        for message in messages:
            if isinstance(message, Status):
                self._heard(peer, message)
            self._post_message(Received(peer=peer, message=message), share)

    def on_link(self, peer: Address, *, up: bool) -> None:
        """Queue the change of a link."""
        self._post(LinkChanged(peer=peer, up=up))

    async def on_fetch(self, peer: Address, wanted: Wanted) -> Sequence[Found]:
        """Have the core answer a fetch."""
        return await self._fetch(peer, wanted)

    def pledge(self) -> int:
        """Return this node's pledge. Raises `Unavailable` while it takes no part in consensus."""
        height = self._pledge()
        if height is None:
            raise Unavailable("this node takes no part in consensus now")
        return height
