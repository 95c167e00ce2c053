"""Every number of disease says what it rests on, derived ones follow from their sources, and the page is true."""

from __future__ import annotations

from math import log
from pathlib import Path

import pytest
from pydantic import ValidationError
from scipy.stats import gamma

from oneteam.core.errors import DocumentError
from oneteam.epidemic.models.document import ModelDocument, Variant, parse
from oneteam.epidemic.models.evidence import Evidence
from oneteam.epidemic.models.presets import preset, preset_text
from oneteam.epidemic.reproduction.burden import SEVERITY, SEVERITY_EVIDENCE
from oneteam.epidemic.reproduction.serial_interval import SERIAL_INTERVAL_EVIDENCE, SERIAL_INTERVALS
from oneteam.epidemic.service.numbers import TITLES, all_numbers, page

PAGE = Path(__file__).parents[3] / "docs" / "epidemic-numbers.md"
NUMBERS = all_numbers()
# CDC, estimated flu burden 2018-19 (final), table 1: symptomatic illnesses, hospitalizations, deaths.
BURDEN = (
    (3_018_815, 21_046, 216),
    (6_622_851, 18_159, 156),
    (9_794_700, 54_978, 1_590),
    (7_224_769, 76_617, 4_396),
    (2_247_586, 204_326, 21_261),
)
# Verity et al. 2020, Lancet Infect Dis 20:669, tables 1 and 3, per cent.
FATAL = (0.00161, 0.00695, 0.0309, 0.0844, 0.161, 0.595, 1.93, 4.28, 7.80)
ADMITTED = (0.0, 0.0408, 1.04, 3.43, 4.25, 8.16, 11.8, 16.6, 18.4)


def number(path: str) -> object:
    return {n.path: n.value for n in NUMBERS}[path]


def by_age(path: str) -> tuple[float, ...]:
    return tuple(number(path).value)  # type: ignore[attr-defined]


@pytest.mark.parametrize("one", NUMBERS, ids=lambda n: n.path)
def test_every_number_has_a_status_and_what_it_needs(one):
    assert one.evidence is not None
    assert one.evidence.status in ("confirmed", "derived", "assumed")
    if one.evidence.status == "confirmed":
        assert any(c.isdigit() for c in one.evidence.source), "a source has at least a year"
    if one.evidence.status == "derived":
        assert one.evidence.source
        assert one.evidence.formula
    if one.evidence.status == "assumed":
        assert len(one.evidence.reason) > 10


def test_the_page_is_true_and_has_every_section():
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(), "write it anew: python -m oneteam.epidemic.service.numbers > docs/epidemic-numbers.md"
    assert {n.path.partition(".")[0] for n in NUMBERS} == set(TITLES)


def test_tables_of_evidence_name_no_number_that_is_not_there():
    assert set(SERIAL_INTERVAL_EVIDENCE) == {f"{name}.{key}" for name in SERIAL_INTERVALS for key in ("mean_d", "sd_d")}
    assert set(SEVERITY_EVIDENCE) == {f"{name}.{key}" for name in SEVERITY for key in ("admitted", "low", "high")}


def test_influenza_severity_is_the_burden_table():
    admitted = [h / ill for ill, h, _ in BURDEN]
    assert SEVERITY["influenza"].admitted == pytest.approx(admitted, rel=0.002)
    assert by_age("models.influenza.progressions.I.H.probability") == pytest.approx(admitted, rel=0.02)
    assert by_age("models.influenza.progressions.H.D.probability") == pytest.approx([d / h for _, h, d in BURDEN], rel=0.005)


def test_covid_severity_follows_from_infections():
    assert SEVERITY["covid19-wild"].admitted == pytest.approx([a / 100 for a in ADMITTED])
    clinical = by_age("models.covid19.progressions.E.P.probability")
    clinical = (*clinical, clinical[-1])
    expected = [a / 100 / c for a, c in zip(ADMITTED, clinical, strict=True)]
    assert by_age("models.covid19.progressions.I.H.probability") == pytest.approx(expected, rel=0.03)
    died = by_age("models.covid19.progressions.H.D.probability")
    assert died[1:] == pytest.approx([f / a for f, a in zip(FATAL[2:], ADMITTED[2:], strict=True)], rel=0.02)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("models.covid19.variants.delta.severity", 1.52 * 2.26),
        ("models.covid19.variants.omicron.severity", 1.52 * 2.26 * 0.41),
        ("models.covid19.variants.omicron.transmissibility", 1.97 * 1.10),
        ("models.covid19.seasonality.amplitude", 0.421 / (2 - 0.421)),
        ("importation.incubation_dispersion", log(1.52)),
    ],
)
def test_derived_numbers_follow_their_formula(path, expected):
    assert number(path) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("models.covid19.progressions.R.days", 280 / log(1 / 0.786)),
        ("models.covid19.progressions.H.days", 1.635 * 3.997),
        ("models.influenza.progressions.V.days", 0.40 / 0.07 * 365.25 / 12),
    ],
)
def test_derived_stays_follow_their_formula(path, expected):
    assert by_age(path) == pytest.approx([expected], rel=0.01)


def test_the_hospital_stay_has_about_the_published_quartiles():
    assert gamma.ppf([0.25, 0.5, 0.75], 1.635, scale=3.997) == pytest.approx([3, 5, 9], abs=0.3)


def test_variants_are_half_when_korea_counted_them():
    shares = {-28: 3.3, -21: 9.9, -14: 23.3, -7: 33.9, 0: 48.0, 14: 73.1, 21: 85.3}
    mean = sum(shares) / len(shares)
    logit = {day: log(p / (100 - p)) for day, p in shares.items()}
    slope = sum((d - mean) * y for d, y in logit.items()) / sum((d - mean) ** 2 for d in logit)
    half = mean - sum(logit.values()) / len(logit) / slope
    delta = preset("covid19").variants[0]
    assert slope == pytest.approx(delta.growth_per_day, abs=0.005)
    # Day 0 is the middle of 18-24 July.
    assert round(half) == (delta.day - delta.day.replace(day=21)).days


@pytest.mark.parametrize(
    "said",
    [
        {"status": "confirmed"},
        {"status": "derived", "source": "a paper"},
        {"status": "derived", "formula": "1 + 1"},
        {"status": "assumed", "source": "a paper"},
        {"status": "sourced", "source": "a paper"},
    ],
)
def test_incomplete_evidence_is_refused(said):
    with pytest.raises(ValidationError):
        Evidence(**said)


def test_evidence_for_no_number_is_refused():
    colour = 'colour = { status = "assumed", reason = "blue" }'
    text = preset_text("seir").replace("[compartments.evidence]", f"[compartments.evidence]\n{colour}")
    with pytest.raises(DocumentError, match="evidence is given for 'colour'; the numbers here are infectiousness, isolatable"):
        parse(text, ModelDocument, "model.toml")
    with pytest.raises(ValidationError, match=r"the numbers here are day, days\.I"):
        Variant(name="x", day="2020-01-01", days={"I": 2.0}, evidence={"days.E": Evidence(status="assumed", reason="no")})


def test_a_model_of_ones_own_needs_no_evidence():
    kept = [line for line in preset_text("seir").splitlines() if "status =" not in line and ".evidence]" not in line]
    model = parse("\n".join(kept), ModelDocument, "model.toml")
    assert all(n.evidence is None for n in model.all_numbers())
    assert len(model.all_numbers()) == len(preset("seir").all_numbers())
