"""From a synthetic country's raw files back to its known truth, by the same path as a carrier's own data."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr

from oneteam.store.tables import read_manifest
from oneteam.synth.country import make_country
from oneteam.synth.settings import CountrySettings, parse_carriers
from oneteam.telecom.dataset import TelecomManifest
from oneteam.telecom.population.deduplication import deduplication_factor, estimate_multi_sim, multi_sim_share
from oneteam.telecom.population.weighting import weights_to_census
from oneteam.telecom.service.geography import load_zones
from oneteam.telecom.service.ingest import IngestSettings, ingest
from oneteam.telecom.service.measure import Answer, run_measures

pytestmark = pytest.mark.slow
CARRIERS = ("skylark", "horizon", "bluewave")
MULTI_SIM = 0.08


class Country(NamedTuple):
    folder: Path
    zones: pa.Table
    answers: dict[str, dict[str, Answer]]

    def truth(self, name: str) -> pa.Table:
        return pq.read_table(self.folder / "truth" / f"{name}.parquet")

    def data(self, carrier: str) -> Path:
        return self.folder / f"data-{carrier}"


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Country:
    folder = tmp_path_factory.mktemp("country")
    settings = CountrySettings(
        subscribers=36_000,
        days=14,
        zone_count=24,
        multi_sim=MULTI_SIM,
        outbreak=False,
        carriers=parse_carriers("skylark:0.45,horizon:0.30,bluewave:0.25"),
    )
    make_country(settings, folder)
    answers = {}
    for carrier in CARRIERS:
        data = folder / f"data-{carrier}"
        report = ingest([folder / carrier], data, IngestSettings(zones=folder / "zones.csv", shapes=folder / "zones.geojson"))
        assert sum(report.rejected.values()) < 0.001 * report.rows
        answers[carrier] = run_measures(data, ["home", "od", "presence"], contributions=True)
    return Country(folder, load_zones(folder / "zones.csv"), answers)


def user_ids(data: Path) -> pa.Table:
    entries = read_manifest(data, TelecomManifest).tables["subscribers"].values()
    return pa.concat_tables([pq.read_table(data / entry.path) for entry in entries])


def events_of(data: Path) -> pa.Table:
    entries = read_manifest(data, TelecomManifest).tables["events"].values()
    events = pa.concat_tables([pq.read_table(data / entry.path, columns=["subscriber"]) for entry in entries])
    return events.group_by("subscriber").aggregate([("subscriber", "count")])


def test_homes_are_right(country: Country) -> None:
    """At least 95 per cent of the homes of users with at least 20 events."""
    codes = np.array(country.zones["code"].to_pylist())
    right = found = 0
    for carrier, answers in country.answers.items():
        homes = answers["home"].contributions
        assert homes is not None
        joined = homes.join(user_ids(country.data(carrier)), "subscriber").join(events_of(country.data(carrier)), "subscriber")
        joined = joined.filter(pc.greater_equal(joined["subscriber_count"], 20))
        truth = country.truth("sims")
        joined = joined.join(truth.select(["user_id", "home_zone"]).cast(_plain(truth, "user_id", "home_zone")), "user_id")
        right += int((codes[joined["zone"].to_numpy()] == np.array(joined["home_zone"].to_pylist())).sum())
        found += joined.num_rows
    assert found > 20_000
    assert right / found >= 0.95


def _plain(table: pa.Table, *names: str) -> pa.Schema:
    """Without dictionaries, which Arrow cannot join on."""
    types = {"user_id": pa.binary(), "home_zone": pa.string()}
    return pa.schema([(name, types[name]) for name in table.select(list(names)).column_names])


def test_weighted_population_is_right(country: Country) -> None:
    """Subscribers pooled in the clear, deduplicated, raked to the regions' census: zones within 3 per cent on average."""
    pooled = pa.concat_tables([a["home"].table.select(["zone", "subscribers"]) for a in country.answers.values()])
    residents = pooled.group_by("zone").aggregate([("subscribers", "sum")]).rename_columns(["zone", "subscribers"])
    weights = weights_to_census(residents, country.zones, "region", deduplication_factor(MULTI_SIM))
    truth = dict(zip(*country.truth("home").select(["zone", "persons"]).to_pydict().values(), strict=True))
    errors = [abs(row["persons"] - truth[row["zone"]]) / truth[row["zone"]] for row in weights.to_pylist() if truth[row["zone"]]]
    assert np.mean(errors) <= 0.03


def test_trips_are_ranked_right(country: Country) -> None:
    """Rank correlation of at least 0.95 between the pooled and the true trips of all pairs of zones with any."""
    pooled = pa.concat_tables([a["od"].table.select(["origin", "destination", "value"]) for a in country.answers.values()])
    found = pooled.group_by(["origin", "destination"]).aggregate([("value", "sum")])
    od = country.truth("od_daily")
    plain = pa.schema([("origin", pa.string()), ("destination", pa.string()), ("trips", pa.int64())])
    od = od.select(plain.names).cast(plain)
    truth = od.group_by(["origin", "destination"]).aggregate([("trips", "sum")])
    both = truth.join(found, ["origin", "destination"], join_type="full outer")
    assert both.num_rows > 300
    assert spearmanr(both["trips_sum"].fill_null(0).to_numpy(), both["value_sum"].fill_null(0).to_numpy()).statistic >= 0.95


def test_second_sims_are_counted(country: Country) -> None:
    """The share of people with two subscriptions, within half a percentage point, from registers with a common key of the person."""
    registers = [pq.read_table(country.folder / "registers" / f"{carrier}.parquet") for carrier in CARRIERS]
    assert multi_sim_share(registers) == pytest.approx(true_multi_sim(country), abs=1e-12)
    assert true_multi_sim(country) == pytest.approx(MULTI_SIM, abs=0.005)
    # A register knows the subscriptions by the names under which their events came.
    known = {user for register in registers for user in register["user_id"].to_pylist()}
    for carrier in CARRIERS:
        data = country.data(carrier)
        own = user_ids(data).join(events_of(data), "subscriber", join_type="inner")
        assert set(own["user_id"].to_pylist()) <= known


def test_second_sims_are_estimated_from_movement_alone(country: Country) -> None:
    """Without a common key, from co-movement: within half a point here; up to one and a half where fewer or more people have two."""
    visits = [a["presence"].contributions for a in country.answers.values()]
    estimate = estimate_multi_sim([v for v in visits if v is not None])
    assert estimate.share == pytest.approx(true_multi_sim(country), abs=0.005)


def true_multi_sim(country: Country) -> float:
    sims = country.truth("sims").group_by("person").aggregate([("person", "count")])
    return float(np.mean(sims["person_count"].to_numpy() > 1))
