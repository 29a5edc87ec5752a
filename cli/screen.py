"""Where the command line writes: one JSON document or readable text on stdout, everything else on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 200  # characters


class Screen:
    """One command's output. `json` silences text on stdout; progress always goes to stderr."""

    def __init__(self, *, json: bool = False) -> None:
        """Decides nothing but where words go."""
        self.json = json
        # Not a terminal: nobody's window is narrow, and whoever greps wants a row on one line.
        width = None if sys.stdout.isatty() else PLAIN_WIDTH
        self.out = Console(highlight=False, soft_wrap=True, width=width)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """A line for whoever watches."""
        self.err.print(text, markup=False)

    def text(self, text: str) -> None:
        """A line of the result, for people."""
        if not self.json:
            self.out.print(text, markup=False)

    def show(self, renderable: object) -> None:
        """Something Rich can draw, for people."""
        if not self.json:
            self.out.print(renderable)

    def document(self, value: Any) -> None:
        """The result, for machines."""
        if self.json:
            body = msgspec.json.encode(value, order="deterministic")
            sys.stdout.write(msgspec.json.format(body, indent=2).decode() + "\n")

    def table(self, columns: list[str], rows: list[list[object]]) -> None:
        """A table of the result, for people."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(_cell(cell) for cell in row))
        self.show(table)

    @contextmanager
    def working(self, what: str) -> Iterator["Step"]:
        """A step that takes a while: a spinner on a terminal, a line at its beginning and end elsewhere."""
        step = Step(what)
        if not self.err.is_terminal:
            self.say(f"{what} …")
            yield step
            self.say(f"{what}: {step.note or 'done'} ({step.seconds:.1f} s)")
            return
        with self.err.status(what) as status:
            step.on_note = lambda note: status.update(f"{what} [dim]{note}[/dim]")
            yield step
        self.err.print(f"[green]✓[/green] {what} [dim]{step.note} ({step.seconds:.1f} s)[/dim]")


def _cell(value: object) -> Text:
    """One line of at most 200 characters, whatever is inside (`--json` gives all of it): no markup, no escapes."""
    from localcloud.session.plain import plain  # not for --help

    text = " ".join(str(value).split()) if value is not None else ""
    return Text(plain(text if len(text) <= 200 else f"{text[:200]}…"))


class Step:
    """One step under way; `tell` changes the note beside it."""

    def __init__(self, what: str) -> None:
        """Starts its clock."""
        self.what, self.note = what, ""
        self._began = time.monotonic()
        self.on_note: Any = None

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def tell(self, note: str) -> None:
        """Say how far it is."""
        self.note = note
        if self.on_note:
            self.on_note(note)
