import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from threadpoolctl import threadpool_limits
from typer import Typer
from typer.testing import CliRunner

from oneteam.cli.epidemic_forecasting import register
from oneteam.core.errors import FileUnreadableError, NothingFoundError, UnknownValueError
from oneteam.epidemic.service import backtest as service
from oneteam.epidemic.service.backtest import BacktestSettings, backtest
from oneteam.epidemic.service.files import forecast_path
from oneteam.epidemic.service.forecast import forecast_now
from oneteam.epidemic.service.inputs import InputFiles, parse_horizons, read_inputs
from oneteam.epidemic.service.output import MANIFEST, read_member
from tests.epidemic.forecasting.synthetic import PLACES, rows_of, seasonal_counts, vintages_of

FIRST = date(2021, 8, 7)
LAST = FIRST + timedelta(days=7 * 139)
"""End of the newest week of `write_country`."""
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


def combined(out) -> dict[str, bytes]:
    """Every file of the combination, by name."""
    return {path.name: path.read_bytes() for path in sorted((out / "model-output" / "oneteam-ensemble").iterdir())}


class TestThePastOnDisk:
    """The combination of a date depends on what stands in the folder before it, not on which dates a command names."""

    def test_a_rerun_of_some_dates_gives_the_same_bits_as_a_run_of_all(self, tmp_path):
        files = write_country(tmp_path, vintages=8)
        out = tmp_path / "out"
        first = backtest(files, out, settings())
        whole = combined(out)
        again = backtest(files, out, settings(reference_dates=f"{first.dates[4]}:{first.dates[6]}"))
        assert (again.made, again.kept) == (0, 9)
        assert combined(out) == whole
        assert int(pq.read_schema(forecast_path(out, "oneteam-ensemble", first.dates[6])).metadata[b"past_dates"]) >= 4

    def test_earlier_dates_that_come_later_reach_the_dates_after_them(self, tmp_path):
        files = write_country(tmp_path, vintages=8)
        days = read_inputs(files).target.reference_dates
        backtest(files, tmp_path / "all", settings())
        for chosen in (f"{days[4]}:", f":{days[1]}", f"{days[2]},{days[3]}"):
            backtest(files, tmp_path / "parts", settings(reference_dates=chosen))
        assert combined(tmp_path / "parts") == combined(tmp_path / "all")

    def test_another_folder_knows_less(self, tmp_path):
        """The tests above could fail: without the files the same dates get another combination."""
        files = write_country(tmp_path, vintages=8)
        day = read_inputs(files).target.reference_dates[-1]
        backtest(files, tmp_path / "all", settings())
        backtest(files, tmp_path / "alone", settings(reference_dates=str(day)))
        name = f"{day}-oneteam-ensemble.parquet"
        assert combined(tmp_path / "alone")[name] != combined(tmp_path / "all")[name]


