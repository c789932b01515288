"""Planted faults of what keeps everybody going: recovery messages, fetches, timers."""

from collections.abc import Sequence
from dataclasses import replace

from catenet.chain.commit import NIL, BlockID, Commit
from catenet.chain.vote import Proposal
from catenet.core.consensus import fetch, heights, intake, liveness, rules, signing
from catenet.core.consensus.blocks import BlockEntry
from catenet.core.consensus.context import Context, PeerState
from catenet.core.consensus.state import HeightState
from catenet.core.consensus.votes import VoteBook
from catenet.testing.mutants.bend import Bend, without
from catenet.testing.mutants.mutant import Kind, Mutant
from catenet.types.ids import Address
from catenet.types.messages import ProposalMessage, Status


def no_status(bend: Bend) -> None:
    """G1: what was lost is never asked for."""
    bend.set(liveness, "send_status", lambda ctx, peer: None)


def no_polka_transfer(bend: Bend) -> None:
    """G2, G4: polkas go neither with a re-proposal nor in answer to a Status."""
    answer, propose = liveness._answer, signing.propose

    def answer_without(ctx: Context, peer: Address, state: PeerState, status: Status) -> None:
        with without(ctx.hs, "valid"):
            answer(ctx, peer, state, status)

    def propose_without(ctx: Context, message: ProposalMessage) -> None:
        propose(ctx, replace(message, pol=None))

    bend.set(liveness, "_answer", answer_without)
    bend.set(signing, "propose", propose_without)


def no_round_certificate(bend: Bend) -> None:
    """G2: nobody is pulled into a later round by its certificate."""
    answer = liveness._answer

    def double(ctx: Context, peer: Address, state: PeerState, status: Status) -> None:
        with without(ctx.hs, "round_cert"):
            answer(ctx, peer, state, status)

    bend.set(liveness, "_answer", double)


def no_relay_of_votes(bend: Bend) -> None:
    """G2: a peer that is stuck gets own votes only, never everybody's."""
    complete = liveness._complete

    def double(ctx: Context, peer: Address, status: Status, *, everybody: bool) -> None:
        complete(ctx, peer, status, everybody=False)

    bend.set(liveness, "_complete", double)


def no_fetch_timer(bend: Bend) -> None:
    """G5: what is missing is never asked for."""
    bend.set(fetch, "on_timer", lambda ctx: None)


def no_way_back(bend: Bend) -> None:
    """G6, G9: who is behind gets no decided block from peers, and does not notice that it should sync."""
    bend.set(liveness, "_catch_up", lambda ctx, peer, state, height: None)
    bend.set(liveness, "_notice_behind", lambda ctx: None)
    bend.set(liveness, "_look_ahead", lambda ctx: None)


def decide_in_the_present_round_only(bend: Bend) -> None:
    """T9 looks at the precommits of the present round only, and at no commit received whole."""
    decisions = rules._decisions

    def double(hs: HeightState) -> list[tuple[BlockEntry, Commit | None]]:
        return [
            (entry, commit)
            for entry, commit in decisions(hs)
            if commit is None or (commit.round == hs.round and entry.block_id not in hs.certificates)
        ]

    bend.set(rules, "_decisions", double)


def flags_outlive_their_height(bend: Bend) -> None:
    """Which timers of a round were set is not forgotten at the next height."""
    enter = heights.enter

    def double(ctx: Context, following: HeightState, *, previous: HeightState | None) -> None:
        if previous is not None:
            following.entered_round = previous.entered_round
            following.prevote_timer_round = previous.prevote_timer_round
            following.precommit_timer_round = previous.precommit_timer_round
        enter(ctx, following, previous=previous)

    bend.set(heights, "enter", double)


def pending_is_invalid(bend: Bend) -> None:
    """T4 prevotes nil while something is missing, instead of waiting."""
    answer = rules._answer_to

    def double(hs: HeightState, proposal: Proposal) -> BlockID | None:
        choice = answer(hs, proposal)
        return NIL if choice is None else choice

    bend.set(rules, "_answer_to", double)


def one_validator_skips(bend: Bend) -> None:
    """T10: the vote of a single validator in a later round is enough to follow it."""
    bend.set(VoteBook, "skip_round", lambda self, above: self.top_round if self.top_round > above else None)


def batches_wake_nobody(bend: Bend) -> None:
    """A batch that comes after the proposal that names it does not complete the block, on either path."""
    bend.set(fetch, "retry_batches", lambda ctx: None)
    bend.set(intake, "is_stuck", lambda since_us, missing, now_us: False)


def no_precommit_timer(bend: Bend) -> None:
    """T8: the timer that ends a round is never set."""
    bend.set(rules, "RULES", tuple([rule for rule in rules.RULES if rule is not rules.wait_for_precommits]))


LIVENESS: Sequence[Mutant] = [
    Mutant(name=bend.__name__.replace("_", "-"), kind=Kind.LIVENESS, rule=rule, bend=bend)
    for rule, bend in (
        ("G1", no_status),
        ("G2, G4", no_polka_transfer),
        ("G2", no_round_certificate),
        ("G2", no_relay_of_votes),
        ("G5", no_fetch_timer),
        ("G6, G9", no_way_back),
        ("T9", decide_in_the_present_round_only),
        ("2.1", flags_outlive_their_height),
        ("T4", pending_is_invalid),
        ("T10", one_validator_skips),
        ("D7", batches_wake_nobody),
        ("T8, T13", no_precommit_timer),
    )
]
