import os
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from oneteam.stats.random import key_of
from oneteam.synth.country import make_country
from oneteam.synth.records import Records, in_time_order, user_ids
from oneteam.synth.sessions import MAX_GAP_S, session_model
from oneteam.synth.settings import CountrySettings

DATA = Path(os.environ.get("ONETEAM_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
XDR = DATA / "xdr" / "shanghai_201508.parquet"


def gaps_of(user, time_s):
    """Gaps between one user's records, in whole seconds as logs give them, of all users together."""
    order = np.lexsort((time_s, user))
    user, time_s = user[order], time_s[order]
    return np.diff(time_s)[user[1:] == user[:-1]].astype(np.float64)


def burstiness(gaps):
    return (gaps.std() - gaps.mean()) / (gaps.std() + gaps.mean())


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    """Gaps of a month, as long as the real records reach: longer periods hold longer silences."""
    folder = tmp_path_factory.mktemp("month") / "country"
    make_country(CountrySettings(zone_count=5, subscribers=2_500, days=31, outbreak=False), folder)
    with duckdb.connect() as con:
        con.sql("set threads = 1")
        rows = con.sql(
            f"""select hash(user_id) u, (epoch_us(timestamp) // 1000000) t
                from read_parquet('{folder}/*/events/*/*/*/*.parquet', hive_partitioning = false) where mcc = 450"""
        ).fetchnumpy()
    return gaps_of(rows["u"], rows["t"])


def test_gaps_are_bursty(synthetic):
    assert burstiness(synthetic) > 0.65
    assert np.quantile(synthetic, [0.25, 0.5]) == pytest.approx([0, 2.5], abs=2.5)
    assert np.quantile(synthetic, 0.99) > 40_000


@pytest.mark.skipif(not XDR.exists(), reason="no real packet sessions at ONETEAM_DATA")
def test_gaps_resemble_the_real_ones(synthetic):
    table = pq.read_table(XDR, columns=["user_hash", "start_ts"])
    user = pc.dictionary_encode(table["user_hash"]).combine_chunks().indices.to_numpy()
    real = gaps_of(user, table["start_ts"].to_numpy().astype("datetime64[s]").astype(np.int64))
    # The real users are seen on three days of a month, ours every day: the bursts are alike, the silences shorter.
    assert burstiness(synthetic) == pytest.approx(burstiness(real), abs=0.12)
    assert np.mean(synthetic == 0) == pytest.approx(np.mean(real == 0), abs=0.1)
    ours, theirs = (g[g < MAX_GAP_S] for g in (synthetic, real))
    for q in (0.5, 0.75, 0.9, 0.95):
        assert np.log10(1 + np.quantile(ours, q)) == pytest.approx(np.log10(1 + np.quantile(theirs, q)), abs=0.35)


def test_gap_quantiles_are_in_order():
    model = session_model(14.0, 1.0)
    assert (np.diff(model.gap_s) >= 0).all()
    assert model.gap_s[-1] == MAX_GAP_S
    assert model.hour_cumulative[-1] == 1.0


def test_in_time_order_sorts_and_keeps_everything():
    rng = np.random.default_rng(1)
    n = 20_000
    records = Records(
        rng.integers(0, 86_400_000_000, n),
        np.arange(n, dtype=np.int32),
        rng.integers(0, 99, n).astype(np.int32),
        rng.integers(0, 2, n).astype(np.int8),
    )
    records.time_us[:4_000] = 5_000_000_000 + rng.integers(0, 2_000_000, 4_000)
    for carrier in (0, 1):
        mine = np.flatnonzero(records.carrier == carrier)
        order = mine[np.argsort(records.time_us[mine], kind="stable")]
        time_us, user, cell = in_time_order(records, n, carrier, 7)
        assert np.array_equal(time_us, records.time_us[order] + 7)
        assert np.array_equal(user, order)
        assert np.array_equal(cell, records.cell[order])


def test_user_ids_are_unique_and_unrelated():
    ids = user_ids(key_of(1, 0), np.arange(20_000))
    assert ids.shape == (20_000, 32)
    assert len({row.tobytes() for row in ids}) == 20_000
    bits = np.unpackbits(ids, axis=1)
    assert abs(bits.mean() - 0.5) < 0.002
    assert abs((bits[0::2] != bits[1::2]).mean() - 0.5) < 0.002