class TestDamage:
    @pytest.mark.parametrize("damage", ["cut", "empty", "text", "other date", "not finite", "no rows"])
    def test_a_damaged_file_is_named_and_made_again(self, tmp_path, damage):
        files = write_country(tmp_path, vintages=6)
        out = tmp_path / "out"
        first = backtest(files, out, settings(models=("baseline",)))
        path = forecast_path(out, "oneteam-baseline", first.dates[1])
        whole, of_all = path.read_bytes(), combined(out)
        table = pq.read_table(path)
        if damage in {"cut", "empty", "text"}:
            path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"reference_date,value"}[damage])
        elif damage == "other date":
            path.write_bytes(forecast_path(out, "oneteam-baseline", first.dates[2]).read_bytes())
        elif damage == "no rows":
            pq.write_table(table[:0], path)
        else:
            values = table["value"].to_numpy().copy()
            values[5] = np.inf
            pq.write_table(table.set_column(table.column_names.index("value"), "value", [values]), path)
        again = backtest(files, out, settings(models=("baseline",), reference_dates=str(first.dates[-1])))
        assert f"{path}: damaged; made again" in again.notes
        assert path.read_bytes() == whole
        assert combined(out) == of_all
        assert not any(": damaged; " in note for note in backtest(files, out, settings(models=("baseline",))).notes)

    @pytest.mark.parametrize("seed", range(8))
    def test_no_byte_makes_a_traceback(self, tmp_path, seed):
        files = write_country(tmp_path, vintages=3)
        out = tmp_path / "out"
        first = backtest(files, out, settings(models=("baseline",)))
        path = forecast_path(out, "oneteam-baseline", first.dates[0])
        random = np.random.default_rng(seed)
        broken = bytearray(path.read_bytes())
        for at in random.integers(0, len(broken), 20).tolist():
            broken[at] ^= int(random.integers(1, 256))
        path.write_bytes(bytes(broken))
        assert not backtest(files, out, settings(models=("baseline",))).failures

    @pytest.mark.parametrize("content", [b"", b'{"settings": {"seed"', b"[1, 2]", b"\xff\xfe"])
    def test_a_broken_manifest_is_refused_where_forecasts_stand(self, tmp_path, content):
        files = write_country(tmp_path, vintages=3)
        backtest(files, tmp_path / "out", settings(models=("baseline",)))
        (tmp_path / "out" / MANIFEST).write_bytes(content)
        with pytest.raises(FileUnreadableError, match=r"backtest\.json: it (is no whole JSON document|holds no JSON object)") as caught:
            backtest(files, tmp_path / "out", settings(models=("baseline",)))
        assert caught.value.code == "input.file_unreadable"
        assert "another --out" in caught.value.hint

    def test_forecasts_without_manifest_are_refused(self, tmp_path):
        files = write_country(tmp_path, vintages=3)
        backtest(files, tmp_path / "out", settings(models=("baseline",)))
        (tmp_path / "out" / MANIFEST).unlink()
        with pytest.raises(FileUnreadableError, match="there is none"):
            backtest(files, tmp_path / "out", settings(models=("baseline",), seed=2))

    def test_a_broken_manifest_of_an_empty_folder_is_written_anew(self, tmp_path):
        files = write_country(tmp_path, vintages=3)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / MANIFEST).write_text("{")
        assert not backtest(files, tmp_path / "out", settings(models=("baseline",))).failures
        assert json.loads((tmp_path / "out" / MANIFEST).read_text())["settings"]["seed"] == 1

    def test_a_file_in_place_of_the_folder(self, tmp_path):
        (tmp_path / "out").write_text("x")
        with pytest.raises(UnknownValueError, match="is a file, must be a folder"):
            backtest(write_country(tmp_path, vintages=3), tmp_path / "out", settings(models=("baseline",)))

    def test_a_refusal_says_what_differs(self, tmp_path):
        files = write_country(tmp_path, vintages=3)
        backtest(files, tmp_path / "out", settings(models=("baseline",)))
        with pytest.raises(UnknownValueError, match="seed is 1 there, 2 here"):
            backtest(files, tmp_path / "out", settings(models=("baseline",), seed=2))
        with files.history[0].open("a") as file:
            file.write("2024-09-07,a,1.5\n")
        with pytest.raises(UnknownValueError, match="history_1 is another file"):
            backtest(files, tmp_path / "out", settings(models=("baseline",)))


