import pytest

from oneteam.telecom.ingestion.mcc import (
    COUNTRY_OF_MCC,
    countries_by_mcc,
    country_number,
    country_of_mcc,
    country_of_plmn,
    country_text,
    mcc_of_plmn,
)

# Spot checks against the published list, two or more per world region.
KNOWN = {
    202: "GR", 208: "FR", 216: "HU", 234: "GB", 235: "GB", 250: "RU", 262: "DE", 286: "TR", 302: "CA", 310: "US", 316: "US", 334: "MX",
    404: "IN", 405: "IN", 420: "SA", 424: "AE", 428: "MN", 440: "JP", 450: "KR", 452: "VN", 454: "HK", 455: "MO", 460: "CN", 466: "TW",
    467: "KP", 502: "MY", 505: "AU", 510: "ID", 515: "PH", 520: "TH", 525: "SG", 530: "NZ", 602: "EG", 621: "NG", 639: "KE", 655: "ZA",
    659: "SS", 704: "GT", 716: "PE", 724: "BR", 750: "FK",
}  # fmt: skip


@pytest.mark.parametrize(("mcc", "country"), KNOWN.items())
def test_known_codes(mcc, country):
    assert country_of_mcc(mcc) == country


def test_the_table_is_whole_and_well_formed():
    assert len(COUNTRY_OF_MCC) >= 230
    assert all(202 <= mcc <= 750 for mcc in COUNTRY_OF_MCC)
    assert all(country_number(country) >= 0 for country in COUNTRY_OF_MCC.values())
    assert len(set(COUNTRY_OF_MCC.values())) >= 215


@pytest.mark.parametrize("mcc", [0, 1, 201, 901, 999])
def test_codes_of_no_country(mcc):
    assert country_of_mcc(mcc) is None


@pytest.mark.parametrize(("plmn", "mcc"), [(45005, 450), (310260, 310), (9_999, -1), (1_000_000, -1), (-1, -1)])
def test_plmn_of_five_or_six_digits(plmn, mcc):
    assert mcc_of_plmn(plmn) == mcc


def test_plmn_country():
    assert country_of_plmn(44010) == "JP"
    assert country_of_plmn(90112) is None


def test_country_numbers_round_trip_and_sort_like_text():
    countries = sorted(set(COUNTRY_OF_MCC.values()))
    numbers = [country_number(c) for c in countries]
    assert numbers == sorted(numbers)
    assert [country_text(n) for n in numbers] == countries
    assert [country_number(c) for c in ("kr", "K", "KOR", "K1", "한국")] == [-1] * 5


def test_lookup_array_equals_the_table():
    array = countries_by_mcc()
    assert {i: country_text(n) for i, n in enumerate(array.tolist()) if n >= 0} == dict(COUNTRY_OF_MCC)
