"""How a `oneteam.alliance.reading.Page` is set: text for a terminal, Markdown, or one HTML file that needs nothing else."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from oneteam.alliance.reading import Page, Section

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5a6675; --line: #d8dee6; --back: #ffffff; --mark: #0b5cad; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ef; --soft: #9aa7b5; --line: #36404c; --back: #14191f; --mark: #7cb7f2; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 52rem; padding: 2.5rem 1.25rem 4rem; color: var(--ink); background: var(--back);
  font: 1rem/1.6 system-ui, "Apple SD Gothic Neo", "Malgun Gothic", "Noto Sans KR", sans-serif;
  word-break: keep-all; overflow-wrap: break-word; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; border-top: 1px solid var(--line); padding-top: 1.25rem; }
p { margin: .4rem 0; }
.subtitle, .note { color: var(--soft); }
.note { font-size: .9rem; }
.table { overflow-x: auto; margin: .9rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: .9rem; }
th, td { padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.number { text-align: right; white-space: nowrap; }
.long { overflow-wrap: anywhere; min-width: 12rem; font-family: ui-monospace, monospace; font-size: .85rem; }
nav { margin-bottom: 1.5rem; } nav a { color: var(--mark); margin-right: 1rem; }
article + article { margin-top: 4rem; border-top: 3px solid var(--line); padding-top: 2rem; }
@media print { nav { display: none; } article { break-before: page; } article:first-of-type { break-before: auto; } }
"""
_NARROWEST: Final = 8
"""Columns that a table's column has at least; a table that would need less is set row under row."""
_LONG: Final = 30
"""Letters of a word from which it is no word."""
_NAMES: Final = {"en": "English", "ko": "한국어"}


def to_text(page: Page, width: int = 100) -> str:
    """The page for a terminal: lines of at most ``width`` columns, where a Korean letter takes two.

    Args:
        page: what to set.
        width: columns; at least 40.
    """
    width = max(40, width)
    lines = [*wrap(page.title, width), *wrap(page.subtitle, width), ""]
    for section in page.sections:
        lines += [section.heading, "─" * min(width, columns_of(section.heading))]
        for text in section.sentences:
            lines += wrap(text, width)
        if section.rows:
            lines += ["", *_text_table(section.rows, width)]
        if section.notes:
            lines.append("")
        for text in section.notes:
            lines += wrap(text, width)
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def to_markdown(page: Page) -> str:
    """The page as Markdown with tables."""
    lines = [f"# {_escaped(page.title)}", "", _escaped(page.subtitle), ""]
    for section in page.sections:
        lines += [f"## {_escaped(section.heading)}", ""]
        for text in section.sentences:
            lines += [_escaped(text), ""]
        if section.rows:
            head, *rows = section.rows
            marks = ["---:" if numeric else "---" for numeric in _numeric(section.rows)]
            lines += [_markdown_row(head), _markdown_row(marks), *(_markdown_row(row) for row in rows), ""]
        for text in section.notes:
            lines += [_escaped(text), ""]
    return "\n".join(lines).rstrip() + "\n"


