"""`oneteam telecom plot`, from files to files."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
import shapely

from oneteam.core.errors import FileUnreadableError, MissingColumnError, MissingExtraError, NothingFoundError, UnknownValueError
from oneteam.store.geography import write_geojson
from oneteam.store.result_files import write_table
from oneteam.store.tables import Transaction
from oneteam.telecom.dataset import TelecomManifest
from oneteam.telecom.service import plot as plot_module
from oneteam.telecom.service.geography import load_zones
from oneteam.telecom.service.plot import plot
from tests.telecom.needs import DATA, needs_data

DAY = pa.array([18262, 18262, 18263, 18263], pa.int32()).cast(pa.date32())
PRESENCE = pa.table(
    {
        "day": DAY,
        "hour": pa.array([8, 9, 8, 9], pa.int8()),
        "zone": ["01", "02", "01", None],
        "value": [4, 8, 12, 16],
        "active": [5, 9, 13, 17],
    }
)
OD = pa.table({"day": DAY, "origin": ["01", "02", "01", "03"], "destination": ["02", "01", "01", "02"], "value": [40, 20, 99, 10]})
ARRIVALS = pa.table({"day": DAY, "country": ["JP", "CN", "JP", "US"], "value": [1, 2, 3, 4]})
ABOUT = {"measure": "presence", "unit": "subscribers", "title": "x", "engine": "kernel", "oneteam": "0.0"}


@pytest.fixture
def zones(tmp_path):
    path = tmp_path / "zones.geojson"
    shapes = {f"{i:02d}": shapely.box(127 + 0.1 * i, 37, 127.1 + 0.1 * i, 37.1) for i in (1, 2, 3)}
    write_geojson(path, shapes, {code: {"population": 1000 * int(code) or None} for code in shapes})
    return path


def result(tmp_path, table, name="presence.parquet", about=ABOUT):
    path = tmp_path / name
    write_table(path, table, about)
    return path


def captured(monkeypatch, name):
    """What is handed to a drawing function."""
    from oneteam.telecom.drawing import charts, maps

    module = maps if hasattr(maps, name) else charts
    calls, draw = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda *a, **k: calls.append((a, k)) or draw(*a, **k))
    return calls


@pytest.mark.parametrize("suffix", ["parquet", "csv", "json"])
def test_the_mean_over_all_moments(tmp_path, zones, monkeypatch, suffix):
    calls = captured(monkeypatch, "choropleth")
    summary = plot(result(tmp_path, PRESENCE, f"presence.{suffix}"), tmp_path / "map.png", zones=zones)
    values = calls[0][0][1]
    # Four moments: 2 days x 2 hours. A code such as 01 must stay text, also in CSV and JSON.
    assert values[:2].tolist() == [4.0, 2.0]
    assert np.isnan(values[2])
    assert (summary.kind, summary.shown, summary.of) == ("map", 2, 3)
    assert summary.subtitle == "mean of 2 days × 2 hours, 1 January 2020 to 2 January 2020"
    assert summary.title == "Subscribers seen, by day, hour and zone"
    assert summary.notes == ("40.0% of the value has no known zone and is not on the map",)
    assert summary.out.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_one_hour_per_inhabitants(tmp_path, zones, monkeypatch):
    calls = captured(monkeypatch, "choropleth")
    summary = plot(result(tmp_path, PRESENCE), tmp_path / "m.png", zones=zones, day=date(2020, 1, 1), hour=9, per="population")
    assert calls[0][0][1][1] == 8.0 / 2
    assert calls[0][0][2].unit == "subscribers per 1,000 inhabitants"
    assert summary.subtitle == "1 January 2020, 09:00-09:59"


def test_per_area(tmp_path, zones, monkeypatch):
    calls = captured(monkeypatch, "choropleth")
    plot(result(tmp_path, PRESENCE), tmp_path / "m.png", zones=zones, per="area")
    assert calls[0][0][1][0] == pytest.approx(4.0 / 98.7, rel=0.01)


def test_seconds_become_hours(tmp_path, zones, monkeypatch):
    calls = captured(monkeypatch, "choropleth")
    table = pa.table({"day": DAY.slice(0, 1), "zone": ["01"], "value": [7200]})
    plot(result(tmp_path, table, about={"measure": "night_dwell", "unit": "s"}), tmp_path / "m.png", zones=zones)
    assert calls[0][0][1][0] == 2.0
    assert calls[0][0][2].unit == "hours"


def test_flows(tmp_path, zones, monkeypatch):
    calls = captured(monkeypatch, "flow_map")
    summary = plot(result(tmp_path, OD, about={"measure": "od", "unit": "trips"}), tmp_path / "f.svg", zones=zones, top=1)
    flows = calls[0][0][1]
    # The largest of all, and the largest from each zone; those within a zone are none; mean of two days.
    pairs = list(zip(flows.origin.tolist(), flows.destination.tolist(), flows.value.tolist(), strict=True))
    assert pairs == [(0, 1, 20.0), (1, 0, 10.0), (2, 1, 5.0)]
    assert "the 1 largest of 3 flows and the largest from each zone: 100%" in summary.subtitle
    assert ET.fromstring((tmp_path / "f.svg").read_bytes()).tag.endswith("svg")


def test_same_bytes_again(tmp_path, zones):
    path = result(tmp_path, PRESENCE)
    for suffix in ("svg", "pdf"):
        first, second = (plot(path, tmp_path / f"{i}.{suffix}", zones=zones).out.read_bytes() for i in (1, 2))
        assert first == second


def test_lines_of_active_count_once(tmp_path, monkeypatch):
    calls = captured(monkeypatch, "line_chart")
    doubled = pa.concat_tables([PRESENCE, PRESENCE])
    summary = plot(result(tmp_path, doubled), tmp_path / "l.png", column="active")
    assert summary.kind == "line"
    assert [values.tolist() for values in calls[0][0][1].values()] == [[5.0, 9.0, 13.0, 17.0]]
    assert calls[0][0][2].unit == "active subscribers"


def test_lines_by_country(tmp_path, monkeypatch):
    calls = captured(monkeypatch, "line_chart")
    plot(result(tmp_path, ARRIVALS), tmp_path / "l.png", kind="line")
    assert {name: values.tolist() for name, values in calls[0][0][1].items()} == {"JP": [1.0, 3.0], "US": [0.0, 4.0], "CN": [2.0, 0.0]}


def test_bars_by_country(tmp_path, monkeypatch):
    calls = captured(monkeypatch, "bar_chart")
    summary = plot(result(tmp_path, ARRIVALS, "arrivals.csv"), tmp_path / "b.png")
    assert summary.kind == "bars"
    assert list(calls[0][0][0]) == ["JP", "US", "CN"]
    assert calls[0][0][1].tolist() == [2.0, 2.0, 1.0]
    # A CSV says nothing about itself: its name does.
    assert calls[0][0][2].unit == "returns"


def test_many_countries_are_gathered(tmp_path, monkeypatch):
    calls = captured(monkeypatch, "bar_chart")
    table = pa.table({"country": [f"C{i:02d}" for i in range(30)], "value": list(range(30, 0, -1))})
    plot(result(tmp_path, table), tmp_path / "b.png")
    assert calls[0][0][0][-1] == "others (10)"
    assert calls[0][0][1][-1] == sum(range(1, 11))


def test_zones_of_the_dataset(tmp_path, zones):
    with Transaction(tmp_path / "data", TelecomManifest()) as change:
        change.write("zones", "", load_zones(zones))
    assert plot(result(tmp_path, PRESENCE), tmp_path / "m.png", data=tmp_path / "data").shown == 2
    moved = tmp_path / "moved.geojson"
    write_geojson(moved, {"01": shapely.box(128, 36, 128.2, 36.2)})
    assert plot(result(tmp_path, PRESENCE), tmp_path / "m.png", data=tmp_path / "data", shapes=moved).shown == 2


def test_a_title_that_cannot_be_set_gives_way(tmp_path, zones, monkeypatch):
    from oneteam.telecom.drawing import lettering

    monkeypatch.setattr(lettering.font_manager, "get_font_names", lambda: ["DejaVu Sans"])
    summary = plot(result(tmp_path, PRESENCE), tmp_path / "m.png", zones=zones, title="체류", lang="ko")
    assert summary.title == "Subscribers seen, by day, hour and zone"
    assert "no installed typeface has Hangul" in summary.notes[0]


def test_a_dollar_sign_is_no_formula(tmp_path, zones):
    assert plot(result(tmp_path, PRESENCE), tmp_path / "m.svg", zones=zones, title=r"$\frac & <b>").title == r"$\frac & <b>"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, NothingFoundError, "a map needs zones"),
        ({"zones": True, "column": "weighted"}, MissingColumnError, "no column weighted"),
        ({"zones": True, "day": date(2021, 1, 1)}, NothingFoundError, "it has: 2020-01-01, 2020-01-02"),
        ({"zones": True, "where": {"zone": "77"}}, NothingFoundError, "zone = 77"),
        ({"zones": True, "kind": "flows"}, NothingFoundError, "no origin and destination"),
        ({"kind": "bars"}, NothingFoundError, "no country"),
        ({"zones": True, "per": "jobs"}, UnknownValueError, "per is 'jobs', must be one of none, population, area"),
        ({"zones": True, "lang": "de"}, UnknownValueError, "must be one of en, ko"),
        ({"zones": True, "hour": 24}, UnknownValueError, "between 0 and 23"),
        ({"zones": True, "top": 0}, UnknownValueError, "at least 1"),
    ],
)
def test_bad_requests(tmp_path, zones, options, error, message):
    options = {**options, **({"zones": zones} if "zones" in options else {})}
    with pytest.raises(error, match=message):
        plot(result(tmp_path, PRESENCE), tmp_path / "m.png", **options)
    assert not (tmp_path / "m.png").exists()


def test_codes_of_other_zones(tmp_path, zones):
    other = PRESENCE.set_column(2, "zone", pa.array(["91", "92", "93", "94"]))
    with pytest.raises(
        UnknownValueError, match=r"none of the codes in column 'zone' \(91, 92, 93, 94\) is a code of the zones \(01, 02, 03\)"
    ):
        plot(result(tmp_path, other), tmp_path / "m.png", zones=zones)
    some = PRESENCE.set_column(2, "zone", pa.array(["91", "01", "01", "01"]))
    assert plot(result(tmp_path, some), tmp_path / "m.png", zones=zones).notes == ("1 codes in column 'zone' are no zone on the map: 91",)


def test_bad_files(tmp_path, zones):
    with pytest.raises(UnknownValueError, match=r"cannot draw '\.gif'"):
        plot(result(tmp_path, PRESENCE), tmp_path / "m.gif", zones=zones)
    with pytest.raises(FileUnreadableError, match="no such file"):
        plot(tmp_path / "absent.parquet", tmp_path / "m.png", zones=zones)
    (tmp_path / "cut.parquet").write_bytes(result(tmp_path, PRESENCE).read_bytes()[:100])
    with pytest.raises(FileUnreadableError, match="not a whole Parquet file"):
        plot(tmp_path / "cut.parquet", tmp_path / "m.png", zones=zones)
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(FileUnreadableError, match="not a result"):
        plot(tmp_path / "x.json", tmp_path / "m.png", zones=zones)
    with pytest.raises(UnknownValueError, match="cannot read"):
        plot(zones, tmp_path / "m.png", zones=zones)


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setattr(plot_module, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError) as caught:
        plot(tmp_path / "any.parquet", tmp_path / "m.png")
    assert "oneteam[plot]" in caught.value.hint


def test_pyplot_is_never_used(tmp_path, zones):
    before = "matplotlib.pyplot" in sys.modules
    plot(result(tmp_path, PRESENCE), tmp_path / "m.png", zones=zones)
    assert ("matplotlib.pyplot" in sys.modules) == before


@needs_data
def test_korea(tmp_path):
    korea = DATA / "korea"
    zones, shapes = korea / "zones250.csv", korea / "municipalities_2018_topo.json"
    codes = load_zones(zones)["code"].to_pylist()
    table = pa.table({"zone": codes, "value": np.arange(250)})
    summary = plot(
        result(tmp_path, table, "home.parquet", {"measure": "home"}), tmp_path / "korea.png", zones=zones, shapes=shapes, per="population"
    )
    assert summary.shown == 249  # Ulleung has no population
    assert summary.notes == ("1 zones with a value have no known population and are shown without data",)
    assert summary.out.stat().st_size > 100_000
