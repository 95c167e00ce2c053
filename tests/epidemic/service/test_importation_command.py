"""Which week is the coming one, and what prevalence leaves certain."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from oneteam.epidemic.report.notes import in_korean
from oneteam.epidemic.service.files import read_table
from oneteam.epidemic.service.importation import importation, write_importation
from oneteam.epidemic.service.importation_inputs import ImportationSettings

FIRST = date(2020, 2, 1)
DAYS = 84
QUICK = ImportationSettings(draws=100)


def lines(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def imports(folder: Path, first: date, days: int, level: int = 3) -> Path:
    return lines(folder / "observed.csv", "date,imported_cases", [f"{first + timedelta(days=i)},{level}" for i in range(days)])


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path | None]:
    rows = [(FIRST + timedelta(days=i), code) for i in range(DAYS) for code in ("CN", "JP")]
    return {
        "arrivals": lines(tmp_path / "arrivals.csv", "day,country,value", [f"{d},{c},100" for d, c in rows]),
        "flights": None,
        "cases": lines(tmp_path / "cases.csv", "day,country,new_cases", [f"{d},{c},700" for d, c in rows]),
        "prevalence": None,
        "origins": lines(tmp_path / "origins.csv", "country,population", ["CN,1000000", "JP,2000000"]),
        "observed": None,
    }


@pytest.mark.parametrize("ahead", range(0, 43, 3))
@pytest.mark.parametrize("origins_known", [True, False])
def test_the_coming_week_follows_the_last_observed_one_however_far_arrivals_go_on(files, tmp_path, ahead, origins_known):
    files["observed"] = imports(tmp_path, FIRST, DAYS - ahead)
    if not origins_known:
        files["arrivals"] = None
    last = FIRST + timedelta(days=DAYS - ahead - 1)
    found = importation(**files, settings=QUICK)
    assert found.next_week()["week ending"] == str(last + timedelta(days=7))
    assert found.next_week()["median"] == pytest.approx(21, abs=4)
    known = [str(week) for week, seen in zip(found.weeks.tolist(), found.observed.tolist(), strict=True) if np.isfinite(seen)]
    assert known[-1] == str(last)  # no observed day is lost to the way weeks are cut
    told = [note for note in found.notes if note.startswith("observed imports end on")]
    assert len(told) == (ahead > 0)
    for note in told:
        assert all(str(day) in note for day in (last, FIRST + timedelta(days=DAYS - 1), last + timedelta(days=7)))
        assert in_korean(note).ko != note
    write_importation(found, tmp_path / "o", plots=False)
    rows = read_table(tmp_path / "o" / "totals.csv").to_pylist()
    coming = next(row for row in rows if row["week_end"] > str(last))
    assert coming["week_end"] == found.next_week()["week ending"]
    assert float(coming["q0.5"]) == found.next_week()["median"]


def test_imports_observed_for_longer_than_arrivals_are_told_with_dates(files, tmp_path):
    files["observed"] = imports(tmp_path, FIRST, DAYS + 10)
    found = importation(**files, settings=QUICK)
    covered = FIRST + timedelta(days=DAYS - 1)
    (note,) = (note for note in found.notes if "later imports are not used" in note)
    assert all(str(covered + timedelta(days=d)) in note for d in (0, 7, 10))
    assert found.next_week()["week ending"] == str(covered + timedelta(days=7))
    assert in_korean(note).ko != note


def test_days_without_a_count_at_the_end_are_not_observed(files, tmp_path):
    files["observed"] = imports(tmp_path, FIRST, DAYS)
    text = files["observed"].read_text(encoding="utf-8").splitlines()
    text[-9:] = [row.replace(",3", ",") for row in text[-9:]]
    files["observed"].write_text("\n".join(text), encoding="utf-8")
    assert importation(**files, settings=QUICK).next_week()["week ending"] == str(FIRST + timedelta(days=DAYS - 10 + 7))


def test_prevalence_is_of_true_infections_so_that_ascertainment_widens_nothing(files, tmp_path):
    files["cases"] = None
    rows = [f"{FIRST + timedelta(days=i)},{c},{p}" for i in range(DAYS) for c, p in (("CN", 0.001), ("JP", 0.0009))]
    files["prevalence"] = lines(tmp_path / "p.csv", "day,country,prevalence", rows)
    plain, other = (importation(**files, settings=ImportationSettings(draws=200, ascertainment=a)) for a in ((0.05, 0.5), (0.001, 1.0)))
    assert plain.origins == other.origins
    assert [(o.origin, o.probability_first) for o in plain.origins] == [("CN", 1.0), ("JP", 0.0)]
    assert all(o.low == pytest.approx(o.high) for o in plain.origins)  # arrivals without noise: nothing is uncertain but the share found
    assert any("noise of arrivals alone" in note for note in plain.notes)
    files["observed"] = imports(tmp_path, FIRST, DAYS)
    fitted = importation(**files, settings=ImportationSettings(draws=200))
    shares = fitted.posterior.expected.sum(axis=1)
    np.testing.assert_allclose(shares[:, 0] / shares[:, 1], 10 / 9)  # the share found is one for both
    assert shares.sum(axis=1).mean() == pytest.approx(3 * DAYS, rel=0.15)
