"""An output that cannot be meant is refused before anything is read or worked out."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from oneteam.cli.epidemic import app as epidemic
from oneteam.core.errors import UnknownValueError
from oneteam.epidemic.service.outputs import check_folder, check_page

# The files that follow are not there: an answer about --out shows that nothing was read before.
COMMANDS = {
    "score": ["--forecasts", "f", "--truth", "t"],
    "rt": ["cases.csv"],
    "importation": ["--cases", "c.csv"],
    "convert": ["cases.csv"],
    "simulate": ["--preset", "seir", "--zones", "z.csv"],
    "scenario": ["s.toml"],
}


def refusal(*words: str) -> str:
    """What the command says; the message stands in the error that it raises."""
    result = CliRunner().invoke(epidemic, list(words))
    assert isinstance(result.exception, UnknownValueError), result.output
    return str(result.exception)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["x.xls", "rt.CSV", "forecast.tar"])
def test_a_file_where_a_folder_is_meant_is_refused(command, name, tmp_path):
    out = tmp_path / name
    said = refusal(command, *COMMANDS[command], "--out", str(out))
    assert f"--out {out}: ends in {out.suffix}, must be a folder" in said
    assert (".json or .csv or .parquet" in said) == (command == "score")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_is_there_is_no_folder(command, tmp_path):
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    assert "is a file, must be a folder" in refusal(command, *COMMANDS[command], "--out", str(tmp_path / "out"))
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"


def test_numbers_and_folders_that_are_there_may_end_as_they_like(tmp_path):
    (tmp_path / "data.csv").mkdir()
    for good in ("season/2023.24", "v1.2", "plain", str(tmp_path / "data.csv")):
        check_folder(Path(good))


def test_a_page_is_an_html_file(tmp_path):
    with pytest.raises(UnknownValueError, match=r"is a folder, must be a file"):
        check_page(tmp_path)
    for bad in ("report.pdf", "report"):
        with pytest.raises(UnknownValueError, match=r"must be a file whose name ends in \.html"):
            check_page(tmp_path / bad)
    said = refusal("report", str(tmp_path), "--out", str(tmp_path / "r.pdf"))
    assert "ends in .pdf" in said
