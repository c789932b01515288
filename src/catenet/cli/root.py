"""The root command: the table of commands, and the one place that turns errors into exit codes."""

import os
import sys

import click

from catenet import __version__
from catenet.cli.shape import (
    CHECK_FAILED,
    FAILURE,
    INTERRUPTED,
    NOT_COMMITTED,
    NOT_REACHABLE,
    OK,
    USAGE,
    Group,
)
from catenet.types.errors import CatenetError, Forked, InvalidInput, NotVerified, Rejected, Unavailable

COMMANDS = {
    "dev": ("catenet.cli.dev", "dev", "Run a network of validators on this machine."),
    "testnet": ("catenet.cli.testnet", "testnet", "Make the homes of a whole network."),
    "init": ("catenet.cli.testnet", "init", "Make one home: a network of one validator."),
    "start": ("catenet.cli.start", "start", "Run the node of a home."),
    "status": ("catenet.cli.reading", "status", "Say how a node stands and who is missing."),
    "keys": ("catenet.cli.keys", "keys", "Show and make vote and node keys."),
    "tx": ("catenet.cli.tx", "tx", "Send, look up and wait for transactions."),
    "block": ("catenet.cli.reading", "block", "Show a block."),
    "query": ("catenet.cli.reading", "query", "Read the application's committed state."),
    "verify": ("catenet.cli.receipts", "verify", "Verify a transaction's receipt, offline."),
    "light": ("catenet.cli.light", "light", "Follow a chain as a light client, and serve what is verified."),
    "import": ("catenet.cli.importing", "import_command", "Send the rows of a file as transactions."),
    "abci": ("catenet.cli.abci", "abci", "Run an application of ours under a CometBFT node."),
    "demo": ("catenet.cli.demo", "demo", "Order real flight records while a validator is killed."),
    "simulate": (
        "catenet.cli.simulate",
        "simulate",
        "Run the core under faults and traitors, in virtual time.",
    ),
    "repair": ("catenet.cli.repair", "repair", "Cut a damaged journal down to what is valid."),
    "rejoin": ("catenet.cli.rejoin", "rejoin", "Have a home that lost its memory ask the others first."),
    "index": ("catenet.cli.index", "index", "Make a stopped node's index again, or cut it."),
    "debug": ("catenet.cli.debug", "debug", "Look into a home's files."),
    "config": ("catenet.cli.config", "config", "Show the configuration and where it comes from."),
}


@click.group(
    cls=Group,
    lazy=COMMANDS,
    examples=["catenet dev", "catenet tx send 'name=Wei' --wait"],
    next_step="catenet dev",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, "--version", prog_name="catenet")
def root() -> None:
    """Catenet: a ledger that several organisations keep together, over gRPC."""


def run(arguments: list[str] | None = None) -> int:
    """Run one command line (default: that of the process) and return its exit code."""
    try:
        code: object = root.main(args=arguments, prog_name="catenet", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help(), err=True)
        return USAGE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        # Who reads our output is gone; the interpreter must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except OSError as error:
        return _of_system(error)
    except CatenetError as error:
        click.echo(f"error: {error}", err=True)
        return _exit_code(error)
    except BaseExceptionGroup as group:
        return _of_group(group)
    return code if isinstance(code, int) else OK


def _of_group(group: BaseException) -> int:
    """Return the exit code of a task group's fault: that of its only member; several are a bug."""
    while isinstance(group, BaseExceptionGroup) and len(group.exceptions) == 1:
        group = group.exceptions[0]
    match group:
        case click.ClickException():
            group.show()
            return group.exit_code
        case CatenetError():
            click.echo(f"error: {group}", err=True)
            return _exit_code(group)
        case OSError():
            return _of_system(group)
        case KeyboardInterrupt():
            return INTERRUPTED
        case _:
            raise group


def _of_system(error: OSError) -> int:
    """Say what the system refused, and on which file: a folder without rights, a full disk."""
    place = f"{error.filename}: " if error.filename is not None else ""
    click.echo(f"error: {place}{error.strerror or error}", err=True)
    return FAILURE


def _exit_code(error: CatenetError) -> int:
    match error:
        case Rejected():
            return NOT_COMMITTED
        case Unavailable():
            return NOT_REACHABLE
        case InvalidInput():
            return USAGE
        case NotVerified() | Forked():
            return CHECK_FAILED
        case _:
            return FAILURE
