"""Each kind of bug that stopped ledgers before, and each rule for code, names the tests that hold it.

Here is only the table, and that what it names exists: the tests are where the code is that they are about.
"""

import ast
from functools import cache

import pytest

from support.repository import modules

BUG_CLASSES = {
    "lying, falling or poisoned heights in block sync": (
        "test_a_height_that_falls_or_is_poisoned_holds_up_no_sync",
        "test_s2_a_claim_alone_never_keeps_a_node_in_sync",
        "test_a_claim_of_an_absurd_height_moves_nothing",
    ),
    "one malformed message that panics consensus": (
        "test_no_bit_array_of_another_length_and_no_malformed_vote_stops_consensus",
        "test_24_nothing_that_a_peer_says_stops_a_node",
        "test_24_no_message_that_the_descriptors_allow_stops_a_node",
    ),
    "a part or proof index that is not bound to its content": (
        "test_a_proof_holds_for_its_item_and_place_only",
        "test_an_address_at_another_index_is_refused",
        "test_an_entry_in_a_foreign_place_proves_nothing",
    ),
    "block time from other votes than those that are verified": (
        "test_25_precommits_that_are_not_later_than_the_block_do_not_count",
        "test_s3_a_forged_time_does_not_put_the_blame_on_who_brought_the_commit",
        "test_the_full_check_looks_at_every_signature",
    ),
    "a change of parameters that halts the chain": (
        "test_no_change_of_parameters_that_may_be_made_stops_the_chain",
        "test_an_impossible_outcome_halts_the_node",
    ),
    "a hash without framing": (
        "test_bytes_that_move_from_one_piece_to_the_next_change_the_hash",
        "test_the_hash_depends_on_every_byte_and_on_the_order",
    ),
    "a sign state that rolls back after a power loss": (
        "test_a_write_torn_at_any_byte_leaves_the_state_before_or_after_it",
        "test_the_power_fails_at_some_records",
        "test_a_vote_that_only_the_guard_knows_is_recorded_again_once",
    ),
    "a double-sign guard that is off by one": (
        "test_what_lies_above_is_signed",
        "test_what_lies_below_is_refused",
        "test_something_else_at_the_same_place_is_refused",
        "test_no_order_of_requests_signs_two_things_for_one_step",
    ),
    "a round timer that grows without limit": ("test_timers_grow_by_half_up_to_the_cap",),
    "a node that never leaves catching up": (
        "test_s2_a_claim_alone_never_keeps_a_node_in_sync",
        "test_s2_a_node_syncs_up_to_the_last_block_but_one_and_then_takes_part",
    ),
    "a transaction that is neither committed nor dropped": (
        "test_what_is_acknowledged_is_never_lost_and_everything_ends_in_a_block",
        "test_d8_a_batch_dies_after_1000_heights_and_10_minutes_of_block_time",
        "test_what_is_refused_is_refused_at_each_place_where_it_stands",
        "test_no_request_of_a_client_ends_in_a_bug",
    ),
    "events that are lost when a subscriber is slow": (
        "test_a_reader_that_stops_reading_costs_a_bounded_number_of_blocks",
        "test_every_block_comes_exactly_once_though_nodes_fail",
    ),
}
"""State sync does not exist here yet: of its class (wrong set, unbounded chunks) nothing can be shown."""

CODE_RULES = {
    "no pickle, eval, yaml.load, shell": ("test_a_planted_fault_is_caught_by_the_linter",),
    "limits hold at the limit and one beyond": (
        "test_limits_hold_at_the_limit_and_one_beyond",
        "test_a_compact_block_has_its_own_limits",
        "test_a_fetch_asks_for_a_bounded_number",
        "test_frames_runs_and_hellos_hold_at_the_limit_and_not_one_beyond",
        "test_too_large_a_batch_ends_the_stream",
    ),
    "decode, validate, authorise, act": (
        "test_calls_before_the_proof_or_with_another_certificate_are_refused",
        "test_malformed_requests_of_the_other_methods_are_invalid_too",
    ),
    "no exception leaves a handler, fixed texts at the edge": (
        "test_a_bug_is_internal_without_detail_and_is_logged",
        "test_malformed_messages_are_refused_on_every_public_method",
        "test_no_request_of_a_client_ends_in_a_bug",
        "test_no_word_of_a_peer_ends_in_a_bug",
    ),
    "logs escape and cap fields": ("test_a_field_of_a_log_line_is_escaped_and_cut_and_its_name_stays",),
    "protobuf in C is required": ("test_protobuf_in_python_is_refused",),
    "deadlines on every call": ("test_every_call_to_another_node_has_a_deadline",),
    "signatures are separated by domain": (
        "test_what_one_key_signs_for_one_purpose_is_never_text_for_another",
        "test_a_proof_of_another_connection_is_worthless",
        "test_a_commit_of_another_chain_is_refused",
    ),
    "a failed fsync is never retried as success": (
        "test_a_failed_sync_is_never_tried_again",
        "test_a_failed_sync_stops_for_ever_and_is_told_once",
        "test_after_a_failed_sync_the_log_takes_nothing_more",
    ),
    "the time in votes that are verified": ("test_the_time_is_the_median_to_the_nanosecond",),
    "a proposer checks its own block alike": ("test_a_proposer_judges_its_own_block_as_any_other",),
}


@cache
def names_of_tests() -> frozenset[str]:
    """Return the names of all test functions."""
    return frozenset(
        node.name
        for module in modules(below="tests")
        for node in module.tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


@pytest.mark.parametrize("promise", [*BUG_CLASSES, *CODE_RULES])
def test_each_promise_names_tests_that_exist(promise: str) -> None:
    named = {**BUG_CLASSES, **CODE_RULES}[promise]
    assert named
    assert set(named) <= names_of_tests()