def to_html(pages: Sequence[Page]) -> str:
    """One HTML file with the page in each language; no script, no font, nothing from elsewhere.

    Args:
        pages: the same page, in the order in which the languages shall stand.
    """
    links = "".join(f'<a href="#{page.language}" lang="{page.language}">{_NAMES[page.language]}</a>' for page in pages)
    body = "\n".join(_article(page) for page in pages)
    return (
        f'<!doctype html>\n<html lang="{pages[0].language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{html.escape(pages[0].title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"{f'<nav>{links}</nav>' if len(pages) > 1 else ''}\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def columns_of(text: str) -> int:
    """Columns that a text takes on a terminal.

    >>> columns_of("SIM 수")
    6
    """
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrap(text: str, width: int) -> list[str]:
    """Break a text at blanks into lines of at most ``width`` columns; a longer word is cut.

    >>> wrap("one two three", 8)
    ['one two', 'three']
    """
    lines, line = [], ""
    for word in text.split():
        for piece in _pieces(word, width):
            if line and columns_of(line) + 1 + columns_of(piece) > width:
                lines.append(line)
                line = piece
            else:
                line = f"{line} {piece}" if line else piece
    return [*lines, line] if line else lines


def _pieces(word: str, width: int) -> Iterator[str]:
    piece = ""
    for letter in word:
        if columns_of(piece) + columns_of(letter) > width:
            yield piece
            piece = ""
        piece += letter
    yield piece


def _text_table(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    numeric = _numeric(rows)
    widths = [max(columns_of(row[i]) for row in rows) for i in range(len(rows[0]))]
    # What does not fit is taken from the widest column, whose cells are then broken.
    spare = width - 2 * (len(widths) - 1)
    while sum(widths) > spare and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    if sum(widths) > spare:
        return _text_list(rows, width)
    lines = []
    for number, row in enumerate(rows):
        cells = [wrap(cell, size) or [""] for cell, size in zip(row, widths, strict=True)]
        for i in range(max(map(len, cells))):
            parts = [cell[i] if i < len(cell) else "" for cell in cells]
            padded = [
                " " * (size - columns_of(part)) + part if right else part + " " * (size - columns_of(part))
                for part, size, right in zip(parts, widths, numeric, strict=True)
            ]
            lines.append("  ".join(padded).rstrip())
        if number == 0:
            lines.append("  ".join("─" * size for size in widths))
    return lines


def _text_list(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """A table that is too wide, row under row."""
    head, *body = rows
    lines = []
    for row in body:
        pairs = [f"{name}: {cell}" for name, cell in zip(head, row, strict=True)]
        lines += ["· " + line if i == 0 else "  " + line for i, line in enumerate(line for pair in pairs for line in wrap(pair, width - 2))]
    return lines


def _numeric(rows: Sequence[Sequence[str]]) -> list[bool]:
    """Whether each column holds numbers only; they stand at the right."""
    return [
        len(rows) > 1 and all(set(row[i]) <= set("0123456789.,± %–e-+") and row[i] for row in rows[1:]) and len(rows[1][i]) < 20
        for i in range(len(rows[0]))
    ]


def _article(page: Page) -> str:
    sections = "\n".join(_html_section(section) for section in page.sections)
    return (
        f'<article id="{page.language}" lang="{page.language}">\n<h1>{html.escape(page.title)}</h1>\n'
        f'<p class="subtitle">{html.escape(page.subtitle)}</p>\n{sections}\n</article>'
    )


def _html_section(section: Section) -> str:
    parts = [f"<section><h2>{html.escape(section.heading)}</h2>"]
    parts += [f"<p>{html.escape(text)}</p>" for text in section.sentences]
    if section.rows:
        head, *rows = section.rows
        classes = [' class="number"' if numeric else "" for numeric in _numeric(section.rows)]
        parts.append('<div class="table"><table><thead><tr>')
        parts += [f'<th scope="col"{c}>{html.escape(cell)}</th>' for cell, c in zip(head, classes, strict=True)]
        parts.append("</tr></thead><tbody>")
        for row in rows:
            parts.append("<tr>" + "".join(_html_cell(cell, c) for cell, c in zip(row, classes, strict=True)) + "</tr>")
        parts.append("</tbody></table></div>")
    parts += [f'<p class="note">{html.escape(text)}</p>' for text in section.notes]
    return "\n".join([*parts, "</section>"])


def _html_cell(cell: str, given: str) -> str:
    """A cell; hashes may break anywhere, words may not."""
    long = max(map(len, cell.split()), default=0) > _LONG
    kind = ' class="long"' if long else given
    return f"<td{kind}>{html.escape(cell)}</td>"


def _escaped(text: str) -> str:
    """Text that Markdown shall not read as markup."""
    for sign in "\\`*_<>[]#|":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell if set(cell) <= set("-:") else _escaped(cell) for cell in cells) + " |"
