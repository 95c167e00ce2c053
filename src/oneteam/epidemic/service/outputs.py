"""Where results go: said to be wrong before anything is worked out, not after."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from oneteam.core.errors import UnknownValueError

PAGE: Final = (".html", ".htm")
_FILE_SUFFIX: Final = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}")
"""What ends a file's name; ``.24`` of ``2023.24`` does not."""


def check_folder(out: Path, *, files: Sequence[str] = ()) -> None:
    """Refuse an ``--out`` that is not a folder: a name that ends like a file's would become a folder that nobody finds.

    Args:
        out: the folder, there or to be made.
        files: suffixes under which a single file is written instead.

    Raises:
        UnknownValueError: a file is there, or the name ends like a file's and no such folder is there.

    >>> check_folder(Path("scores")), check_folder(Path("season/2023.24")), check_folder(Path("x.json"), files=(".json",))
    (None, None, None)
    """
    if out.is_dir() or out.suffix in files:
        return
    right = "a folder" + (f", or a file whose name ends in {' or '.join(files)}" if files else "")
    if out.exists():
        raise UnknownValueError(f"--out {out}: is a file, must be {right}")
    if _FILE_SUFFIX.fullmatch(out.suffix):
        raise UnknownValueError(f"--out {out}: ends in {out.suffix}, must be {right}", hint=f"For a folder: --out {out.with_suffix('')}")


def check_page(out: Path) -> None:
    """Refuse an ``--out`` that is no HTML file.

    Raises:
        UnknownValueError: a folder is there, or the name ends otherwise.

    >>> check_page(Path("report.html"))
    """
    if out.is_dir():
        raise UnknownValueError(f"--out {out}: is a folder, must be a file", hint=f"Name the page: --out {out / 'report.html'}")
    if out.suffix.lower() not in PAGE:
        ends = f"ends in {out.suffix}" if out.suffix else "has no suffix"
        raise UnknownValueError(f"--out {out}: {ends}, must be a file whose name ends in .html")
