"""Run a trace file: stanzas of `command args`, `----`, expected output, a blank line. # begins a note."""

import re
from collections.abc import Callable
from pathlib import Path

STANZA = re.compile(r"((?:#[^\n]*\n|\n)*)([^\n#][^\n]*)\n----\n(.*?)(?:\n\n|\n?\Z)", re.S)


def run(path: Path, command: Callable[[str, list[str]], str], *, rewrite: bool) -> None:
    """Replay `path`; fail if any output changed, or rewrite the file and let the diff be read."""
    before = path.read_text()
    after = []
    for notes, line, _ in STANZA.findall(before):
        verb, *args = line.split()
        after.append(f"{notes}{line}\n----\n{command(verb, args).rstrip() or 'ok'}\n\n")
    text = "".join(after).rstrip() + "\n"
    if rewrite:
        path.write_text(text)
        return
    assert text == before, f"{path.name} changed; rerun with --rewrite and read the diff:\n{text}"
