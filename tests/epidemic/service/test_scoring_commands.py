"""convert, score, rt and importation, from files to files."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest
import typer
from scipy.stats import spearmanr
from typer.testing import CliRunner

from oneteam.cli.epidemic_scoring import register
from oneteam.core.cap import NAMESPACE, cap_xml
from oneteam.core.errors import FileUnreadableError, MissingTaskError, NothingFoundError, OneteamError, UnknownValueError
from oneteam.epidemic.hub.forecasts import forecast_table
from oneteam.epidemic.service.convert import ConvertSettings, convert
from oneteam.epidemic.service.files import (
    forecast_path,
    read_forecasts,
    read_locations,
    read_table,
    read_target_data,
    write_forecasts,
    write_table,
)
from oneteam.epidemic.service.importation import NOT_IDENTIFIABLE, importation, parse_measures, parse_range, write_importation
from oneteam.epidemic.service.importation_inputs import ImportationSettings
from oneteam.epidemic.service.rt import RtSettings, alerts_of, situation, write_situation
from oneteam.epidemic.service.score import ScoreSettings, score, write_report
from oneteam.synth.country import make_country
from oneteam.synth.settings import CountrySettings
from tests.epidemic.flusight import FIRST, FLUSIGHT, KOREA, forecasts, needs_flusight, needs_korea, target_rows

app = typer.Typer()
register(app)
WEEK = timedelta(days=7)
TASKS = [(FIRST + week * WEEK, h, code) for week in range(4) for h in (0, 1) for code in ("01", "02")]


def run(*words: object) -> object:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout) if "--json" in words else result.output


def csv(path: Path, rows: list[dict[str, object]]) -> Path:
    pcsv.write_csv(pa.Table.from_pylist(rows), path)
    return path


def daily(path: Path, counts: dict[str, list[float]], first: date = date(2020, 3, 1)) -> Path:
    return csv(
        path,
        [
            {"date": str(first + timedelta(days=day)), "location": code, "location_name": f"Place {code}", "new_cases": value}
            for code, values in counts.items()
            for day, value in enumerate(values)
        ],
    )


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    counts = {"01": [10.0, 20, 40, 80, 60], "02": [5.0, 5, 5, 5, 5]}
    write_table(tmp_path / "truth.csv", target_rows(counts))
    csv(tmp_path / "locations.csv", [{"location": "01", "population": 1e5}, {"location": "02", "population": 1e6}])
    actual = [counts[code][(day - FIRST).days // 7 + h] for day, h, code in TASKS]
    for model, shift in (("good", 1.0), ("base", 15.0)):
        made = forecasts(TASKS, [a + shift for a in actual])
        for day in {day for day, _, _ in TASKS}:
            write_forecasts(tmp_path / model, model, day, made.take(made.reference_date == np.datetime64(day)))
    return tmp_path


def test_written_forecasts_read_back_by_model(hub):
    path = forecast_path(hub / "good", "good", FIRST)
    assert path.name == "2024-01-06-good.parquet"
    found = read_forecasts(hub / "good")
    assert list(found) == ["good"]
    assert found["good"].count == len(TASKS)
    one = read_forecasts(path)["good"]
    assert one.count == 4
    write_table(hub / "flat" / "other.csv", forecast_table(one))
    assert set(read_forecasts(hub / "flat")) == {"other"}


def test_writing_refuses_other_dates_and_reading_names_what_is_wrong(hub, tmp_path):
    made = read_forecasts(hub / "good")["good"]
    with pytest.raises(UnknownValueError, match="hold tasks of"):
        write_forecasts(tmp_path, "m", FIRST, made)
    with pytest.raises(FileUnreadableError, match="no such file"):
        read_forecasts(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingFoundError, match="no forecast file"):
        read_forecasts(tmp_path / "empty")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(FileUnreadableError, match="not a whole Parquet file"):
        read_forecasts(tmp_path / "broken.parquet")
    with pytest.raises(FileUnreadableError, match="must be a"):
        read_table(tmp_path / "x.xls")
    with pytest.raises(UnknownValueError, match="cannot write"):
        write_table(tmp_path / "x.xls", pa.table({"a": [1]}))


def test_csv_codes_keep_their_zeros(tmp_path):
    write_table(tmp_path / "t.csv", target_rows({"01": [1, 2], "1": [3, 4]}))
    assert read_target_data(tmp_path / "t.csv").location == ("01", "1")


def test_score_writes_tables_pictures_and_json(hub):
    found = run(
        "score", "--forecasts", hub / "good", "--truth", hub / "truth.csv", "--baseline", hub / "base",
        "--locations", hub / "locations.csv", "--out", hub / "out", "--json",
    )  # fmt: skip
    good, base = found["models"]
    assert good["model"] == "good"
    assert good["relative_wis"] < 1 == base["relative_wis"]
    assert good["coverage_95"] == 1.0
    assert {"threshold_exceedance", "alerts", "rate_change"} <= set(good)
    assert found["rate_change_limits"] == "2023-24"
    assert {p.name for p in (hub / "out").iterdir()} == {
        "scores.json", "summary.csv", "by_horizon.csv", "by_location.csv", "by_week.csv",
        "by_horizon_and_week.png", "calibration.png", "by_location.png", "reliability.png", "reliability-rate-change.png",
    }  # fmt: skip
    assert json.loads((hub / "out" / "scores.json").read_text()) == found
    assert read_table(hub / "out" / "by_week.csv").num_rows == 4
    text = run("score", "--forecasts", hub / "good", "--truth", hub / "truth.csv", "--by", "location")
    assert "By location" in text
    report = score(hub / "good", hub / "truth.csv", hub / "base")
    assert write_report(report, hub / "one.csv") == [hub / "one.csv"]


def test_score_names_what_is_missing(hub):
    path = forecast_path(hub / "good", "good", FIRST + 2 * WEEK)
    table = pq.read_table(path)
    pq.write_table(table.filter(pa.compute.not_equal(table["location"], "02")), path)
    with pytest.raises(MissingTaskError, match=r"2 of 16 tasks .*2024-01-20.*horizon 0, location 02"):
        score(hub / "good", hub / "truth.csv", hub / "base")
    report = score(hub / "good", hub / "truth.csv", hub / "base", settings=ScoreSettings(allow_missing=True))
    assert report.rows[0].tasks == 14
    with pytest.raises(NothingFoundError, match="no quantile forecast of 'x'"):
        score(hub / "good", hub / "truth.csv", hub / "base", settings=ScoreSettings(target="x"))
    with pytest.raises(UnknownValueError, match="--rate-change 1999"):
        score(hub / "good", hub / "truth.csv", hub / "base", settings=ScoreSettings(rate_change_limits="1999"))


@needs_flusight
def test_the_hub_ensemble_scores_as_published():
    output = FLUSIGHT / "model-output"
    report = score(output, FLUSIGHT / "truth.parquet", output / "FluSight-baseline.parquet", FLUSIGHT / "locations.csv")
    ensemble = next(row for row in report.rows if row.model == "FluSight-ensemble")
    assert ensemble.tasks == 6_354
    assert ensemble.relative_wis == pytest.approx(0.731, abs=0.001)
    assert ensemble.coverage_95 == pytest.approx(0.92, abs=0.005)


def test_convert_makes_files_that_read_back(tmp_path):
    source = daily(tmp_path / "cases.csv", {"11": [1.0] * 20, "21": [0.0] * 20, "quarantine": [2.0] * 20})
    population = csv(tmp_path / "people.csv", [{"sido": "11", "population": 60.0}, {"sido": "11", "population": 40.0}])
    found = run("convert", source, "--out", tmp_path / "o", "--from", "daily-csv", "--week-end", "sat", "--population", population,
                "--population-code", "sido", "--aggregate", "KR", "--json")  # fmt: skip
    assert (found["weeks"], found["locations"], found["label"]) == (2, 3, "revised data")
    assert {r["kind"] for r in found["repairs"]} == {"border", "partial_week", "all_zero", "no_population"}
    data = read_target_data(tmp_path / "o" / "time-series.parquet")
    assert (data.label, data.week_end, data.location) == ("revised data", "SAT", ("11", "21", "KR"))
    assert data.final().values.tolist() == [[7, 0, 7], [7, 0, 7]]
    places = read_locations(tmp_path / "o" / "locations.csv")
    assert places.population_of("11") == 100.0
    assert places.names[0] == "Place 11"
    assert json.loads((tmp_path / "o" / "report.json").read_text()) == found
    assert "Repaired or left out" in run("convert", source, "--out", tmp_path / "p")


def test_convert_refuses_unknown_places_and_settings(tmp_path):
    source = daily(tmp_path / "cases.csv", {"11": [1.0] * 20, "99": [1.0] * 20})
    places = csv(tmp_path / "locations.csv", [{"location": "11", "population": 5.0}])
    with pytest.raises(UnknownValueError, match="not in the locations file: 99"):
        convert(source, tmp_path / "o", ConvertSettings(locations=places))
    with pytest.raises(UnknownValueError, match="--from weekly"):
        convert(source, tmp_path / "o", ConvertSettings(source="weekly"))
    with pytest.raises(UnknownValueError, match="none of its codes"):
        convert(source, tmp_path / "o", ConvertSettings(population=csv(tmp_path / "p.csv", [{"code": "x", "population": 1.0}])))
    with pytest.raises(UnknownValueError, match="already has that location"):
        convert(source, tmp_path / "o", ConvertSettings(aggregate="11"))
    assert not (tmp_path / "o").exists()


@needs_korea
def test_the_korean_file_converts_whole(tmp_path):
    settings = ConvertSettings(population=KOREA / "zones250.csv", population_code="sido")
    found = convert(KOREA / "cases_daily.csv", tmp_path, settings)
    data = read_target_data(tmp_path / "time-series.parquet")
    assert found.locations == 17
    assert data.week_end == "SAT"
    assert np.isfinite(data.final().values).all()
    assert np.isfinite(read_locations(tmp_path / "locations.csv").population).all()
    assert [r.kind for r in found.repairs] == ["border", "partial_week", "partial_week"]


ORDER = ["identifier", "sender", "sent", "status", "msgType", "scope", "info"]
INFO = ["language", "category", "event", "urgency", "severity", "certainty", "effective", "expires", "senderName", "headline",
        "description", "area"]  # fmt: skip


def check_cap(xml: bytes) -> ET.Element:
    """The rules of the CAP 1.2 schema that matter here: sequence, required elements, enumerations, times."""
    root = ET.fromstring(xml)
    name = lambda element: element.tag.removeprefix(f"{{{NAMESPACE}}}")  # noqa: E731
    assert root.tag == f"{{{NAMESPACE}}}alert"
    tags = [name(e) for e in root]
    assert [t for i, t in enumerate(tags) if t not in tags[:i]] == ORDER
    fields = {name(e): e.text for e in root}
    assert not set(fields["identifier"]) & set(" ,<&")
    assert fields["status"] in {"Actual", "Exercise", "System", "Test", "Draft"}
    infos = root.findall(f"{{{NAMESPACE}}}info")
    for info in infos:
        inner = [name(e) for e in info]
        assert [t for i, t in enumerate(inner) if t not in inner[:i]] == INFO
        found = {name(e): e.text for e in info}
        assert found["urgency"] in {"Immediate", "Expected", "Future", "Past", "Unknown"}
        assert found["severity"] in {"Extreme", "Severe", "Moderate", "Minor", "Unknown"}
        assert found["certainty"] in {"Observed", "Likely", "Possible", "Unlikely", "Unknown"}
        for moment in (fields["sent"], found["effective"], found["expires"]):
            assert datetime.fromisoformat(moment).tzinfo
            assert moment[19:20] in "+-"
            assert len(moment) == 25
    return root


def test_rt_writes_a_situation_and_valid_alerts(tmp_path):
    rise = [round(20 * 1.12**day) for day in range(40)]
    source = daily(tmp_path / "cases.csv", {"11": rise, "21": [3.0] * 40, "quarantine": [1.0] * 40})
    people = csv(tmp_path / "people.csv", [{"code": "11", "population": 1e6}, {"code": "21", "population": 1e6}])
    ages = csv(tmp_path / "ages.csv", [{"age": "0-59", "share": 0.8}, {"age": "60+", "share": 0.2}])
    found = run("rt", source, "--out", tmp_path / "o", "--disease", "covid19-wild", "--population", people, "--ages", ages, "--json")
    whole, first, second = found["places"]
    assert (whole["location"], first["location"]) == ("ALL", "11")
    assert first["rt"] > 1.3
    assert first["doubling_d"] == pytest.approx(np.log(2) / np.log(1.12), rel=0.05)
    assert first["risk"] == 4
    assert second["risk"] <= 2
    assert first["burden"]["assumed"] is True
    assert second["rt_low"] < 1 < second["rt_high"]
    assert any("found at the border" in note for note in found["notes"])
    names = {p.name for p in (tmp_path / "o").iterdir()}
    assert names == {"situation.json", "situation.csv", "rt.csv", "alerts", "rt.png"}
    (alert,) = (tmp_path / "o" / "alerts").iterdir()
    root = check_cap(alert.read_bytes())
    assert root.findtext(f".//{{{NAMESPACE}}}geocode/{{{NAMESPACE}}}value") == "11"
    assert "Situation on" in run("rt", source, "--no-plots")


def test_alerts_escape_and_refuse(tmp_path):
    source = daily(tmp_path / "cases.csv", {"A & <B>": [50.0 * 1.1**d for d in range(40)], "C": [0.0] * 40})
    settings = RtSettings(sender="agency@example.org", sent=datetime(2020, 4, 10, 9, tzinfo=UTC), status="Test", threshold_per_100k=1.0)
    found = situation(source, settings)
    (alert,) = alerts_of(found)
    root = check_cap(cap_xml(alert))
    assert root.findtext(f".//{{{NAMESPACE}}}areaDesc") == "Place A & <B>"
    numbers = [re.findall(r"\d[\d.,]*\d|\d", text) for text in (alert.description.en, alert.description.ko)]
    assert sorted(numbers[0]) == sorted(numbers[1]), "both languages tell the same numbers"
    assert " to " not in alert.description.ko
    assert root.findtext(f"{{{NAMESPACE}}}sent") == "2020-04-10T09:00:00-00:00"
    with pytest.raises(UnknownValueError, match="must not be empty nor hold spaces"):
        cap_xml(alert.model_copy(update={"sender": "two words"}))
    with pytest.raises(UnknownValueError, match="names no area"):
        cap_xml(alert.model_copy(update={"areas": ()}))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (RtSettings(disease="plague"), "--disease plague"),
        (RtSettings(status="Loud"), "--status Loud"),
        (RtSettings(serial_mean_d=3.0), "belong together"),
        (RtSettings(gaps="maybe"), "--gaps maybe"),
        (RtSettings(until=date(2019, 1, 1)), "no day up to"),
        (RtSettings(until=date(2020, 3, 5)), "needs at least 14"),
    ],
)
def test_rt_refuses(settings, says, tmp_path):
    with pytest.raises(OneteamError, match=says):
        situation(daily(tmp_path / "cases.csv", {"11": [5.0] * 40, "21": [1.0] * 40}), settings)


def test_days_without_numbers_leave_a_place_without_rt(tmp_path):
    counts = {"11": [30.0] * 40, "21": [30.0] * 40}
    source = daily(tmp_path / "cases.csv", counts)
    text = source.read_text().replace('"2020-04-08","21","Place 21",30', '"2020-04-08","21","Place 21",NaN')
    source.write_text(text)
    found = situation(source, RtSettings())
    places = {p.location: p for p in found.places}
    assert places["21"].rt is None
    assert places["11"].rt == pytest.approx(1.0, abs=0.05)
    assert any("without a number" in note for note in found.notes)
    assert write_situation(found, tmp_path / "o", plots=False)


def outbreak_files(folder: Path) -> dict[str, Path]:
    days = [date(2020, 2, 1) + timedelta(days=d) for d in range(70)]
    origins = {"CN": (3.0, 200.0), "IT": (8.0, 30.0), "JP": (1.0, 400.0)}
    cases = [
        {"day": str(d), "country": c, "new_cases": round(level * 1.05**i)} for c, (level, _) in origins.items() for i, d in enumerate(days)
    ]
    came = [{"day": str(d), "country": c, "value": flow} for c, (_, flow) in origins.items() for d in days]
    found = [{"date": str(d), "imported_cases": round(0.1 * 1.05**i)} for i, d in enumerate(days)]
    people = [{"country": c, "population": 1e6} for c in origins]
    return {
        "cases": csv(folder / "world.csv", cases),
        "arrivals": csv(folder / "arrivals.csv", came),
        "observed": csv(folder / "imported.csv", found),
        "origins": csv(folder / "origins.csv", people),
    }


def test_importation_ranks_origins_and_judges_measures(tmp_path):
    files = outbreak_files(tmp_path)
    found = run(
        "importation", "--cases", files["cases"], "--arrivals", files["arrivals"], "--origins", files["origins"],
        "--observed", files["observed"], "--measure", "CN=0.5", "--draws", 200, "--out", tmp_path / "o", "--json",
    )  # fmt: skip
    assert found["identifiable"]
    assert [o["origin"] for o in found["origins"]] == ["CN", "JP", "IT"]  # by cases per inhabitant times arrivals: 600, 400, 240
    assert sum(o["share"] for o in found["origins"]) == pytest.approx(1.0)
    (effect,) = found["measures"]
    assert effect["averted"] == pytest.approx(found["origins"][0]["mean"] / 2)
    total = sum(w["observed"] for w in found["weeks"])
    assert sum(o["mean"] for o in found["origins"]) == pytest.approx(total, rel=0.35)
    assert found["next_week"]["median"] > 0
    names = {p.name for p in (tmp_path / "o").iterdir()}
    assert names == {"importation.json", "totals.csv", "origins.csv", "origin_weeks.parquet", "importation.png"}
    assert pq.read_table(tmp_path / "o" / "origin_weeks.parquet").num_rows == 30


def test_without_arrivals_the_origin_is_not_identifiable(tmp_path):
    files = outbreak_files(tmp_path)
    found = importation(None, None, files["cases"], None, None, files["observed"])
    assert not found.identifiable
    assert found.origins == ()
    assert found.as_dict()["origins"] == NOT_IDENTIFIABLE
    assert NOT_IDENTIFIABLE in run("importation", "--cases", files["cases"], "--observed", files["observed"], "--no-plots")
    assert {p.name for p in write_importation(found, tmp_path / "o")} == {"importation.json", "totals.csv", "importation.png"}
    with pytest.raises(UnknownValueError, match="no measure on one can be judged"):
        importation(None, None, files["cases"], None, None, None, ImportationSettings(measures=(("CN", 0.5),)))


def test_a_release_of_a_period_is_spread_and_its_noise_widens(tmp_path):
    files = outbreak_files(tmp_path)
    rows = {"country": ["CN", "IT", "JP", "ZZ"], "value": [14_000.0, 2_100.0, None, 70.0], "std": [10.0, 2_100.0, None, 5.0]}
    about = {"first_day": "2020-02-01", "last_day": "2020-04-10"}
    write_table(tmp_path / "release.parquet", pa.table(rows), about)
    found = importation(tmp_path / "release.parquet", None, files["cases"], None, files["origins"], None)
    exact = importation(files["arrivals"], None, files["cases"], None, files["origins"], None)
    by_name, by_exact = ({o.origin: o for o in each.origins} for each in (found, exact))
    assert by_name["CN"].mean == pytest.approx(by_exact["CN"].mean, rel=0.02)
    assert by_name["IT"].high / by_name["IT"].low > 2 * by_exact["IT"].high / by_exact["IT"].low
    assert by_name["JP"].mean == 0
    assert any("hidden" in note for note in found.notes)
    assert any("ZZ" in note for note in found.notes)
    write_table(tmp_path / "undated.parquet", pa.table(rows))
    with pytest.raises(OneteamError, match="which period"):
        importation(tmp_path / "undated.parquet", None, files["cases"], None, files["origins"], None)


def test_bilateral_flights_stand_in_for_arrivals(tmp_path):
    files = outbreak_files(tmp_path)
    days = [date(2020, 2, 1) + timedelta(days=d) for d in range(70)]
    rows = [
        {"day": str(d), "origin": c, "destination": to, "flights": n}
        for d in days
        for c, to, n in (("CN", "KR", 2), ("IT", "KR", 9), ("CN", "US", 50))
    ]
    flights = csv(tmp_path / "flights.csv", rows)
    found = importation(None, flights, files["cases"], None, files["origins"], None)
    assert [o.origin for o in found.origins] == ["IT", "CN"]
    assert any("prior" in note for note in found.notes)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cases": None}, "either --cases or --prevalence"),
        ({"origins": None}, "no population of"),
        ({"settings": ImportationSettings(measures=(("XX", 0.5),))}, "no arrivals from XX"),
    ],
)
def test_importation_refuses(change, says, tmp_path):
    files = outbreak_files(tmp_path) | change
    with pytest.raises(OneteamError, match=says):
        importation(files["arrivals"], None, files["cases"], None, files["origins"], None, change.get("settings"))


def test_measures_and_ranges_are_read_or_refused():
    for text in ("0.5:0.1", "a:b", "0.5", "0:1"):
        with pytest.raises(UnknownValueError, match="LOW:HIGH"):
            parse_range(text)
    for text in ("CN", "CN=2", "=0.5", "CN=x"):
        with pytest.raises(UnknownValueError, match="ORIGIN=EFFECT"):
            parse_measures([text])


def test_origins_of_a_synthetic_country_are_ranked_right(tmp_path):
    make_country(
        CountrySettings(zone_count=6, subscribers=30_000, days=21, seed=5, events_per_day=0.2),
        tmp_path / "c",
    )
    truth = tmp_path / "c" / "truth"
    travel = pq.read_table(truth / "travel.parquet").to_pylist()
    abroad = pq.read_table(truth / "countries.parquet").to_pylist()
    hazard = {(row["country"], row["day"]): row["daily_hazard"] for row in abroad}
    first, last = min(d for _, d in hazard), max(d for _, d in hazard)
    back = [row for row in travel if first <= row["return"] <= last]
    risk: dict[str, float] = {}
    for row in back:
        days = [row["depart"] + timedelta(days=d) for d in range((row["return"] - row["depart"]).days + 1)]
        risk[row["country"]] = risk.get(row["country"], 0.0) + sum(hazard[row["country"], min(max(d, first), last)] for d in days)
    arrivals = csv(tmp_path / "arrivals.csv", [{"day": str(row["return"]), "country": row["country"], "value": 1} for row in back])
    stays = [{"country": row["country"], "value": (row["return"] - row["depart"]).days + 1} for row in back]
    settings = ImportationSettings(draws=300, days_abroad=csv(tmp_path / "days.csv", stays))
    found = importation(arrivals, None, None, truth / "countries.parquet", None, None, settings)
    ours = {o.origin: o.mean for o in found.origins}
    assert spearmanr([ours[c] for c in risk], list(risk.values())).statistic >= 0.9


@needs_korea
def test_korean_totals_beat_the_naive_baseline():
    found = importation(
        None,
        KOREA / "country_flights_daily_2020_01_04.csv",
        KOREA / "world_cumulative_cases_daily.parquet",
        None,
        None,
        KOREA / "imported_cases_daily.csv",
    )
    assert not found.identifiable
    assert found.scores["log_score"] < found.scores["naive_log_score"]
    assert 0.9 <= found.scores["coverage_95"] <= 1.0
