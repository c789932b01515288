"""All targets there are, in one list."""

from functools import cache

from support.fuzzing.chain_targets import binary_targets, text_targets
from support.fuzzing.light_targets import light_targets
from support.fuzzing.node_targets import node_targets
from support.fuzzing.storage_targets import storage_targets
from support.fuzzing.targets import Target
from support.fuzzing.wire_targets import wire_targets


@cache
def every_target() -> tuple[Target, ...]:
    """Return every reader that is fuzzed; the names are unique."""
    return (
        *binary_targets(),
        *text_targets(),
        *wire_targets(),
        *storage_targets(),
        *node_targets(),
        *light_targets(),
    )
