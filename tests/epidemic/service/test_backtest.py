import json
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from threadpoolctl import threadpool_limits
from typer import Typer
from typer.testing import CliRunner

from oneteam.cli.epidemic_forecasting import register
from oneteam.core.errors import NothingFoundError, UnknownValueError
from oneteam.epidemic.service import backtest as service
from oneteam.epidemic.service.backtest import BacktestSettings, backtest
from oneteam.epidemic.service.files import forecast_path
from oneteam.epidemic.service.forecast import forecast_now
from oneteam.epidemic.service.inputs import InputFiles, parse_horizons, read_inputs
from oneteam.epidemic.service.output import read_member
from tests.epidemic.forecasting.synthetic import PLACES, rows_of, seasonal_counts, vintages_of

FIRST = date(2021, 8, 7)
QUICK = ("linear", "baseline")


def write_country(folder, *, counts=None, vintages: int | None = None, history: bool = True) -> InputFiles:
    """Files of a small country; without vintages unless a number of them is given."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = seasonal_counts(140, seed=1) if counts is None else counts
    rows = rows_of(counts, FIRST) if vintages is None else vintages_of(counts, FIRST, len(counts) - 2, vintages)
    pq.write_table(pa.table(rows), folder / "target.parquet")
    places = [f"{c},{n},{p:.0f}" for c, n, p in zip(PLACES.codes, PLACES.names, PLACES.population, strict=True)]
    (folder / "locations.csv").write_text("location,location_name,population\n" + "\n".join(places) + "\n")
    past = seasonal_counts(52 * 8, seed=7)[:, :4] / PLACES.population[:4] * 2e5
    first = FIRST - timedelta(days=7 * len(past))
    lines = [f"{first + timedelta(days=7 * t)},{c},{past[t, i]:.4f}" for t in range(len(past)) for i, c in enumerate("abcd")]
    (folder / "history.csv").write_text("target_end_date,location,rate\n" + "\n".join(lines) + "\n")
    return InputFiles(folder / "target.parquet", folder / "locations.csv", (folder / "history.csv",) if history else ())


def settings(**told) -> BacktestSettings:
    return BacktestSettings(**{"processes": 1, "models": QUICK, "horizons": (0, 1)} | told)


class TestHonesty:
    @pytest.mark.parametrize("vintages", [None, 8])
    def test_later_data_change_nothing(self, tmp_path, vintages):
        """Everything after a date is replaced by nonsense: forecasts of that date and all before it stay the same, bit by bit."""
        counts = seasonal_counts(140, seed=1)
        files = write_country(tmp_path / "a", counts=counts, vintages=vintages)
        dates = read_inputs(files).target.reference_dates[-6:]
        cut = dates[3]
        other = write_country(tmp_path / "b", counts=counts, vintages=vintages)
        table = pq.read_table(other.target_data)
        columns = table.to_pydict()
        for row, end in enumerate(columns["target_end_date"]):
            later = columns["reference_date"][row] > cut if vintages else end > cut - timedelta(days=7)
            if later:
                columns["observation"][row] = 5000.0 + row % 97
        pq.write_table(pa.table(columns, schema=table.schema), other.target_data)
        told = settings(reference_dates=f"{dates[0]}:{dates[-1]}", models=("linear", "filter", "baseline"), learn_every_weeks=2)
        backtest(files, tmp_path / "out_a", told)
        backtest(other, tmp_path / "out_b", told)
        same = changed = 0
        for model in ("oneteam-linear", "oneteam-filter", "oneteam-ensemble"):
            for day in dates:
                a, b = (read_member(tmp_path / out, model, day) for out in ("out_a", "out_b"))
                assert a is not None
                assert b is not None
                if day <= cut:
                    assert np.array_equal(a.values, b.values), (model, day)
                    same += 1
                else:
                    changed += not np.array_equal(a.values, b.values)
        assert same == 12
        assert changed == 6  # the test could have failed: later forecasts do change

    def test_later_history_changes_nothing(self, tmp_path):
        files = write_country(tmp_path / "a")
        more = write_country(tmp_path / "b")
        with more.history[0].open("a") as file:
            file.writelines(f"{FIRST + timedelta(days=7 * t)},a,{99 + t}\n" for t in range(138, 150))
        day = read_inputs(files).target.reference_dates[-6]
        found = []
        for at, inputs in enumerate((files, more)):
            backtest(inputs, tmp_path / str(at), settings(reference_dates=str(day), models=("linear",)))
            found.append(read_member(tmp_path / str(at), "oneteam-linear", day))
        assert np.array_equal(found[0].values, found[1].values)

    def test_revised_data_are_labelled(self, tmp_path):
        files = write_country(tmp_path)
        report = backtest(files, tmp_path / "out", settings(reference_dates="2024-03-02"))
        assert report.label == "revised data"
        path = forecast_path(tmp_path / "out", "oneteam-ensemble", date(2024, 3, 2))
        assert pq.read_schema(path).metadata[b"label"] == b"revised data"

    @pytest.mark.parametrize(("horizons", "last"), [((0, 1), date(2024, 2, 24)), ((1, 2), date(2024, 3, 2))])
    def test_the_week_of_the_reference_date_is_known_only_where_it_is_not_forecast(self, tmp_path, horizons, last):
        files = write_country(tmp_path)
        inputs = read_inputs(files, settings(horizons=horizons).pseudo_lag_weeks)
        assert inputs.snapshot(date(2024, 3, 2)).last_week == last


class TestRuns:
    def test_every_model_date_and_task_is_there(self, tmp_path):
        files = write_country(tmp_path, vintages=3)
        dates = read_inputs(files).target.reference_dates
        report = backtest(files, tmp_path / "out", settings(models=(), horizons=(-1, 0, 1, 2, 3)))
        assert not report.failures
        assert report.models[-1] == "oneteam-ensemble"
        for model in report.models:
            for day in dates:
                found = read_member(tmp_path / "out", model, day)
                assert found is not None
                assert found.count == 5 * len(PLACES.codes), (model, day)
        assert sum(report.weights.values()) == pytest.approx(1.0)

    def test_going_on_makes_only_what_is_missing(self, tmp_path):
        files = write_country(tmp_path, vintages=4)
        first = backtest(files, tmp_path / "out", settings())
        day = first.dates[1]
        path = forecast_path(tmp_path / "out", "oneteam-linear", day)
        before = path.read_bytes()
        path.unlink()
        again = backtest(files, tmp_path / "out", settings())
        assert again.made == 1
        assert pq.read_table(path).equals(pq.read_table(pa.BufferReader(before)))

    def test_other_settings_are_refused_in_the_same_folder(self, tmp_path):
        files = write_country(tmp_path, vintages=3)
        backtest(files, tmp_path / "out", settings())
        with pytest.raises(UnknownValueError, match="other settings or other data"):
            backtest(files, tmp_path / "out", settings(seed=2))

    def test_more_dates_may_be_added(self, tmp_path):
        files = write_country(tmp_path, vintages=4)
        days = read_inputs(files).target.reference_dates
        backtest(files, tmp_path / "out", settings(reference_dates=str(days[0])))
        report = backtest(files, tmp_path / "out", settings())
        assert report.kept >= 2

    def test_processes_change_no_number(self, tmp_path):
        files = write_country(tmp_path, vintages=3)
        for count in (1, 2):
            backtest(files, tmp_path / str(count), settings(processes=count))
        for day in read_inputs(files).target.reference_dates:
            a, b = (read_member(tmp_path / out, "oneteam-ensemble", day) for out in ("1", "2"))
            assert np.array_equal(a.values, b.values)

    def test_a_date_that_fails_is_named_and_the_others_go_on(self, tmp_path, monkeypatch):
        files = write_country(tmp_path, vintages=3)
        days = read_inputs(files).target.reference_dates
        whole = service.forecast

        def broken(member, learned, known, horizons, seed):
            if known.snapshot.reference_date == days[1]:
                raise ValueError("numbers ran away")
            return whole(member, learned, known, horizons, seed)

        monkeypatch.setattr(service, "forecast", broken)
        report = backtest(files, tmp_path / "out", settings())
        assert {f.reference_date for f in report.failures} == {days[1]}
        assert "numbers ran away" in report.failures[0].why
        assert read_member(tmp_path / "out", "oneteam-ensemble", days[2]) is not None

    def test_a_killed_worker_is_a_failure_of_its_dates(self, tmp_path, monkeypatch):
        files = write_country(tmp_path, vintages=3)
        # Workers are started with arguments that they do not take, and die.
        whole = service.ProcessPoolExecutor
        monkeypatch.setattr(service, "ProcessPoolExecutor", lambda *a, **k: whole(*a, **(k | {"initargs": ()})))
        report = backtest(files, tmp_path / "out", settings(processes=2))
        assert {f.model for f in report.failures} == {"oneteam-linear", "oneteam-baseline", "oneteam-ensemble"}
        assert "worker process was killed" in report.failures[0].why
        monkeypatch.undo()
        assert not backtest(files, tmp_path / "out", settings(processes=2)).failures

    def test_without_history(self, tmp_path):
        files = write_country(tmp_path, history=False)
        report = backtest(files, tmp_path / "out", settings(reference_dates="2024-03-02", models=()))
        assert not report.failures
        assert report.weights["oneteam-filter"] == pytest.approx(2 / 3)

    def test_data_that_come_late_are_learned_for_on_their_own_day(self, tmp_path):
        files = write_country(tmp_path, vintages=8)
        columns = pq.read_table(files.target_data).to_pydict()
        day = sorted(set(columns["reference_date"]))[-3]
        keep = [r != day or (r - e).days > 28 for r, e in zip(columns["reference_date"], columns["target_end_date"], strict=True)]
        pq.write_table(pa.table({k: [v for v, kept in zip(c, keep, strict=True) if kept] for k, c in columns.items()}), files.target_data)
        report = backtest(files, tmp_path / "out", settings(learn_every_weeks=8))
        assert not report.failures
        found = read_member(tmp_path / "out", "oneteam-linear", day)
        plain = read_member(tmp_path / "out", "oneteam-baseline", day)
        assert not np.array_equal(found.values, plain.values)
        assert pq.read_schema(forecast_path(tmp_path / "out", "oneteam-linear", day)).metadata[b"learned_on"] == str(day).encode()

    def test_forecast_uses_the_dates_before(self, tmp_path):
        files = write_country(tmp_path, vintages=8)
        result = forecast_now(files, tmp_path / "out", settings(), track=6)
        assert result.reference_date == read_inputs(files).target.reference_dates[-1]
        assert int(pq.read_schema(result.path).metadata[b"past_dates"]) >= 4
        assert len(result.rows()) == 2 * len(PLACES.codes)


class TestBadInput:
    @pytest.mark.parametrize(
        ("dates", "error", "words"),
        [
            ("2024-03-01", UnknownValueError, "is a FRI"),
            ("2031-01-04:2031-02-01", NothingFoundError, "no reference date in"),
            ("yesterday", UnknownValueError, "must be a date like"),
        ],
    )
    def test_dates(self, tmp_path, dates, error, words):
        files = write_country(tmp_path)
        with pytest.raises(error, match=words):
            backtest(files, tmp_path / "out", settings(reference_dates=dates))

    def test_a_vintage_that_is_not_there(self, tmp_path):
        files = write_country(tmp_path, vintages=3)
        with pytest.raises(NothingFoundError, match="no vintage for reference date 2020-01-04"):
            backtest(files, tmp_path / "out", settings(reference_dates="2020-01-04"))

    def test_an_unknown_member(self, tmp_path):
        with pytest.raises(UnknownValueError, match="must be among"):
            backtest(write_country(tmp_path), tmp_path / "out", settings(models=("oracle",)))

    def test_a_place_without_location_row_is_left_out_and_noted(self, tmp_path):
        files = write_country(tmp_path, vintages=3)
        text = files.locations.read_text().splitlines()
        files.locations.write_text("\n".join([text[0], *text[2:]]) + "\n")
        report = backtest(files, tmp_path / "out", settings())
        assert "1 of 5 places are not in the locations file and are left out: 01" in report.notes[0]
        found = read_member(tmp_path / "out", "oneteam-ensemble", report.dates[-1])
        assert set(found.location.tolist()) == {"02", "03", "04", "ZZ"}

    def test_no_place_in_common(self, tmp_path):
        files = write_country(tmp_path)
        files.locations.write_text("location,location_name,population\nX,x,5\n")
        with pytest.raises(UnknownValueError, match="5 of 5 locations are not in the locations file"):
            backtest(files, tmp_path / "out", settings())

    def test_gaps_zeros_and_missing_population(self, tmp_path):
        counts = seasonal_counts(140, seed=1)
        counts[:, 0] = 0.0
        counts[100:104, 1] = np.nan
        counts[-1, 2] = np.nan
        files = write_country(tmp_path, counts=counts)
        text = files.locations.read_text().replace("04,D,4000000", "04,D,")
        files.locations.write_text(text)
        report = backtest(
            files, tmp_path / "out", settings(reference_dates="2024-04-06", models=("linear", "boosted", "filter", "baseline"))
        )
        assert not report.failures
        found = read_member(tmp_path / "out", "oneteam-ensemble", date(2024, 4, 6))
        assert found is not None
        assert set(found.location.tolist()) == set(PLACES.codes)

    @pytest.mark.parametrize("text", ["3-0", "x", "0-99", ""])
    def test_horizons(self, text):
        with pytest.raises(UnknownValueError, match="must be weeks between"):
            parse_horizons(text)


class TestCommand:
    def run(self, *words: str):
        app = Typer()
        app.command("other")(lambda: None)
        register(app)
        return CliRunner().invoke(app, list(words))

    def words(self, files: InputFiles, out) -> list[str]:
        return ["--target-data", str(files.target_data), "--locations", str(files.locations), "--out", str(out), "--json"]

    def test_backtest(self, tmp_path):
        files = write_country(tmp_path, vintages=3)
        words = ["--models", "linear,baseline", "--horizons", "0-1", "--processes", "1", "--samples", "5"]
        found = self.run("backtest", *self.words(files, tmp_path / "out"), *words)
        assert found.exit_code == 0, found.output
        body = json.loads(found.stdout)
        assert body["dates"] == 3
        assert body["failures"] == []
        samples = [pq.read_table(path) for path in sorted((tmp_path / "out" / "samples").iterdir())]
        assert [table.num_rows for table in samples] == [5 * 2 * len(PLACES.codes)] * 3

    def test_a_failure_makes_the_exit_code_non_zero(self, tmp_path, monkeypatch):
        files = write_country(tmp_path, vintages=3)
        monkeypatch.setattr(service, "forecast", lambda *_: 1 / 0)
        found = self.run("backtest", *self.words(files, tmp_path / "out"), "--models", "linear", "--processes", "1")
        assert found.exit_code == 1
        assert "division" in json.loads(found.stdout)["failures"][0]["why"]

    def test_forecast(self, tmp_path):
        files = write_country(tmp_path, vintages=3)
        words = ["--models", "linear", "--horizons", "0-1", "--processes", "1", "--track", "2"]
        found = self.run("forecast", *self.words(files, tmp_path / "out"), *words)
        assert found.exit_code == 0, found.output
        assert len(json.loads(found.stdout)["forecasts"]) == 10


def test_the_same_seed_gives_the_same_numbers_whatever_the_threads(tmp_path):
    files = write_country(tmp_path / "country")
    day = read_inputs(files).target.reference_dates[-1]
    told = settings(reference_dates=f"{day}:{day}", models=("linear", "boosted"))
    for count in (1, 2):
        with threadpool_limits(limits=count):
            backtest(files, tmp_path / f"out_{count}", told)
    for model in ("oneteam-linear", "oneteam-boosted"):
        one, two = (forecast_path(tmp_path / f"out_{count}", model, day).read_bytes() for count in (1, 2))
        assert one == two, model


def test_one_week_of_data_is_refused_in_words(tmp_path):
    files = write_country(tmp_path / "country", counts=seasonal_counts(1, seed=1))
    with pytest.raises(NothingFoundError, match="at least two"):
        forecast_now(files, tmp_path / "out", settings())


def test_what_goes_wrong_on_one_date_is_named_and_the_others_go_on(tmp_path, monkeypatch):
    files = write_country(tmp_path / "country")
    dates = read_inputs(files).target.reference_dates[-3:]
    real = service.forecast

    def odd(member, learned, known, *rest):
        if member == "oneteam-linear" and known.snapshot.reference_date == dates[1]:
            raise IndexError("an odd place")
        return real(member, learned, known, *rest)

    monkeypatch.setattr(service, "forecast", odd)
    report = backtest(files, tmp_path / "out", settings(reference_dates=f"{dates[0]}:{dates[-1]}"))
    assert [(f.reference_date, f.why) for f in report.failures if f.model == "oneteam-linear"] == [(dates[1], "IndexError: an odd place")]
    assert forecast_path(tmp_path / "out", "oneteam-linear", dates[2]).exists()