class TestLag:
    """Without vintages: the distance between the newest week and the reference date is the same on every date that is compared."""

    @pytest.mark.parametrize(("horizons", "lag"), [((1, 2, 3, 4), 0), ((0, 1), 1), ((-1, 0), 1)])
    def test_the_newest_date_has_the_lag_of_its_track(self, tmp_path, horizons, lag):
        files = write_country(tmp_path)
        result = forecast_now(files, tmp_path / "out", settings(horizons=horizons), track=3)
        assert result.lag_weeks == lag
        assert result.reference_date == LAST + timedelta(days=7 * lag)
        weeks = sorted({row["week ending"] for row in result.rows()})
        assert weeks[0] == str(LAST + timedelta(days=7 * (lag + horizons[0])))
        inputs = settings(horizons=horizons).read(files)
        assert {inputs.snapshot(day).lag_weeks for day in result.report.dates} == {lag}

    def test_a_date_after_the_newest_takes_its_lag_to_its_track(self, tmp_path):
        files = write_country(tmp_path)
        day = LAST + timedelta(days=14)
        result = forecast_now(files, tmp_path / "out", settings(horizons=(1, 2)), str(day), track=2)
        assert (result.reference_date, result.lag_weeks) == (day, 2)
        told = json.loads((tmp_path / "out" / MANIFEST).read_text())["settings"]
        assert told["lag_weeks"] == 2
        assert result.report.dates == [day - timedelta(days=14), day - timedelta(days=7), day]
        # What an earlier date said of the newest week was said from as far away: its snapshot ended two weeks before it.
        assert settings(horizons=(1, 2), lag_weeks=2).read(files).snapshot(day - timedelta(days=7)).last_week == LAST - timedelta(days=7)

    def test_backtest_and_forecast_share_a_folder(self, tmp_path):
        files = write_country(tmp_path)
        told = settings(horizons=(1, 2), reference_dates=f"{LAST - timedelta(days=35)}:{LAST}")
        backtest(files, tmp_path / "out", told)
        result = forecast_now(files, tmp_path / "out", told, track=2)
        assert result.report.made == 0
        assert int(pq.read_schema(result.path).metadata[b"past_dates"]) == 5

    def test_a_vintage_has_its_own(self, tmp_path):
        files = write_country(tmp_path, vintages=4)
        result = forecast_now(files, tmp_path / "out", settings(horizons=(1, 2)), track=2)
        assert result.lag_weeks == 1
        assert "lag_weeks" not in json.loads((tmp_path / "out" / MANIFEST).read_text())["settings"]


class TestNotes:
    def test_a_member_that_cannot_learn_says_so(self, tmp_path):
        files = write_country(tmp_path, counts=seasonal_counts(30, seed=1), history=False)
        days = read_inputs(files).target.reference_dates
        out = tmp_path / "out"
        chosen = f"{days[2]}:{days[12]}"
        report = backtest(files, out, settings(reference_dates=chosen, models=("linear", "filter", "baseline")))
        linear = next(note for note in report.notes if note.startswith("oneteam-linear"))
        assert "persistence: under 150 examples" in linear
        assert f"on 11 of 11 dates: {days[2]} to {days[12]}" in linear
        few = next(note for note in report.notes if note.startswith("oneteam-filter"))
        assert f"the filter needs 8 weeks; so on 4 of 11 dates: {days[2]} to {days[5]}" in few
        assert not any(note.startswith("oneteam-baseline") for note in report.notes)
        metadata = pq.read_schema(forecast_path(out, "oneteam-linear", days[5])).metadata
        assert metadata[b"stand_in"].startswith(b"persistence")
        assert b"stand_in" not in pq.read_schema(forecast_path(out, "oneteam-filter", days[9])).metadata
        assert backtest(files, out, settings(reference_dates=chosen, models=("linear", "filter", "baseline"))).notes == report.notes
        plain = read_member(out, "oneteam-baseline", days[5])
        assert np.array_equal(read_member(out, "oneteam-linear", days[5]).values, plain.values)

    def test_a_member_that_learns_says_nothing(self, tmp_path):
        report = backtest(write_country(tmp_path), tmp_path / "out", settings(reference_dates="2024-03-02"))
        assert not any("persistence" in note for note in report.notes)

    @pytest.mark.parametrize("vintages", [None, 8])
    def test_dates_in_a_gap_are_named(self, tmp_path, vintages):
        files = write_country(tmp_path, vintages=vintages)
        table = pq.read_table(files.target_data).to_pydict()
        key = "reference_date" if vintages else "target_end_date"
        days = sorted(set(table[key]))
        lost = {days[-6], days[-5], days[-3]}
        keep = [day not in lost for day in table[key]]
        pq.write_table(pa.table({k: [v for v, kept in zip(c, keep, strict=True) if kept] for k, c in table.items()}), files.target_data)
        moved = timedelta(days=0 if vintages else 7)
        chosen = f"{days[-7] + moved}:{days[-1] + moved}"
        report = backtest(files, tmp_path / "out", settings(reference_dates=chosen))
        note = next(note for note in report.notes if " in a gap " in note)
        assert "3 of 7 reference dates" in note
        assert note.endswith(f"not forecast: {days[-6] + moved} to {days[-5] + moved}, {days[-3] + moved}")
        assert ("no vintage" in note) == bool(vintages)
        assert [day - moved for day in report.dates] == [day for day in days[-7:] if day not in lost]
        # A selection that begins or ends in the gap names its dates too.
        inside = backtest(files, tmp_path / "out", settings(reference_dates=f"{days[-5] + moved}:{days[-3] + moved}"))
        assert next(n for n in inside.notes if " in a gap " in n).endswith(f"{days[-5] + moved}, {days[-3] + moved}")

    def test_without_gap_there_is_no_note_of_one(self, tmp_path):
        report = backtest(write_country(tmp_path), tmp_path / "out", settings(reference_dates="2024-03-02:2024-03-09"))
        assert not any(" in a gap " in note for note in report.notes)

    def test_the_aggregate_is_named_and_can_be_chosen(self, tmp_path):
        files = write_country(tmp_path)
        found = backtest(files, tmp_path / "a", settings(reference_dates="2024-03-02"))
        assert any("ZZ is taken for the sum of the other places" in note for note in found.notes)
        values = []
        for out, aggregate in (("b", "ZZ"), ("c", "none")):
            report = backtest(files, tmp_path / out, settings(reference_dates="2024-03-02", aggregate=aggregate))
            assert not any("is taken for" in note for note in report.notes)
            values.append(read_member(tmp_path / out, "oneteam-linear", date(2024, 3, 2)).values)
        assert np.array_equal(values[0], read_member(tmp_path / "a", "oneteam-linear", date(2024, 3, 2)).values)
        assert not np.array_equal(values[0], values[1])
        with pytest.raises(UnknownValueError, match="--aggregate US: must be 'none' or a location"):
            backtest(files, tmp_path / "d", settings(aggregate="US"))

    def test_holidays_are_read_and_their_effect_is_told(self, tmp_path):
        files = write_country(tmp_path)
        calendar = tmp_path / "holidays.csv"
        days = [FIRST + timedelta(days=7 * t - 3) for t in range(3, 130, 9)]
        calendar.write_text("date,name\n" + "".join(f"{day},off\n" for day in days))
        told = settings(reference_dates="2024-03-02")
        report = backtest(replace(files, holidays=calendar), tmp_path / "out", told)
        assert any("its last day is" in note for note in report.notes)
        assert any(note.startswith("holidays: a working day off changes") for note in report.notes)
        with pytest.raises(UnknownValueError, match="holidays is another file"):
            backtest(files, tmp_path / "out", told)
        calendar.write_text("date\n1999-12-25\n")
        with pytest.raises(UnknownValueError, match="none of its 1 days lies within the data"):
            backtest(replace(files, holidays=calendar), tmp_path / "out", told)


