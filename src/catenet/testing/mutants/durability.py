"""Planted faults of the law of durability and of what a restart restores."""

from collections.abc import Sequence

from catenet.core.consensus import restore, rules
from catenet.core.consensus.context import Context, OwnRecords
from catenet.core.consensus.state import HeightState
from catenet.core.consensus.votes import Polka
from catenet.core.guard import GuardState
from catenet.node.outbox import Outbox
from catenet.testing.mutants.bend import Bend
from catenet.testing.mutants.mutant import Kind, Mutant
from catenet.testing.simulator import home
from catenet.types.effects import Effect


def effects_before_fsync(bend: Bend) -> None:
    """What must wait for the disk leaves at once."""
    end = Outbox.end_turn

    def double(self: Outbox) -> None:
        turn: Sequence[Effect] = self._turn
        self._turn = []
        end(self)
        assert self._release is not None
        self._release(turn)

    bend.set(Outbox, "end_turn", double)


def lock_not_restored(bend: Bend) -> None:
    """A restart forgets the lock of own precommits."""
    apply = restore.apply

    def double(ctx: Context) -> None:
        apply(ctx)
        ctx.hs.locked = None

    bend.set(restore, "apply", double)


def proposal_rebuilt_after_restart(bend: Bend) -> None:
    """A restart forgets own proposals, and builds another one for the same round."""
    messages = restore._apply_messages

    def double(ctx: Context, hs: HeightState, own: OwnRecords) -> None:
        own.proposals.clear()
        messages(ctx, hs, own)

    bend.set(restore, "_apply_messages", double)


def votes_not_restored(bend: Bend) -> None:
    """A restart forgets own votes, and votes again."""
    messages = restore._apply_messages

    def double(ctx: Context, hs: HeightState, own: OwnRecords) -> None:
        own.votes.clear()
        messages(ctx, hs, own)

    bend.set(restore, "_apply_messages", double)


def guard_not_read(bend: Bend) -> None:
    """A restart begins with an empty guard: it has signed nothing yet, so it believes."""
    decode = GuardState.decode
    bend.set(home, "GuardState", type("Forgetful", (), {"decode": staticmethod(lambda data: decode(b""))}))


def polka_not_logged(bend: Bend) -> None:
    """T6 precommits without a record of the polka behind it."""
    make_valid = rules._make_valid

    def double(ctx: Context, polka: Polka) -> bool:
        count = len(ctx.out)
        made = make_valid(ctx, polka)
        del ctx.out[count:]
        return made

    bend.set(rules, "_make_valid", double)


DURABILITY: Sequence[Mutant] = [
    Mutant(name=bend.__name__.replace("_", "-"), kind=Kind.DURABILITY, rule=rule, bend=bend)
    for rule, bend in (
        ("the law", effects_before_fsync),
        ("restart 3", lock_not_restored),
        ("restart 3", proposal_rebuilt_after_restart),
        ("restart 3", votes_not_restored),
        ("guard", guard_not_read),
        ("T6", polka_not_logged),
    )
]
