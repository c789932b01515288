"""What mutation testing changes, and the tests that are to notice: a few fast ones, those of the module."""

LOG_TESTS = (
    "tests/unit/storage/test_log_files.py",
    "tests/unit/storage/test_log_repair.py",
    "tests/unit/storage/test_log.py",
)

TARGETS: dict[str, tuple[str, ...]] = {
    "src/catenet/core/consensus/votes.py": (
        "tests/unit/consensus/test_votes.py",
        "tests/unit/consensus/test_counting.py",
        "tests/unit/consensus/test_consensus_traces.py",
    ),
    "src/catenet/chain/validators.py": (
        "tests/unit/chain/test_chain_validators.py",
        "tests/unit/chain/test_vectors_chain.py",
    ),
    "src/catenet/core/guard.py": (
        "tests/unit/consensus/test_guard_traces.py",
        "tests/unit/consensus/test_guard.py",
    ),
    "src/catenet/storage/log.py": LOG_TESTS,
    "src/catenet/storage/frame.py": ("tests/unit/storage/test_frame.py", "tests/unit/storage/test_log.py"),
    "src/catenet/storage/guard_file.py": ("tests/unit/storage/test_guard_file.py",),
    "src/catenet/storage/scan.py": LOG_TESTS,
}
