import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneteam.stats.random import derive, key_of, mix, normals, poisson, raw, stream_key, uniform, uniforms

N = 200_000


def test_splitmix64_reference_outputs():
    # The first outputs of the published generator for seed 1234567: its state advances by the golden ratio, then it is mixed.
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert [int(np.uint64(raw(np.uint64(1234567), i))) for i in range(5)] == expected


@given(st.integers(0, 2**63 - 1), st.integers(-(2**40), 2**40), st.integers(-(2**20), 2**20))
def test_keys_and_numbers_are_functions_of_their_arguments(seed, who, when):
    key = key_of(seed, 3, who, when)
    assert key == key_of(seed, 3, who, when)
    assert key != key_of(seed, 4, who, when)
    assert key != key_of(seed, 3, who + 1, when)
    assert key != key_of(seed, 3, who, when + 1)
    assert 0.0 <= uniform(key, 0) < 1.0


def test_small_keys_are_read_like_large_ones():
    assert [uniform(5, i) for i in range(3)] == uniforms(np.uint64(5), 0, 3).tolist()
    assert np.uint64(derive(5, 1)) == np.uint64(derive(np.uint64(5), 1))


def test_ranges_join():
    key = key_of(9, 1)
    assert np.array_equal(uniforms(key, 100, 50), uniforms(key, 0, 200)[100:150])
    assert np.array_equal(normals(key, 100, 50), normals(key, 0, 200)[100:150])


@pytest.mark.parametrize("seed", [0, 1, 2**62])
def test_uniforms_look_uniform(seed):
    u = uniforms(key_of(seed, 7), 0, N)
    counts = np.bincount((u * 64).astype(int), minlength=64)
    assert ((counts - N / 64) ** 2 / (N / 64)).sum() < 120  # 63 degrees of freedom: 1e-5
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.012


def test_neighbouring_keys_are_unrelated():
    first = np.array([uniform(key_of(1, 1, person, 0), 0) for person in range(20_000)])
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.035
    assert abs(first.mean() - 0.5) < 0.01


def test_one_bit_of_the_input_changes_half_of_the_output():
    base = int(np.uint64(mix(np.uint64(12345))))
    changed = [(base ^ int(np.uint64(mix(np.uint64(12345 ^ (1 << bit)))))).bit_count() for bit in range(64)]
    assert 28 < np.mean(changed) < 36
    assert min(changed) > 12


def test_normals_look_normal():
    x = normals(key_of(3, 3), 0, N)
    assert abs(x.mean()) < 0.01
    assert abs(x.std() - 1) < 0.01
    assert abs((x**4).mean() - 3) < 0.1
    assert np.mean(np.abs(x) > 1.959964) == pytest.approx(0.05, abs=0.003)


@pytest.mark.parametrize("mean", [0.0, 0.3, 4.0, 29.0, 31.0, 200.0])
def test_poisson_has_its_mean_and_variance(mean):
    key = key_of(4, 4)
    n = np.array([poisson(key, i, mean) for i in range(20_000)])
    assert n.min() >= 0
    assert n.mean() == pytest.approx(mean, abs=5 * np.sqrt(mean / 20_000) + 1e-9)
    assert n.var() == pytest.approx(mean, rel=0.06, abs=1e-9)


def test_compiled_and_plain_python_agree():
    assert int(np.uint64(stream_key(np.uint64(1), 2, 3, 4))) == int(key_of(1, 2, 3, 4))
