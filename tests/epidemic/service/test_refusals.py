"""Input that is wrong in ways people make mistakes: refused by name, or repaired and told; never a wrong number in silence."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from oneteam.cli.epidemic_forecasting import register
from oneteam.core.errors import DuplicateCodeError, NothingFoundError, UnknownValueError, WrongTypeError
from oneteam.epidemic.hub.forecasts import QuantileForecasts
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.hub.target_data import parse_target_data
from oneteam.epidemic.scoring.exceedance import thresholds
from oneteam.epidemic.scoring.tasks import align
from oneteam.epidemic.service.convert import ConvertSettings, convert
from oneteam.epidemic.service.files import read_table
from oneteam.epidemic.service.importation import importation
from oneteam.epidemic.service.importation_inputs import ImportationSettings
from oneteam.epidemic.service.inputs import InputFiles, chosen_dates, read_inputs
from oneteam.epidemic.service.rt import RtSettings, situation

FIRST = date(2021, 6, 1)
QUICK = ImportationSettings(draws=100)


def lines(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def cases(path: Path, counts: dict[str, list[str]]) -> Path:
    rows = [f"{FIRST + timedelta(days=day)},{code},{n}" for code, values in counts.items() for day, n in enumerate(values)]
    return lines(path, "date,location,new_cases", rows)


def weekly(path: Path, **more: str) -> Path:
    rows = [
        ",".join([str(date(2021, 1, 2) + timedelta(days=7 * week)), code, str(50 + week), *more.values()])
        for week in range(20)
        for code in "ab"
    ]
    return lines(path, ",".join(["target_end_date", "location", "observation", *more]), rows)


@pytest.fixture
def locations(tmp_path: Path) -> Path:
    return lines(tmp_path / "locations.csv", "location,population", ["a,1000000", "b,2000000"])


class TestCaseFiles:
    def test_an_infinite_count_in_a_wide_table(self, tmp_path):
        rows = [f"{FIRST + timedelta(days=day)},5,{'inf' if day == 3 else 6}" for day in range(14)]
        path = lines(tmp_path / "wide.csv", "date,11,21", rows)
        with pytest.raises(WrongTypeError, match=r"data row 4: the count is infinite"):
            convert(path, tmp_path / "out")

    def test_a_mistyped_year_is_named_before_memory_is_taken(self, tmp_path):
        path = lines(tmp_path / "c.csv", "date,location,new_cases", [f"2021-06-01,{i},1" for i in range(2000)] + ["9999-06-01,0,1"])
        with pytest.raises(UnknownValueError, match="mistyped"):
            convert(path, tmp_path / "out")

    def test_a_negative_population_is_refused(self, tmp_path):
        path = cases(tmp_path / "c.csv", {"11": ["5"] * 21})
        people = lines(tmp_path / "p.csv", "location,population", ["11,-5"])
        with pytest.raises(UnknownValueError, match=r"data row 1: population of 11 is -5"):
            convert(path, tmp_path / "out", ConvertSettings(population=people))

    def test_a_sum_of_places_of_which_one_has_no_population_has_none_and_says_so(self, tmp_path):
        path = cases(tmp_path / "c.csv", {"11": ["5"] * 21, "21": ["5"] * 21})
        people = lines(tmp_path / "p.csv", "location,population", ["11,1000"])
        found = convert(path, tmp_path / "out", ConvertSettings(population=people, aggregate="KR"))
        assert [r.location for r in found.repairs if r.kind == "no_population"] == ["KR", "21"]
        assert read_table(tmp_path / "out" / "locations.csv")["population"].to_pylist() == ["1000", "", ""]


class TestSituation:
    def test_the_rate_of_all_is_unknown_where_inhabitants_of_a_place_are(self, tmp_path):
        path = cases(tmp_path / "c.csv", {"11": ["50"] * 40, "21": ["500"] * 40})
        people = lines(tmp_path / "p.csv", "location,population", ["11,100000"])
        found = situation(path, RtSettings(population=people))
        by_code = {p.location: p for p in found.places}
        assert by_code["ALL"].per_100k is None  # 3,850 cases over the 100,000 of one place would be wrong
        assert by_code["11"].per_100k == pytest.approx(350.0)
        assert by_code["21"].per_100k is None
        assert any("no population of 21" in note and "ALL" in note for note in found.notes)

    def test_nobody_ill_is_a_low_risk_whatever_the_population(self, tmp_path):
        path = cases(tmp_path / "c.csv", {"11": ["0"] * 40, "21": ["9"] * 40})
        by_code = {p.location: p for p in situation(path).places}
        assert (by_code["11"].per_100k, by_code["11"].risk) == (0.0, 1)

    def test_days_without_a_number_are_told_and_no_rate_is_made_of_them(self, tmp_path):
        path = cases(tmp_path / "c.csv", {"11": [*["50"] * 38, "", "50"], "21": [*["9"] * 10, "", *["9"] * 29]})
        people = lines(tmp_path / "p.csv", "location,population", ["11,100000", "21,100000"])
        found = situation(path, RtSettings(population=people))
        by_code = {p.location: p for p in found.places}
        assert by_code["11"].per_100k is None
        assert by_code["21"].per_100k == pytest.approx(63.0)
        assert any(note.startswith("2 days without a number in 2 places (11, 21)") for note in found.notes)
        assert any("last 7 days of 11 " in note for note in found.notes)

    @pytest.mark.parametrize("threshold", [-5.0, 0.0, float("nan")])
    def test_a_threshold_is_above_zero(self, tmp_path, threshold):
        with pytest.raises(UnknownValueError, match="--threshold"):
            situation(cases(tmp_path / "c.csv", {"11": ["5"] * 40}), RtSettings(threshold_per_100k=threshold))

    def test_shares_by_age_are_not_negative(self, tmp_path):
        ages = lines(tmp_path / "a.csv", "age,share", ["0-9,-0.5", "80+,0.7"])
        with pytest.raises(UnknownValueError, match=r"share of 0-9 is -0\.5"):
            situation(cases(tmp_path / "c.csv", {"11": ["5"] * 40}), RtSettings(disease="covid19-wild", ages=ages))

    def test_an_interval_of_severity_holds_its_estimate(self, tmp_path):
        ages = lines(tmp_path / "a.csv", "age,share", ["80+,1"])
        severity = lines(tmp_path / "s.csv", "from_age,admitted,low,high", ["0,0.1,0.05,0.2", "50,0.4,0.5,0.6"])
        with pytest.raises(UnknownValueError, match="data row 2: must be 0 <= low <= admitted"):
            situation(cases(tmp_path / "c.csv", {"11": ["5"] * 40}), RtSettings(ages=ages, severity=severity))


class TestTargetData:
    @pytest.mark.parametrize("column", ["as_of", "reference_date"])
    def test_an_empty_vintage_is_named(self, tmp_path, column):
        with pytest.raises(WrongTypeError, match=f"data row 1: {column} is empty"):
            parse_target_data(read_table(weekly(tmp_path / "t.csv", **{column: ""})), "t.csv")

    def test_a_reference_date_is_a_week_end(self, tmp_path):
        with pytest.raises(UnknownValueError, match="reference_date 2021-10-01 is a FRI, weeks end on SAT"):
            parse_target_data(read_table(weekly(tmp_path / "t.csv", reference_date="2021-10-01")), "t.csv")

    def test_a_snapshot_that_knows_the_future_is_refused(self, tmp_path):
        with pytest.raises(UnknownValueError, match="after it"):
            parse_target_data(read_table(weekly(tmp_path / "t.csv", reference_date="2021-02-06")), "t.csv")

    def test_a_negative_lag_would_look_ahead(self, tmp_path):
        data = parse_target_data(read_table(weekly(tmp_path / "t.csv")), "t.csv")
        with pytest.raises(UnknownValueError, match="must be 0 or more"):
            data.snapshot(date(2021, 2, 6), lag_weeks=-1)

    def test_dates_far_after_the_data_and_data_of_one_week(self, tmp_path):
        data = parse_target_data(read_table(weekly(tmp_path / "t.csv")), "t.csv")
        with pytest.raises(NothingFoundError, match="no data for reference date 2030-01-05: its newest week ends 2021-05-15"):
            chosen_dates(data, "2030-01-05")
        one = lines(tmp_path / "one.csv", "target_end_date,location,observation", ["2021-01-02,a,5"])
        with pytest.raises(NothingFoundError, match="one week of data"):
            chosen_dates(parse_target_data(read_table(one), "one.csv"), "all")


class TestMovement:
    def read(self, folder: Path, locations: Path, rows: list[str]):
        movement = lines(folder / "m.csv", "origin,destination,trips", rows)
        return read_inputs(InputFiles(weekly(folder / "t.csv"), locations, mobility=movement))

    def test_unknown_places_and_empty_numbers_are_told(self, tmp_path, locations):
        notes = self.read(tmp_path, locations, ["a,x,5", "x,a,"]).notes
        assert [note.split(": ", 1)[1] for note in notes] == [
            "1 of 2 places have no target data and are not used: x",
            "1 of 2 locations have no movement: b",
            "1 of 2 numbers of trips are empty and count as unknown",
        ]

    def test_no_place_in_common_and_infinite_trips_are_refused(self, tmp_path, locations):
        with pytest.raises(UnknownValueError, match=r"none of its places \(x, y\)"):
            self.read(tmp_path, locations, ["x,y,5"])
        with pytest.raises(UnknownValueError, match="data row 2: trips is infinite"):
            self.read(tmp_path, locations, ["a,b,5", "b,a,inf"])

    def test_a_break_that_is_no_date_is_called_a_break(self, tmp_path, locations):
        with pytest.raises(UnknownValueError, match="--break 'foo'"):
            read_inputs(InputFiles(weekly(tmp_path / "t.csv"), locations), breaks=["foo"])


@pytest.mark.parametrize(
    ("option", "value"), [("--lag-weeks", "-1"), ("--samples", "-2"), ("--seed", "-1"), ("--processes", "0"), ("--learn-every", "0")]
)
def test_options_out_of_range_are_refused_by_name(tmp_path, locations, option, value):
    app = typer.Typer()
    register(app)
    words = ["backtest", "-t", weekly(tmp_path / "t.csv"), "-l", locations, "--out", tmp_path / "out", option, value]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 2
    assert not (tmp_path / "out").exists()


class TestScores:
    def forecasts(self, values: list[float]) -> QuantileForecasts:
        text = np.array(["a"], object)
        return QuantileForecasts(np.array(["2021-02-06"], "datetime64[D]"), np.array([0]), text, text, np.array([values]))

    def test_quantiles_that_descend_are_told(self, tmp_path):
        truth = parse_target_data(read_table(weekly(tmp_path / "t.csv")), "t.csv").final()
        up = [float(i) for i in range(len(LEVELS))]
        found = align({"up": self.forecasts(up), "down": self.forecasts(up[::-1])}, truth, None)
        assert found.notes == ("down: 1 of 1 tasks have quantiles that descend: their coverage and PIT mean little",)

    @pytest.mark.parametrize("rule", ["nan", "inf", "-3", "0"])
    def test_a_threshold_is_a_number_above_zero(self, tmp_path, rule):
        truth = parse_target_data(read_table(weekly(tmp_path / "t.csv")), "t.csv").final()
        with pytest.raises(UnknownValueError, match="--threshold"):
            thresholds(rule, truth, np.datetime64("2021-03-06"), None)


class TestImportation:
    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[str, Path | None]:
        days = [date(2020, 2, 1) + timedelta(days=i) for i in range(42)]
        both = [(day, code) for day in days for code in ("CN", "JP")]
        return {
            "arrivals": lines(tmp_path / "arrivals.csv", "day,country,value", [f"{d},{c},100" for d, c in both]),
            "flights": None,
            "cases": lines(tmp_path / "cases.csv", "day,country,new_cases", [f"{d},{c},700" for d, c in both]),
            "prevalence": None,
            "origins": lines(tmp_path / "origins.csv", "country,population", ["CN,1000000", "JP,2000000"]),
            "observed": lines(tmp_path / "observed.csv", "date,imported_cases", [f"{d},2" for d in days]),
        }

    def test_the_files_are_good_as_they_are(self, files):
        assert importation(**files, settings=QUICK).identifiable

    @pytest.mark.parametrize("which", ["arrivals", "observed"])
    def test_an_empty_day_and_an_infinite_number_are_named(self, files, which):
        good = files[which].read_text(encoding="utf-8").splitlines()
        cells = good[3].split(",")
        files[which].write_text("\n".join([*good[:3], ",".join(["", *cells[1:]]), *good[4:]]), encoding="utf-8")
        with pytest.raises(WrongTypeError, match="data row 3: the day is empty"):
            importation(**files, settings=QUICK)
        files[which].write_text("\n".join([*good[:3], ",".join([*cells[:-1], "inf"]), *good[4:]]), encoding="utf-8")
        with pytest.raises(WrongTypeError, match="data row 3: the number is infinite"):
            importation(**files, settings=QUICK)

    def test_arrivals_of_nobody_rank_nothing(self, files):
        zero = files["arrivals"].read_text(encoding="utf-8").replace(",100", ",0")
        files["arrivals"].write_text(zero, encoding="utf-8")
        with pytest.raises(NothingFoundError, match="nobody arrives from abroad"):
            importation(**files, settings=QUICK)

    def test_days_without_arrivals_and_empty_counts_are_told(self, files):
        rows = files["arrivals"].read_text(encoding="utf-8").splitlines()
        rows = [*rows[:21], *rows[27:]]  # three days of two countries
        rows[1] = rows[1].replace(",100", ",")
        files["arrivals"].write_text("\n".join(rows), encoding="utf-8")
        notes = importation(**files, settings=QUICK).notes
        assert any(note.startswith("3 days between") for note in notes)
        assert any("1 of 78 counts of arrivals are empty" in note for note in notes)

    def test_prevalence_twice_is_not_added_up(self, files, tmp_path):
        files["cases"] = None
        files["prevalence"] = lines(tmp_path / "p.csv", "day,country,prevalence", ["2020-02-01,CN,0.1", "2020-02-01,CN,0.1"])
        with pytest.raises(DuplicateCodeError, match="data rows 1 and 2: two shares of CN on 2020-02-01"):
            importation(**files, settings=QUICK)

    def test_ascertainment_of_an_origin_does_not_divide_its_prevalence(self, files, tmp_path):
        files["cases"] = None
        rows = [f"{date(2020, 2, 1) + timedelta(days=i)},{c},0.001" for i in range(42) for c in ("CN", "JP")]
        files["prevalence"] = lines(tmp_path / "p.csv", "day,country,prevalence", rows)
        plain = importation(**files, settings=QUICK)
        text = ["CN,1000000,0.8,0.9", "JP,2000000,0.05,0.06"]
        files["origins"] = lines(tmp_path / "o.csv", "country,population,ascertainment_low,ascertainment_high", text)
        told = importation(**files, settings=QUICK)
        assert {o.origin: o.mean for o in told.origins} == {o.origin: o.mean for o in plain.origins}
        assert any("--prevalence" in note for note in told.notes)

    @pytest.mark.parametrize(
        ("rows", "error", "words"),
        [
            (["CN,1000000", "CN,3"], DuplicateCodeError, "'CN' stands twice"),
            (["CN,-1", "JP,2000000"], UnknownValueError, "population of CN is -1"),
            (["CN,0", "JP,2000000"], UnknownValueError, "population of CN is 0"),
        ],
    )
    def test_origins_stand_once_with_inhabitants(self, files, tmp_path, rows, error, words):
        files["origins"] = lines(tmp_path / "o.csv", "country,population", rows)
        with pytest.raises(error, match=words):
            importation(**files, settings=QUICK)

    def test_an_origin_without_population_counts_by_its_cases_in_national_totals(self, files, tmp_path):
        """The force from abroad is a sum of infections: whether a population is known must not change a country's part in it."""
        files["arrivals"] = None
        rows = [
            f"{date(2020, 2, 1) + timedelta(days=i)},{c},{n}" for i in range(42) for c, n in (("CN", 100 + 40 * i), ("JP", 900 - 20 * i))
        ]
        files["cases"] = lines(tmp_path / "c.csv", "day,country,new_cases", rows)
        both = importation(**files, settings=QUICK).totals.quantiles
        files["origins"] = lines(tmp_path / "o.csv", "country,population", ["JP,2000000"])
        one = importation(**files, settings=QUICK).totals.quantiles
        np.testing.assert_allclose(one, both)
