"""The command line. `main` is the entry; each command is a module that is imported when it is called.

Kept free of imports, so that `catenet --help` stays cheap.
"""


def main() -> None:
    """Run the command line and exit with its code."""
    from catenet.cli.root import run

    raise SystemExit(run())
