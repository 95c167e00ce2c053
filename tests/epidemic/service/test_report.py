"""`oneteam epidemic report`: from a study's folder to the page."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from oneteam.cli.epidemic_report import register
from oneteam.core.errors import FileUnreadableError, NothingFoundError, UnknownValueError
from oneteam.core.model import Text
from oneteam.epidemic.report import outlook_section
from oneteam.epidemic.report.findings import findings, where_next
from oneteam.epidemic.report.what_if_section import DOWNSCALED, share_by_place
from oneteam.epidemic.service.report import write_report
from oneteam.epidemic.service.report_inputs import ReportFiles, ReportSettings, read_study
from oneteam.epidemic.service.score import ScoreSettings, score
from oneteam.epidemic.service.score import write_report as write_scores
from tests.epidemic.flusight import FLUSIGHT, needs_flusight
from tests.epidemic.report.studies import COUNTS, LAST, WEEK, make_identifiable, study_folder

SETTINGS = ReportSettings(threshold="100", aggregate="ALL")
VOID = {"meta", "input", "br", "path", "circle", "rect"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = study_folder(tmp_path_factory.mktemp("whole") / "study")
    forecasts = folder / "forecasts" / "model-output"
    found = score(
        forecasts, folder / "data" / "time-series.parquet", None, folder / "data" / "locations.csv", ScoreSettings(threshold="100")
    )
    write_scores(found, folder / "scores", plots=False)
    return folder


def files(folder: Path, **others: Path) -> ReportFiles:
    return ReportFiles.of_study(folder, folder / "shapes.geojson", **others)


class Checker(HTMLParser):
    """Every element is closed in order; ids, links and what would be loaded are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.wanted: list[str] = []
        self.loaded: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.tags.append(tag)
        self.ids += [v for k, v in attrs if k == "id" and v]
        self.wanted += [w for k in ("aria-labelledby", "for") if told.get(k) for w in str(told[k]).split()]
        self.wanted += [str(v)[1:] for k, v in attrs if k == "href" and str(v).startswith("#")]
        self.loaded += [
            str(v) for k, v in attrs if k in {"src", "srcset", "data", "action"} or (k == "href" and not str(v).startswith("#"))
        ]
        if tag not in {"meta", "input"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(text: str) -> Checker:
    found = Checker()
    found.feed(text)
    assert found.open == []
    assert len(found.ids) == len(set(found.ids))
    assert set(found.wanted) <= set(found.ids)
    return found


@pytest.mark.parametrize("language", ["en", "ko", "both"])
def test_the_page_is_one_sound_file_that_loads_nothing(whole, tmp_path, language):
    out = tmp_path / "report.html"
    settings = ReportSettings(threshold="100", aggregate="ALL", language=language)
    write_report(files(whole, districts=whole / "shapes.geojson"), out, settings)
    text = out.read_text(encoding="utf-8")
    found = checked(text)
    assert found.loaded == []
    assert "script" not in found.tags
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    assert found.tags.count("svg") >= 10
    assert found.tags.count("figure") == text.count("<figcaption>")
    assert text.count("<title id=") == found.tags.count("svg") == text.count("<desc id=")
    assert "nan" not in re.sub(r"<style>.*?</style>", "", text)
    assert ('id="language-ko"' in text) == (language == "both")
    if language == "en":
        assert not re.search("[가-힣]", text)


def test_the_first_page_has_three_sentences_with_date_validation_and_record(whole):
    study = read_study(files(whole), SETTINGS)
    following, origin, measure = findings(study)
    assert "week to 6 April 2024" in following.answer.en
    assert "23 March 2024" in following.data.en
    assert following.grade == "checked"
    assert "revised later" in following.validation.en
    assert "inside the 95% interval" in following.record.en
    assert "chances between 20 and 80%" in following.record.en
    assert "not identifiable" in origin.answer.en
    assert (origin.grade, measure.grade) == ("partly", "unchecked")
    assert "18 imported cases (95% 8–28)" in origin.answer.en
    assert "92% of 12 weekly totals" in origin.record.en
    assert "10%" in measure.answer.en
    assert "Alpha" in measure.answer.en
    assert "(range 8.0% to 12%): about 100 (96–164)" in measure.answer.en  # the variant widens the range
    assert "not validated" in measure.validation.en


def test_chances_are_ranked_and_compared_with_last_week(whole):
    study = read_study(files(whole), SETTINGS)
    chances = [o.probability for o in study.outlooks]
    assert chances == sorted(chances, reverse=True)
    assert [o.place.code for o in study.outlooks][:2] == ["11", "12"]  # 352 and 209 expected: 176 and 139 per 100,000
    first = next(o for o in study.outlooks if o.place.code == "11")
    assert (first.last, first.median) == (320.0, pytest.approx(320 * 1.1))
    before = study.quantiles(LAST - WEEK, 2, "11")
    assert before is not None
    assert before[11] == pytest.approx(300 * 1.1)
    assert first.change == pytest.approx(first.probability - (study._probability(LAST - WEEK, "11") or 0))
    assert 0 < first.rising < 1
    assert study.whole is not None
    assert "ALL" not in {o.place.code for o in study.outlooks}


def test_many_places_are_folded_behind_the_first(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(outlook_section, "FIRST", 1)
    out = tmp_path / "r.html"
    study = read_study(files(whole), SETTINGS)
    write_report(files(whole), out, SETTINGS)
    text = out.read_text(encoding="utf-8")
    assert text.count(f"The other {len(study.outlooks) - 1} places") == 2
    monkeypatch.undo()
    write_report(files(whole), out, SETTINGS)
    assert "The other" not in out.read_text(encoding="utf-8")
    assert text.count("<li><h4>") == out.read_text(encoding="utf-8").count("<li><h4>") == len(study.outlooks), "none is lost"


def test_names_come_from_the_shapes_and_are_escaped_without_them(whole, tmp_path):
    named = read_study(files(whole), SETTINGS)
    assert (named.named("11").en, named.named("11").ko) == ("Alpha", "알파")
    bare = ReportFiles.of_study(whole)
    assert "&lt;b&gt;" in where_next(read_study(bare, SETTINGS)).answer.en
    out = tmp_path / "r.html"
    write_report(bare, out, SETTINGS)
    assert "<b>Alpha" not in out.read_text(encoding="utf-8")
    assert "Alpha <b>" not in out.read_text(encoding="utf-8")


def test_known_origins_are_ranked_with_the_border_measure(whole, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(whole, folder)
    make_identifiable(folder)
    origin = findings(read_study(files(folder), SETTINGS))[1]
    assert origin.answer.en.index("China") < origin.answer.en.index("Japan")
    assert "75%" in origin.answer.en
    assert "97%" in origin.answer.en
    path = folder / "importation" / "importation.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    told["weeks"] = [{"week ending": "2020-03-07", "expected": 3.0}, {"week ending": "2020-03-14", "expected": None}]
    path.write_text(json.dumps(told), encoding="utf-8")
    dated = findings(read_study(files(folder), SETTINGS))[1].answer
    assert "cases of 1 March 2020 to 7 March 2020 are expected" in dated.en
    assert dated.ko.startswith("2020년 3월 1일부터 2020년 3월 7일까지의 해외 유입은")
    write_report(files(folder), folder / "report.html", SETTINGS)
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "24 <small>(16–36)</small>" in text
    assert "not identifiable" not in text


def test_origins_that_send_nobody_are_not_named_and_small_shares_are_told(whole, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(whole, folder)
    make_identifiable(folder)
    path = folder / "importation" / "importation.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    one, *others = found["origins"]
    found["origins"] = [one, *({**each, "mean": mean} for each, mean in zip(others, (0.001, *[0.0] * len(others)), strict=False))]
    path.write_text(json.dumps(found), encoding="utf-8")
    told = write_report(files(folder), folder / "report.html", SETTINGS).sentences["en"][1]
    assert told.count("95%") == 2
    assert "<1%" in told


def test_old_imports_are_pointed_out(whole, tmp_path):
    study = read_study(files(whole), SETTINGS)
    assert findings(study)[1].warning is None
    folder = tmp_path / "study"
    shutil.copytree(whole, folder)
    totals = folder / "importation" / "totals.csv"
    totals.write_text(re.sub(r"2024-(\d\d-\d\d)", r"2022-\1", totals.read_text(encoding="utf-8")), encoding="utf-8")
    warning = findings(read_study(files(folder), SETTINGS))[1].warning
    assert warning is not None
    assert "days before the forecast" in warning.en


def test_past_intervals_that_did_not_hold_are_said_to_be_too_narrow(whole):
    study = read_study(files(whole), SETTINGS)
    scores = json.loads(json.dumps(study.scores))
    row = next(r for r in scores["models"] if r["model"] == study.model)
    row |= {"tasks": 100, "coverage_95": 0.69}
    found = where_next(replace(study, scores=scores))
    assert found.grade == "partly"
    assert found.warning is not None
    assert "31% of outcomes fell outside" in found.warning.en
    row["coverage_95"] = 0.93
    assert where_next(replace(study, scores=scores)).grade == "checked"


def test_a_record_from_weeks_that_all_went_one_way_carries_a_warning(whole, monkeypatch):
    study = read_study(files(whole), SETTINGS)
    monkeypatch.setattr("oneteam.epidemic.report.findings.SOME_TASKS", 5)
    assert where_next(study).warning is None
    falling = replace(study.truth, values=np.sort(study.truth.values, axis=0)[::-1] + np.arange(12)[::-1, None])
    warning = where_next(replace(study, truth=falling)).warning
    assert warning is not None
    assert "falling in 100%" in warning.en


def test_districts_are_marked_and_absent_by_default(whole, tmp_path):
    plain, marked = tmp_path / "plain.html", tmp_path / "marked.html"
    settings = ReportSettings(threshold="100", aggregate="ALL", language="en")
    write_report(files(whole), plain, settings)
    shapes = json.loads((whole / "shapes.geojson").read_text(encoding="utf-8"))
    for feature, code in zip(shapes["features"], ("11010", "11020", "12010"), strict=True):
        feature["properties"]["code"] = code
    districts = tmp_path / "districts.geojson"
    districts.write_text(json.dumps(shapes), encoding="utf-8")
    write_report(files(whole, districts=districts), marked, settings)
    assert DOWNSCALED.en not in plain.read_text(encoding="utf-8")
    text = marked.read_text(encoding="utf-8")
    assert f'<p class="stamp">{DOWNSCALED.en}</p>' in text
    assert "hatch" in text.split("</style>")[1]


def test_zones_are_added_up_to_places(whole):
    study = read_study(files(whole), SETTINGS)
    assert study.what_if is not None
    assert share_by_place(study, study.what_if) == {"11": pytest.approx(20.0), "12": pytest.approx(5.0)}


def test_repairs_and_assumptions_are_listed_once_in_both_languages(whole):
    notes = [note.what for note in read_study(files(whole), SETTINGS).notes]
    english = [note.en for note in notes]
    assert english.count("7 cases found at the border are left out of transmission") == 1
    assert "Alpha: 3 cases taken back" in english
    assert "something new" in english
    assert any("without population: 13010" in note for note in english)
    assert any("no vintages" in note for note in english)
    assert ("Assumed: nothing.", "가정: 없음.") in [(n.en, n.ko) for n in notes]


def test_severe_outcomes_are_shares_only(whole, tmp_path):
    out = tmp_path / "r.html"
    write_report(files(whole), out, ReportSettings(threshold="100", aggregate="ALL", language="en"))
    row = re.search(r'<th scope="row">deaths</th>(.*?)</tr>', out.read_text(encoding="utf-8"))
    assert row is not None
    assert re.findall(r"<td[^>]*>(.*?)</td>", row[1]) == ["", "", "", "10% <small>(8.0%–12%)</small>"]


def test_what_is_absent_is_said_to_be_absent(tmp_path):
    folder = study_folder(tmp_path / "study", whole=False)
    found = write_report(ReportFiles.of_study(folder), folder / "report.html", ReportSettings(aggregate="ALL", language="en"))
    assert set(found.missing) == {"scores", "rt", "importation", "scenario", "map"}
    assert [len(found.sentences["en"])] == [3]
    assert "not examined" in found.sentences["en"][1]
    text = (folder / "report.html").read_text(encoding="utf-8")
    checked(text)
    assert "No track record" in text
    assert "more cases than in 75%" in text


def test_too_few_cases_for_any_rt_do_not_stop_the_page(whole, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(whole, folder)
    rt = folder / "situation" / "rt.csv"
    rt.write_text(rt.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    settings = ReportSettings(aggregate="ALL", language="en", notes=((Text(en="Members"), Text(en="Missing: <od>")),))
    write_report(ReportFiles.of_study(folder), folder / "report.html", settings)
    assert "Missing: &lt;od&gt;" in (folder / "report.html").read_text(encoding="utf-8")


def test_a_place_without_population_has_no_rate_and_does_not_stop_the_page(tmp_path):
    folder = study_folder(tmp_path / "study", whole=False)
    path = folder / "data" / "locations.csv"
    path.write_text(re.sub(r"100000(\.0)?\b", "", path.read_text(encoding="utf-8")), encoding="utf-8")
    study = read_study(ReportFiles.of_study(folder), SETTINGS)
    assert np.isnan(next(p for p in study.places if p.code == "13").population)
    assert study.outlooks[-1].place.code == "13"
    assert study.outlooks[-1].probability is None
    write_report(ReportFiles.of_study(folder), folder / "report.html", SETTINGS)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        (ReportSettings(horizon=5), UnknownValueError, "--horizon 5: .* has 1, 2"),
        (ReportSettings(model="other"), UnknownValueError, "no model 'other'; it has: oneteam-ensemble"),
        (ReportSettings(reference_date=LAST + WEEK), NothingFoundError, "no forecast .* 2024-03-30; it has 2024-03-02 to 2024-03-23"),
        (ReportSettings(aggregate="XX"), UnknownValueError, "--aggregate XX"),
        (ReportSettings(language="fr"), UnknownValueError, "--lang fr"),
        (ReportSettings(threshold="many"), UnknownValueError, "--threshold many"),
    ],
)
def test_wrong_settings_are_named(whole, tmp_path, settings, error, words):
    with pytest.raises(error, match=words):
        write_report(files(whole), tmp_path / "r.html", settings)
    assert not (tmp_path / "r.html").exists()


def test_wrong_files_are_named(whole, tmp_path):
    with pytest.raises(FileUnreadableError, match=r"time-series\.parquet: not found"):
        ReportFiles.of_study(tmp_path)
    folder = tmp_path / "study"
    shutil.copytree(whole, folder)
    (folder / "scores" / "scores.json").write_text("{", encoding="utf-8")
    with pytest.raises(FileUnreadableError, match=r"scores\.json"):
        write_report(files(folder), tmp_path / "r.html", SETTINGS)


def test_the_command_prints_the_sentences(whole, tmp_path):
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    words = ["report", str(whole), "--out", str(tmp_path / "r.html"), "--threshold", "100", "--aggregate", "ALL", "--title", "Flu|독감"]
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    told = json.loads(done.stdout)
    assert done.exit_code == 0
    assert set(told["sentences"]) == {"en", "ko"}
    assert told["missing"] == ["map"]
    assert told["bytes"] == (tmp_path / "r.html").stat().st_size
    assert "<title>Flu</title>" in (tmp_path / "r.html").read_text(encoding="utf-8")
    plain = CliRunner().invoke(app, words, catch_exceptions=False)
    assert plain.output.count("•") == 3


def test_the_same_study_gives_the_same_bytes(whole, tmp_path):
    for name in ("a", "b"):
        write_report(files(whole), tmp_path / name, SETTINGS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert COUNTS["ALL"][0] == 450.0


@needs_flusight
def test_it_reports_other_countries_with_the_data_of_the_day(tmp_path):
    pieces = ReportFiles(FLUSIGHT / "time-series.parquet", FLUSIGHT / "locations.csv", FLUSIGHT / "model-output")
    day = date(2024, 1, 6)
    settings = ReportSettings(day, "FluSight-ensemble", horizon=1, threshold="5", aggregate="US", language="en")
    study = read_study(pieces, settings)
    assert (study.label, study.known.last_week) == ("vintage", date(2023, 12, 30))
    assert study.counted.en == "admissions"
    assert len(study.outlooks) == 52
    found = write_report(pieces, tmp_path / "flu.html", settings)
    assert "5 or more admissions per 100,000 people" in found.sentences["en"][0]
    text = (tmp_path / "flu.html").read_text(encoding="utf-8")
    checked(text)
    assert "revised data" not in text.split("</style>")[1]
    assert "data to 30 December 2023" in text


def test_reliability_is_shown_for_the_same_threshold_only(whole, tmp_path):
    shown = {}
    for threshold in ("100", "50"):
        write_report(files(whole), tmp_path / "r.html", replace(SETTINGS, threshold=threshold))
        shown[threshold] = "Did chances come true" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert shown == {"100": True, "50": False}


def test_chances_that_came_true_too_seldom_are_pointed_out(whole):
    study = read_study(files(whole), SETTINGS)
    bins = [{"forecast": f, "observed": o, "tasks": 40} for f, o in ((0.1, 0.1), (0.4, 0.0), (0.6, 0.2), (0.95, 0.9))]
    assert study.scores is not None
    models = [{**study.scores["models"][0], "threshold_exceedance": {"reliability": bins}}]
    finding = where_next(replace(study, scores={**study.scores, "models": models}))
    assert "of 80 chances between 20 and 80% (on average 50%), 10% came true" in finding.record.en
    assert finding.warning is not None
    assert "were too high" in finding.warning.en


def test_every_file_that_a_scenarios_world_is_read_from_is_listed_with_its_sum(tmp_path):
    folder = study_folder(tmp_path / "study")
    named = {"zones": "zones.csv", "crosswalk": "cross.csv", "ages": "ages.csv", "mobility": "movement.csv"}
    trips = ("trips-2024-01-01.csv", "trips-2024-02-01.csv")
    for name in (*named.values(), *trips):
        (folder / name).write_text(f"{name}\n", encoding="utf-8")
    document = (folder / "scenario.toml").read_text(encoding="utf-8")
    lines = [f'{key} = "{name}"' for key, name in named.items()] + [f"od_files = {json.dumps(trips)}"]
    document = re.sub(r"\[world\]\n(?:\w+ = .*\n)*", "[world]\n" + "\n".join(lines) + "\n", document)
    (folder / "scenario.toml").write_text(document, encoding="utf-8")
    listed = {source.name: source.sha256 for source in read_study(files(folder), SETTINGS).sources}
    for name in (*named.values(), *trips):
        assert listed[name] == hashlib.sha256(f"{name}\n".encode()).hexdigest()
