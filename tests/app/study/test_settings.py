"""What a study file may say, and what is said to one that says something else."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oneteam.app.study.inputs import data_root
from oneteam.app.study.settings import Ask, periods, read_study_file
from oneteam.app.study.template import study_template
from oneteam.cli.main import app
from oneteam.core.errors import DocumentError, FileUnreadableError, UnknownValueError
from tests.app.study.conftest import study_text

EXAMPLES = Path(__file__).parents[3] / "examples"


def of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("seed = 3", "sead = 3"), "sead: unknown key"),
        (("draws = 2", "drawz = 2"), "mobility.drawz: unknown key"),
        (('measure = "od"', 'measure = "od"\nlevel = "x"'), r"ask.0.level: unknown key"),
        (("known_on = 2020-03-08", "known_on = 2020-02-01"), r"ask\[0\] \(od\): last day .* is before first_day"),
        (("past_weeks = 1", "past_weeks = -1"), "forecast.past_weeks: .*greater than or equal to 0"),
        (("horizon = 1\n", "horizon = 3\n"), r"forecast: horizon 3 is not among horizons \[1, 2\]"),
        (('prevalence = "country/truth/countries.parquet"', ""), "importation: give either cases or prevalence"),
        (("effectiveness = 0.3", "effectiveness = 0.3\nefectiveness = 1"), "scenario.measures.0.*efectiveness: unknown key"),
        (('sender = "agency@example.org"', 'sender = "an agency"'), "alerts.sender"),
        (("seed = 3", 'seed = 3\ntimezone = "Mars/Olympus"'), "timezone: 'Mars/Olympus' is no IANA time zone"),
        (('home = "agency"', ""), "who.home"),
    ],
)
def test_a_bad_study_file_is_refused_with_the_path(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    text = study_text()
    assert change[0] in text
    with pytest.raises(DocumentError, match=told):
        read_study_file(of(tmp_path, text.replace(*change, 1)))


def test_a_question_after_the_day_is_refused(tmp_path: Path) -> None:
    text = study_text().replace("first_day = 2020-02-24", "first_day = 2020-02-24\nlast_day = 2020-03-09", 1)
    with pytest.raises(DocumentError, match="last_day 2020-03-09 is after known_on 2020-03-08"):
        read_study_file(of(tmp_path, text))


def test_asked_for_and_given_at_once_is_refused(tmp_path: Path) -> None:
    more = '[[tables]]\nmeasure = "od"\nfile = "od.csv"\n'
    with pytest.raises(DocumentError, match="'od' is asked for and given as a table"):
        read_study_file(of(tmp_path, study_text(more=more)))


def test_asking_needs_somebody_who_asks(tmp_path: Path) -> None:
    who = '[[ask]]\nmeasure = "od"\nfirst_day = 2020-02-24\n'
    with pytest.raises(DocumentError, match=r"\[\[ask\]\] needs \[who\]"):
        read_study_file(of(tmp_path, study_text(who=who)))


def test_not_toml(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="not TOML"):
        read_study_file(of(tmp_path, "known_on = \n"))


def test_weeks_days_and_all() -> None:
    ask = Ask(measure="od", first_day=date(2020, 3, 2), last_day=date(2020, 3, 15), every="day")
    assert len(periods(ask, date(2020, 5, 1))) == 14
    assert len(periods(ask.model_copy(update={"every": "week"}), date(2020, 5, 1))) == 2
    assert periods(ask.model_copy(update={"every": "all"}), date(2020, 5, 1)) == [(date(2020, 3, 2), date(2020, 3, 15))]
    with pytest.raises(UnknownValueError, match="before first_day"):
        periods(ask.model_copy(update={"last_day": None}), date(2020, 3, 1))


@pytest.mark.parametrize("members", [True, False])
def test_the_template_is_a_study_file(tmp_path: Path, *, members: bool) -> None:
    found = read_study_file(of(tmp_path, study_template(members=members)))
    assert bool(found.ask) is members
    assert bool(found.tables) is not members


@pytest.mark.parametrize("name", ["korea", "synthetic"])
def test_examples_are_study_files(name: str) -> None:
    found = read_study_file(EXAMPLES / name / "study.toml")
    assert found.title.ko


def test_new_writes_a_file_once(tmp_path: Path) -> None:
    runner = CliRunner()
    target = tmp_path / "mine.toml"
    assert runner.invoke(app, ["study", "new", str(target)]).exit_code == 0
    read_study_file(target)
    result = runner.invoke(app, ["study", "new", str(target)])
    assert isinstance(result.exception, UnknownValueError)


def test_where_files_are(tmp_path: Path) -> None:
    file = of(tmp_path, study_text())
    study = read_study_file(file)
    assert data_root(study, file, None) == tmp_path
    assert data_root(study.model_copy(update={"data": "beside"}), file, None) == tmp_path / "beside"
    assert data_root(study, file, tmp_path / "given") == tmp_path / "given"


def test_a_missing_file_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    file = of(tmp_path, study_text(who="", more=""))
    result = CliRunner().invoke(app, ["study", "run", str(file), "--out", str(tmp_path / "out"), "--data", str(tmp_path)])
    assert isinstance(result.exception, FileUnreadableError)
    assert "country/agency/cases_daily.csv: not found" in result.exception.message
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_left_alone(alliance: Path, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("Dear")
    file = of(tmp_path, study_text(who="", more="", measures=""))
    result = CliRunner().invoke(app, ["study", "run", str(file), "--out", str(tmp_path / "letters"), "--data", str(alliance)])
    assert isinstance(result.exception, UnknownValueError)
    assert "holds something that is no study" in result.exception.message
