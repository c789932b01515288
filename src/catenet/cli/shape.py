"""How commands look: examples first, exit codes last, suggestions for misspelt names, modules loaded late.

Only what click needs to know lives here; no command does.
"""

import importlib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import click

EXIT_CODES = (
    "Exit codes: 0 ok, 1 failure, 2 usage, 3 not reachable, 4 a check or threshold failed,"
    " 5 rejected or not committed, 130 Ctrl-C."
)

OK, FAILURE, USAGE, NOT_REACHABLE, CHECK_FAILED, NOT_COMMITTED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


class Failure(click.ClickException):
    """Ends a command with a message on stderr and an exit code."""

    def __init__(self, message: str, code: int = FAILURE) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: object = None) -> None:
        """Write the message to stderr."""
        click.echo(f"error: {self.message}", err=True)


class Duration(click.ParamType[float]):
    """Text such as `500ms`, `3s`, `2m`, or plain seconds; the value is seconds."""

    name = "duration"
    UNITS: Mapping[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

    def __init__(self, *, limit_s: float = 1e6) -> None:
        self._limit_s = limit_s

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the text; fails as click does."""
        text = str(value).strip()
        digits = text.rstrip("mshMSH")
        try:
            seconds = float(digits) * self.UNITS[text[len(digits) :].lower() or "s"]
        except (KeyError, ValueError):
            self.fail(f"{text!r} is no duration; write for example 500ms, 3s or 2m", param, ctx)
        if not 0 < seconds < self._limit_s:
            self.fail(f"{text!r} is out of range; write for example 500ms, 3s or 2m", param, ctx)
        return seconds


class Command(click.Command):
    """A command whose help opens with examples and ends with what to do next and the exit codes."""

    def __init__(
        self, *args: object, examples: Sequence[str] = (), next_step: str = "", **kwargs: object
    ) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # handed on as click's decorator gives them
        self.examples = examples
        self.next_step = next_step

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples, then click's own help."""
        write_examples(self.examples, formatter)
        super().format_help(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the next command and the exit codes."""
        write_ending(self.next_step, formatter)


class Group(click.Group):
    """A group of commands in modules of their own: name to (module, attribute, one line of help)."""

    command_class = Command

    def __init__(
        self,
        *args: object,
        lazy: Mapping[str, tuple[str, str, str]] | None = None,
        examples: Sequence[str] = (),
        next_step: str = "",
        **kwargs: object,
    ) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # handed on as click's decorator gives them
        self.lazy = dict(lazy or {})
        self.examples = examples
        self.next_step = next_step

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command when it is called."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, attribute, _ = self.lazy[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may have been meant."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in self.list_commands(ctx):
            close = get_close_matches(name, self.list_commands(ctx), n=1, cutoff=0.5)
            advice = (
                f"did you mean `{ctx.command_path} {close[0]}`?"
                if close
                else f"see {ctx.command_path} --help"
            )
            raise click.UsageError(f"no command {name!r}; {advice}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        rows = [(name, self._line(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _line(self, ctx: click.Context, name: str) -> str:
        if name in self.lazy:
            return self.lazy[name][2]
        command = super().get_command(ctx, name)
        return command.get_short_help_str(100) if command else ""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples, then click's own help."""
        write_examples(self.examples, formatter)
        super().format_help(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the next command and the exit codes."""
        write_ending(self.next_step, formatter)


def write_examples(examples: Sequence[str], formatter: click.HelpFormatter) -> None:
    """Write example lines as they are."""
    for line in examples:
        formatter.write(f"  $ {line}\n")
    if examples:
        formatter.write("\n")


def write_ending(next_step: str, formatter: click.HelpFormatter) -> None:
    """Write what to do next and the exit codes."""
    formatter.write_paragraph()
    if next_step:
        formatter.write_text(f"Next: {next_step}")
    formatter.write_text(EXIT_CODES)
