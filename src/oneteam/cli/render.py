"""How results, progress and errors look on a terminal."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from oneteam.core.errors import OneteamError
from oneteam.core.progress import Progress as Report
from oneteam.core.progress import silent

if TYPE_CHECKING:
    import pyarrow as pa

out = Console()
err = Console(stderr=True)
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    r"""A text without what a terminal would obey: names and messages may come from files and from other members.

    >>> shown("zone \x1b[8m11010")
    'zone �[8m11010'
    """
    return _COMMANDS.sub("\N{REPLACEMENT CHARACTER}", text)


def print_json(body: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(body, ensure_ascii=False, default=str) + "\n")


def print_error(error: OneteamError, *, as_json: bool) -> None:
    """What is wrong, the code, and the next thing to try; on standard error."""
    if as_json:
        sys.stderr.write(json.dumps({"error": error.as_dict()}, ensure_ascii=False) + "\n")
        return
    err.print(f"[bold red]error[/] \\[{error.code}]: ", end="")
    err.print(shown(error.message), markup=False, highlight=False, soft_wrap=True)
    if error.hint:
        err.print("[bold]hint[/]: ", end="")
        err.print(shown(error.hint), markup=False, highlight=False, soft_wrap=True)


def say(text: str, *, style: str = "") -> None:
    """One line for people, as it is."""
    out.print(shown(text), style=style, markup=False, highlight=False, soft_wrap=True)


def print_rows(title: str, rows: Sequence[Mapping[str, object]]) -> None:
    """A small table."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in rows[0] if rows else ():
        table.add_column(Text(name), justify="right" if isinstance(rows[0][name], int | float) else "left", overflow="fold")
    for row in rows:
        # Text, not markup: a cell called [/x] is a name, not a closing tag.
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    out.print(table)


def print_table(title: str, table: pa.Table, limit: int) -> None:
    """The first rows of a result, and how many there are."""
    print_rows(title, table.slice(0, limit).to_pylist())
    if table.num_rows > limit:
        say(f"… {table.num_rows - limit:,} more rows; write them all with --out FILE.parquet or --out FILE.csv", style="dim")


def _cell(value: object) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return str(value)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case _:
            return shown(str(value))


@contextmanager
def progress_bar(*, show: bool) -> Iterator[Report]:
    """A progress reporter that draws a bar on standard error; silent when not shown or not on a terminal."""
    if not show or not err.is_terminal:
        yield silent
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def report(step: str, done: float, total: float | None) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=total)
            bar.update(tasks[step], completed=done, total=total)

        yield report