def test_workers_end_with_a_killed_parent(tmp_path):
    """SIGKILL leaves no time to tell anyone."""
    files = write_country(tmp_path)
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from oneteam.epidemic.service.backtest import BacktestSettings, backtest
        from oneteam.epidemic.service.inputs import InputFiles

        if __name__ == "__main__":
            folder = Path(sys.argv[1])
            files = InputFiles(folder / "target.parquet", folder / "locations.csv")
            backtest(files, folder / "out", BacktestSettings(models=("linear", "baseline"), horizons=(0, 1), processes=2))
        """
    )
    (tmp_path / "run.py").write_text(script)
    assert files.target_data == tmp_path / "target.parquet"
    with subprocess.Popen([sys.executable, str(tmp_path / "run.py"), str(tmp_path)], start_new_session=True) as parent:
        workers: set[int] = set()
        done = tmp_path / "out" / "model-output"
        until = time.monotonic() + 60
        while time.monotonic() < until and (len(workers) < 2 or not any(done.rglob("*.parquet"))):
            workers = {pid for pid in children_of(parent.pid) if b"spawn_main" in command_of(pid)}
            assert parent.poll() is None
            time.sleep(0.02)
        assert len(workers) == 2
        parent.send_signal(signal.SIGKILL)
    until = time.monotonic() + 20
    while time.monotonic() < until and any(b"spawn_main" in command_of(pid) for pid in workers):
        time.sleep(0.05)
    left = [pid for pid in workers if b"spawn_main" in command_of(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return found


def command_of(pid: int) -> bytes:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


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
