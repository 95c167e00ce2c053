"""Make ``report.html`` from what the other commands wrote: `oneteam epidemic report`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

from oneteam.core.progress import Progress, silent
from oneteam.epidemic.report.page import page
from oneteam.epidemic.report.voice import Voice
from oneteam.epidemic.service.report_inputs import ReportFiles, ReportSettings, read_study
from oneteam.store.tables import write_atomically


@dataclass(frozen=True)
class Reported:
    """What was written.

    Args:
        path: the page.
        bytes: its size.
        reference_date: of the forecast.
        sentences: the first page as plain text, by language.
        missing: sections without data.
    """

    path: str
    bytes: int
    reference_date: str
    sentences: Mapping[str, Sequence[str]]
    missing: Sequence[str]


def write_report(files: ReportFiles, out: Path, settings: ReportSettings | None = None, progress: Progress = silent) -> Reported:
    """Write the report.

    Args:
        files: the pieces.
        out: the page to write.
        settings: what is reported.
        progress: told how far it is.

    Raises:
        InputError: a piece that cannot be used.
        UnknownValueError: a language, model, date or horizon that is not there.
        DiskFullError: no room.
    """
    from oneteam.epidemic.report.findings import findings

    settings = settings or ReportSettings()
    voice = Voice.parse(settings.language)
    progress("read", 0, 2)
    study = read_study(files, settings)
    progress("write", 1, 2)
    style = package_files("oneteam.epidemic.report").joinpath("style.css").read_text(encoding="utf-8")
    content = page(study, voice, style).encode()
    write_atomically(out, content)
    progress("write", 2, 2)
    told = findings(study)
    sentences = {code: [_untagged(getattr(f.answer, code)) for f in told] for code in voice.languages}
    pieces = {
        "scores": study.scores,
        "rt": study.situation,
        "importation": study.imports,
        "scenario": study.what_if,
        "map": study.shapes or None,
    }
    missing = [name for name, piece in pieces.items() if piece is None]
    return Reported(str(out), len(content), str(study.reference_date), sentences, missing)


def _untagged(text: str) -> str:
    import html

    # Tags only: "<1%" is a number.
    return html.unescape(re.sub(r"</?[a-z]+>", "", text))
