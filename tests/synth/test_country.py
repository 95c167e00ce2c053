import filecmp
import hashlib
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from oneteam.core.errors import DuplicateCodeError, InputError
from oneteam.store.geography import read_shapes
from oneteam.store.rows import read_rows
from oneteam.synth.country import make_country
from oneteam.synth.mobility_truth import SHORTEST_STAY_S
from oneteam.synth.schedules import DAY_S, new_plan, plan_day, plan_people
from oneteam.synth.settings import CountrySettings, parse_carriers

SMALL = CountrySettings(zone_count=8, subscribers=1_500, days=5, seed=3, carriers=parse_carriers("a:2,b:1"))


def digests(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def events_of(folder, where="mcc = 450"):
    query = f"select * from read_parquet('{folder}/*/events/*/*/*/*.parquet', hive_partitioning=false, filename='file') where {where}"
    with duckdb.connect() as con:
        con.sql("set threads = 1")
        return con.sql(query).to_arrow_table()


@pytest.fixture(scope="module")
def events(folder, summary):
    return events_of(folder)


@pytest.fixture(scope="module")
def sims(folder, summary):
    return pq.read_table(folder / "truth" / "sims.parquet")


def test_equal_settings_give_equal_bytes_whatever_the_chunk_and_threads(tmp_path):
    make_country(SMALL, tmp_path / "one")
    make_country(SMALL.model_copy(update={"chunk": 97, "threads": 1}), tmp_path / "two")
    make_country(SMALL.model_copy(update={"chunk": 100_000, "threads": 5}), tmp_path / "three")
    assert digests(tmp_path / "one") == digests(tmp_path / "two") == digests(tmp_path / "three")


def test_another_seed_gives_another_country(tmp_path):
    make_country(SMALL, tmp_path / "one")
    make_country(SMALL.model_copy(update={"seed": 4}), tmp_path / "two")
    assert not filecmp.cmp(tmp_path / "one" / "truth" / "sims.parquet", tmp_path / "two" / "truth" / "sims.parquet", shallow=False)


def test_people_and_subscriptions_are_conserved(folder, summary, settings, sims):
    home = pq.read_table(folder / "truth" / "home.parquet")
    persons = sum(home["persons"].to_pylist())
    assert persons == summary.persons == settings.persons
    assert sims.num_rows == summary.subscriptions == settings.subscribers
    assert len(set(sims["user_id"].to_pylist())) == sims.num_rows
    assert Counter(dict(zip(home["zone"].to_pylist(), home["persons"].to_pylist(), strict=True))) == Counter(
        {zone: len(set(group)) for zone, group in _grouped(sims, "home_zone", "person").items()}
    )
    zones = read_rows(folder / "zones.csv")
    assert sum(int(row.fields["population"]) for row in zones.rows) == persons


def _grouped(table, key, value):
    out = {}
    for k, v in zip(table[key].to_pylist(), table[value].to_pylist(), strict=True):
        out.setdefault(k, []).append(v)
    return out


def test_multi_sim_share(sims, settings):
    persons = np.array(sims["person"].to_pylist())
    twice = np.bincount(persons) == 2
    assert twice.mean() == pytest.approx(settings.multi_sim, abs=0.001)
    flag = np.array(sims["multi_sim"].to_pylist())
    assert np.array_equal(flag, twice[persons])


def test_market_shares_are_national_but_uneven(sims, settings):
    carriers = Counter(sims["carrier"].to_pylist())
    for carrier in settings.carriers:
        assert carriers[carrier.name] / sims.num_rows == pytest.approx(carrier.share, abs=0.02)
    by_zone = {
        zone: names.count("north") / len(names) for zone, names in _grouped(sims, "home_zone", "carrier").items() if len(names) > 200
    }
    assert max(by_zone.values()) - min(by_zone.values()) > 0.15


def test_volume_and_columns(events, summary, settings, folder):
    assert events.num_rows + summary.inbound_events == summary.events
    assert events.num_rows / summary.subscriptions / settings.days == pytest.approx(settings.events_per_day, rel=0.06)
    schema = pq.read_schema(next(folder.glob("north/events/*/*/*/*.parquet")))
    assert schema.field("user_id").type == pa.binary()
    assert schema.field("timestamp").type == pa.timestamp("us", tz="UTC")
    assert schema.field("cell_id").type == pa.string()
    assert schema.names == ["user_id", "timestamp", "mcc", "mnc", "plmn", "cell_id", "latitude", "longitude", "loc_error"]
    assert {len(u) for u in events["user_id"].to_pylist()[:1000]} == {32}


def test_people_differ_in_volume(events):
    counts = np.sort(np.array(list(Counter(events["user_id"].to_pylist()).values())))
    assert counts[-len(counts) // 10 :].sum() > 0.3 * counts.sum()
    assert np.median(counts) < 0.8 * counts.mean()


def test_events_lie_on_the_local_day_of_their_folder_in_order_of_time(folder, summary, settings):
    files = sorted(folder.glob("*/events/year=*/month=*/day=*/part-0.parquet"))
    assert len(files) == 3 * settings.days
    for path in files:
        year, month, day = (int(path.parents[i].name.split("=")[1]) for i in (2, 1, 0))
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=["timestamp", "user_id"])
            local = table["timestamp"].to_numpy() + np.timedelta64(9, "h")
            assert (np.diff(local) >= np.timedelta64(0)).all()
            assert set(np.unique(local.astype("datetime64[D]"))) == {np.datetime64(date(year, month, day))}
            if table.num_rows > 5_000:
                users = table["user_id"].to_pylist()
                assert sum(a == b for a, b in pairwise(users)) < 0.6 * len(users)


def test_each_user_appears_at_one_carrier_only(folder, events, sims):
    carrier_of = dict(zip(sims["user_id"].to_pylist(), sims["carrier"].to_pylist(), strict=True))
    folders = events["file"].to_pylist()
    for user, file in list(zip(events["user_id"].to_pylist(), folders, strict=True))[::97]:
        assert f"/{carrier_of[user]}/events/" in file


def test_events_are_seen_by_cells_near_the_true_place(folder, country, events, sims):
    """Of the records made while their owner stays somewhere, nearly all come from a cell of that zone, most from within its range."""
    person_of = dict(zip(sims["user_id"].to_pylist(), sims["person"].to_pylist(), strict=True))
    topology = pa.concat_tables([pq.read_table(p) for p in sorted(folder.glob("*/network/topology.parquet"))]).to_pylist()
    shapes = list(read_shapes(folder / "zones.geojson").values())
    places, plan = country.people.places, new_plan()
    start = datetime.combine(country.settings.start_date, datetime.min.time())
    rows = {}
    for row in topology:
        rows.setdefault(row["cell_id"], []).append(row)
    seen = inside = near = 0
    for row in events.slice(0, events.num_rows).take(np.arange(0, events.num_rows, 311)).to_pylist():
        at = row["timestamp"].replace(tzinfo=None) + timedelta(hours=9) - start
        n = plan_day(country.world, person_of[row["user_id"]], at.days, plan)
        s = at.seconds
        stay = next((i for i in range(n) if plan.start_s[i] <= s < plan.end_s[i]), None)
        if stay is None:
            continue
        place = plan.place[stay]
        assert place >= 0, "a record at home of someone who is abroad"
        day = (start + at).date()
        cell = next(c for c in rows[row["cell_id"]] if c["valid_date_start"] <= day and (c["valid_date_end"] or day) >= day)
        x, y = country.territory.plane.forward([cell["longitude"]], [cell["latitude"]])
        seen += 1
        inside += bool(shapely.contains_xy(shapes[places.zone[place]], cell["longitude"], cell["latitude"]))
        near += np.hypot(x[0] - places.x[place], y[0] - places.y[place]) < max(3_000, 3 * cell["range"])
    assert seen > 1_000
    assert inside / seen > 0.97
    assert near / seen > 0.97


def test_cells_flip_between_neighbours(folder, summary):
    with duckdb.connect() as con:
        con.sql("set threads = 1")
        # Records of one user within 20 seconds of each other that come from two cells.
        flips, pairs = con.sql(
            f"""select count(*) filter (cell_id <> before), count(*) from (
                select cell_id, lag(cell_id) over w before, timestamp - lag(timestamp) over w gap
                from read_parquet('{folder}/north/events/*/*/*/*.parquet', hive_partitioning = false)
                window w as (partition by user_id order by timestamp))
                where gap < interval 20 second"""
        ).fetchall()[0]
    assert 0.02 < flips / pairs < 0.2


def test_moved_cells_have_two_periods_that_join(folder, summary, settings):
    rows = pq.read_table(folder / "north" / "network" / "topology.parquet").to_pylist()
    by_cell = {}
    for row in rows:
        by_cell.setdefault(row["cell_id"], []).append(row)
    moved = [sorted(v, key=lambda r: r["valid_date_start"]) for v in by_cell.values() if len(v) > 1]
    assert moved
    for before, after in moved:
        assert before["valid_date_end"] + timedelta(days=1) == after["valid_date_start"]
        assert settings.start_date < after["valid_date_start"] < settings.start_date + timedelta(days=settings.days)
        assert (before["latitude"], before["longitude"]) != (after["latitude"], after["longitude"])
        assert after["valid_date_end"] is None
    assert len(moved) < 0.1 * len(by_cell)


def test_footprints_are_plausible(folder, summary):
    table = pq.read_table(folder / "south" / "network" / "topology.parquet")
    assert min(table["range"].to_pylist()) > 10
    assert max(table["range"].to_pylist()) <= 8_000
    assert all(0 <= a < 360 for a in table["azimuth_angle"].to_pylist())


def test_true_od_is_what_plans_say(folder, summary, country):
    zone_of, codes = country.people.places.zone, country.zones.codes
    persons = np.arange(country.people.count, dtype=np.int32)
    plans = plan_people(country.world, persons, 2)
    expected = Counter()
    for row in range(len(persons)):
        stays = []
        for i in range(plans.stays[row]):
            place = int(plans.place[row, i])
            zone = None if place < 0 else int(zone_of[place])
            if stays and stays[-1][0] == zone:
                stays[-1][2] = plans.end_s[row, i]
            else:
                stays.append([zone, plans.start_s[row, i], plans.end_s[row, i]])
        long = [z for z, start, end in stays if z is not None and end - start >= SHORTEST_STAY_S]
        expected.update((codes[a], codes[b]) for a, b in pairwise(long) if a != b)
    od = pq.read_table(folder / "truth" / "od_daily.parquet", filters=[("day", "=", country.date_of(2))]).to_pylist()
    assert {(r["origin"], r["destination"]): r["trips"] for r in od} == expected
    assert all(0 < r["persons"] <= r["trips"] for r in od)


def test_presence_counts_everyone_at_most_once(folder, summary, country):
    table = pq.read_table(folder / "truth" / "presence.parquet")
    total = Counter()
    for day, hour, persons in zip(table["day"].to_pylist(), table["hour"].to_pylist(), table["persons"].to_pylist(), strict=True):
        total[day, hour] += persons
    assert len(total) == 24 * country.settings.days
    assert max(total.values()) <= country.people.count
    night = [n for (_, hour), n in total.items() if hour == 3]
    assert min(night) > 0.97 * country.people.count


def test_plans_join_and_cover_the_day(country):
    plan = new_plan()
    for person in range(0, country.people.count, 61):
        last = None
        for day in range(14):
            n = plan_day(country.world, person, day, plan)
            assert plan.start_s[0] == 0
            assert plan.end_s[n - 1] == DAY_S
            assert (plan.start_s[1:n] >= plan.end_s[: n - 1]).all()
            assert (plan.end_s[:n] >= plan.start_s[:n]).all()
            assert last is None or plan.place[0] == last
            last = plan.place[n - 1]


def test_roaming_records_lie_within_true_trips(folder, summary, country, sims):
    person_of = dict(zip(sims["user_id"].to_pylist(), sims["person"].to_pylist(), strict=True))
    trips = {}
    for trip in pq.read_table(folder / "truth" / "travel.parquet").to_pylist():
        trips.setdefault(trip["person"], []).append(trip)
    rows = [r for p in sorted(folder.glob("*/roaming/outbound.parquet")) for r in pq.read_table(p).to_pylist()]
    assert len(rows) == summary.outbound_records > 500
    travellers = set()
    for row in rows:
        at = datetime.fromisoformat(row["timestamp"])
        assert at.utcoffset() is not None
        home_day = (at.astimezone(UTC) + timedelta(hours=9)).date()
        person = person_of[row["user_id"]]
        match = [t for t in trips[person] if t["country"] == row["country"] and t["depart"] <= home_day <= t["return"]]
        assert len(match) == 1
        travellers.add((person, match[0]["depart"]))
    first, last = country.date_of(0), country.date_of(country.settings.days - 1)
    whole = {(p, t["depart"]) for p, ts in trips.items() for t in ts if t["depart"] >= first and t["return"] <= last}
    assert whole
    assert len(whole & travellers) > 0.97 * len(whole)


def test_offsets_are_those_of_the_visited_country(folder, summary):
    seen = {}
    for path in sorted(folder.glob("*/roaming/outbound.parquet")):
        for row in pq.read_table(path).to_pylist():
            seen.setdefault(row["country"], set()).add(row["timestamp"][19:])
    assert seen["JP"] == {"+09:00"}
    assert seen["VN"] == {"+07:00"}


def test_visitors_are_foreign_and_few(folder, summary, settings):
    rows = events_of(folder, "mcc <> 450")
    assert rows.num_rows == summary.inbound_events
    users = len(set(rows["user_id"].to_pylist()))
    assert 0.005 < users / settings.subscribers < 0.08
    own = set(pq.read_table(folder / "truth" / "sims.parquet")["user_id"].to_pylist())
    assert not own & set(rows["user_id"].to_pylist())


def test_without_roaming_nobody_leaves_or_comes(tmp_path):
    summary = make_country(SMALL.model_copy(update={"roaming": False, "outbreak": False}), tmp_path / "c")
    assert summary.outbound_records == summary.inbound_events == summary.infections == summary.cases == 0
    assert pq.read_table(tmp_path / "c" / "truth" / "travel.parquet").num_rows == 0
    assert events_of(tmp_path / "c", "mcc <> 450").num_rows == 0


def test_clocks_that_change_keep_events_on_their_day(tmp_path):
    settings = SMALL.model_copy(update={"timezone": "Europe/Brussels", "start_date": date(2020, 3, 28), "days": 3, "mcc": 206})
    make_country(settings, tmp_path / "c")
    short = pq.read_table(tmp_path / "c/a/events/year=2020/month=3/day=29/part-0.parquet")["timestamp"].to_pylist()
    assert max(short) < datetime.fromisoformat("2020-03-29T22:00:00+00:00")
    assert min(short) >= datetime.fromisoformat("2020-03-28T23:00:00+00:00")


def test_description(folder, summary, settings):
    document = json.loads((folder / "country.json").read_text())
    assert document["settings"]["seed"] == settings.seed
    assert "threads" not in document["settings"]
    assert "truth/" in (folder / "README.txt").read_text()


def test_a_folder_that_holds_something_is_kept(tmp_path):
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="not empty"):
        make_country(SMALL, folder)
    make_country(SMALL, folder, force=True)
    one_carrier = SMALL.model_copy(update={"carriers": parse_carriers("only:1"), "days": 1})
    make_country(one_carrier, folder, force=True)
    assert (folder / "mine.txt").read_text() == "keep"
    assert sorted(p.name for p in folder.iterdir() if p.is_dir()) == ["agency", "only", "registers", "truth"]


def test_failure_leaves_nothing(tmp_path):
    zones = tmp_path / "z.csv"
    zones.write_text("code,population\n1,5\n1,6\n")
    with pytest.raises(DuplicateCodeError):
        make_country(SMALL.model_copy(update={"zones": zones}), tmp_path / "c")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["z.csv"]


def test_progress_goes_up_to_what_was_expected(tmp_path):
    said = []
    summary = make_country(SMALL, tmp_path / "c", lambda step, done, total: said.append((step, done, total)))
    assert {step for step, _, _ in said} >= {"zones", "people", "outbreak", "events"}
    done = [d for step, d, _ in said if step == "events"]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(summary.events / 1e6, rel=0.1)
    assert summary.carriers.keys() == {"a", "b"}


@pytest.mark.parametrize("zone_count", [1, 2])
def test_tiny_countries(tmp_path, zone_count):
    summary = make_country(CountrySettings(zone_count=zone_count, subscribers=40, days=2, carriers=parse_carriers("a:1")), tmp_path / "c")
    assert summary.persons == 37
    assert summary.zones == zone_count
