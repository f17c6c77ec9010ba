"""What a person at a terminal sees: a bar, a table, a sentence, or one line of JSON.

Answers go to stdout and everything else to stderr, so that a pipe receives answers only.
File names and people's names are strangers' text: whatever in them could steer a terminal
(escape sequences, line breaks, reversed writing) is written out, as in \\x1b.
Rich is imported when something is drawn, not before.
"""

from __future__ import annotations

import json
import numbers
import re
import shutil
import sys
import textwrap
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:  # for the checker only: a verb that draws nothing must not pay for Rich
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from tronie.errors import TronieError

PLAIN_WIDTH = 80
LEAST_FOLDED = 20
"""Columns of the screen that a table leaves to its long cells."""

_STEERING = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@contextmanager
def progress(
    total: int | None, description: str, *, answering: bool = False
) -> Iterator[Callable[[int], None]]:
    """A bar with the remaining time on stderr, for work that turns out to be long.

    Yields a function to be called with the number of things just done. The bar appears at
    the first such call later than a second after the start, and only on a terminal.

    Args:
        total: How many things there are; None where nobody knows.
        description: What is being done, as in "embedding".
        answering: Answers are printed meanwhile. On a terminal they show how far the work
            is, and no bar runs through them.
    """
    bar = _Bar(total, description, answering=answering)
    try:
        yield bar.advance
    finally:
        bar.close()


@contextmanager
def progress_of(description: str) -> Iterator[Callable[[int, int], None]]:
    """The same for work that says itself how far it is: to be called with (done, total).

    A total of 0 is one that nobody knows.
    """
    bar = _Bar(None, description, answering=False)
    try:
        yield bar.reach
    finally:
        bar.close()


def print_json(answer: object) -> None:
    """`answer` as JSON on one line of stdout.

    Paths become strings and numpy numbers plain ones; NaN and infinity, which JSON does not
    know, become null.
    """
    print(json.dumps(_plain(answer), allow_nan=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on stdout: as wide as the terminal, 80 columns where there is none.

    Long cells are folded, never cut. Cells are taken as text, without markup; columns of
    numbers stand to the right.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console = _console()(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    cells = [[visible(str(cell)) for cell in row] for row in rows]
    unbroken = _unbroken(columns, cells, console.width)
    for n, column in enumerate(columns):
        right = bool(cells) and all(_is_number(row[n]) for row in cells)
        table.add_column(
            Text(column),
            overflow="fold",
            justify="right" if right else "left",
            no_wrap=n in unbroken,
        )
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


def tell(sentence: str) -> None:
    """One line of an answer on stdout; on a terminal it is broken between words."""
    print(_fitted(visible(sentence), sys.stdout))


def say(sentence: str) -> None:
    """The same on stderr, beside the answer."""
    print(_fitted(f"tronie: {visible(sentence)}", sys.stderr), file=sys.stderr)


def number_of(count: int, one: str, many: str) -> str:
    """`count` with its noun, as in "1 person" and "2 people"."""
    return f"{count} {one if count == 1 else many}"


def span(seconds: float) -> str:
    """A time as people say it, as in "2 h 05 min".

    Example:
        >>> span(125)
        '2 min 05 s'
    """
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{whole} s"


def visible(text: str) -> str:
    r"""`text` with everything that could steer a terminal written out.

    Example:
        >>> print(visible("a\x1b[2Jb"))
        a\x1b[2Jb
    """
    if text.isprintable():
        return text
    return "".join(_written_out(c) if _steers(c) else c for c in text)


def error_code(error: TronieError) -> str:
    """How JSON names a refusal: BadImage is bad_image."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(error).__name__).lower()


class _Bar:
    """A Rich bar that is made only when the work has lasted longer than `PATIENCE_S`."""

    PATIENCE_S = 1.0

    def __init__(self, total: int | None, description: str, *, answering: bool) -> None:
        self._total = total
        self._description = description
        self._done = 0
        self._started_s = time.monotonic()
        self._wanted = sys.stderr.isatty() and not (answering and sys.stdout.isatty())
        self._shown: tuple[Progress, TaskID] | None = None

    def advance(self, done: int) -> None:
        self._done += done
        late = time.monotonic() - self._started_s > self.PATIENCE_S
        if self._shown is None and late and self._wanted:
            self._shown = self._open()
        if self._shown is not None:
            bar, task = self._shown
            bar.update(task, completed=self._done, total=self._total)

    def reach(self, done: int, total: int) -> None:
        self._total = total or None
        self.advance(done - self._done)

    def close(self) -> None:
        if self._shown is not None:
            self._shown[0].stop()

    def _open(self) -> tuple[Progress, TaskID]:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=_console()(stderr=True),
            transient=True,
            redirect_stdout=False,  # Rich would print answers to stderr while the bar is shown
        )
        bar.start()
        return bar, bar.add_task(self._description, total=self._total, completed=self._done)


@cache
def _console() -> type[Console]:
    """Rich's console, but that a reader who went away is told as by `print`."""
    from rich import console

    class Plain(console.Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError("nobody reads on")  # Rich itself would end with exit code 1

    return Plain


def _fitted(text: str, stream: TextIO) -> str:
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def _unbroken(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> set[int]:
    """The columns that keep each cell on one line: the narrowest, while room is left."""
    longest = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    kept: set[int] = set()
    left = width - LEAST_FOLDED
    for n in sorted(range(len(columns)), key=lambda n: longest[n]):
        left -= longest[n] + 3
        if left >= 0:
            kept.add(n)
    return kept


def _is_number(cell: str) -> bool:
    try:
        float(cell or "0")
    except ValueError:
        return False
    return True


def _steers(character: str) -> bool:
    return character in _TURNING or unicodedata.category(character) in _STEERING


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _plain(value: object) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if abs(number) < float("inf") else None
    raise TypeError(f"a JSON answer holds plain values; got {type(value).__name__}")
