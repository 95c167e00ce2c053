"""Model documents: what is refused, what is compiled, what the presets promise."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from oneteam.core.errors import DocumentError, UnknownValueError
from oneteam.epidemic.models.bands import FIVE_YEARS, Ages
from oneteam.epidemic.models.compiled_model import compile_model
from oneteam.epidemic.models.document import ByAge, ModelDocument, Seasonality, parse
from oneteam.epidemic.models.presets import PRESETS, preset, preset_text

DAY = date(2020, 3, 1)


@pytest.mark.parametrize("name", PRESETS)
def test_every_number_of_a_preset_says_what_it_rests_on(name: str) -> None:
    assert [number.path for number in preset(name).all_numbers() if number.evidence is None] == []


@pytest.mark.parametrize(
    ("old", "new", "path", "said"),
    [
        ('title = "SEIR"', 'titel = "SEIR"', "titel", "unknown key"),
        ('start = "S"', 'start = "X"', "the document", "start names compartment 'X'"),
        ("days = 4.0", "days = 0.5", "progressions.0", "at least 1"),
        ('to = "R" }', 'to = "Q" }', "the document", "progressions[1].ways[0].to names compartment 'Q'"),
        ("infectiousness = 1.0", "infectiousness = 0.0", "the document", "no compartment is infectious"),
        ("isolatable = 1.0", "isolatable = 1.5", "compartments.2.isolatable", "less than or equal to 1"),
        ("reproduction_number = 2.0", "reproduction_number = -1", "reproduction_number", "greater than 0"),
        ('{ to = "R" }', '{ to = "R", probability = 0.5 }', "progressions.1", "the last takes the rest"),
    ],
)
def test_what_a_document_may_not_say(old: str, new: str, path: str, said: str) -> None:
    text = preset_text("seir")
    assert old in text
    with pytest.raises(DocumentError) as caught:
        parse(text.replace(old, new), ModelDocument, "model.toml")
    assert caught.value.message.startswith(f"model.toml: {path}: ")
    assert said in caught.value.message


def test_not_toml_and_no_such_preset() -> None:
    with pytest.raises(DocumentError, match="not TOML"):
        parse("a = ", ModelDocument, "model.toml")
    with pytest.raises(UnknownValueError, match="covid19"):
        preset("plague")


def test_age_bands_are_averaged_by_year() -> None:
    assert Ages((0, 10)).take(ByAge(value=(0.0, 1.0), from_age=(0, 18))).tolist() == [0.0, pytest.approx(0.2)]
    with pytest.raises(ValueError, match="ascend"):
        ByAge(value=(1.0, 2.0), from_age=(0, 0))


def test_infectious_days_are_what_the_stays_add_up_to() -> None:
    seir = compile_model(preset("seir"), Ages((0,)), DAY, 5)
    assert seir.infectious_days().tolist() == [pytest.approx(5.0)]
    covid = compile_model(preset("covid19"), FIVE_YEARS, DAY, 5)
    clinical = FIVE_YEARS.take(preset("covid19").progressions[0].ways[0].probability)
    assert covid.infectious_days() == pytest.approx(clinical * (2.1 + 2.9) + (1 - clinical) * 0.5 * 5.0)


def test_shares_of_ways_multiply_to_the_probabilities() -> None:
    text = preset_text("seir").replace(
        'ways = [{ to = "R" }]', 'ways = [{ to = "R", probability = 0.2 }, { to = "S", probability = 0.3 }, { to = "E" }]'
    )
    a = compile_model(parse(text, ModelDocument, "m"), Ages((0,)), DAY, 1).arrays
    first, second, third = a.share[0, a.group_branch[2] :, 0]
    assert (first, (1 - first) * second, third) == (pytest.approx(0.2), pytest.approx(0.3), 1.0)


def test_a_variant_takes_over_on_its_day() -> None:
    covid = preset("covid19")
    compiled = compile_model(covid, FIVE_YEARS, date(2021, 1, 1), 500)
    delta = (date(2021, 7, 23) - date(2021, 1, 1)).days
    assert compiled.transmissibility[0] == pytest.approx(1.0, abs=1e-6)
    assert compiled.transmissibility[delta] == pytest.approx((1 + 1.97) / 2, abs=1e-3)
    assert compiled.transmissibility[-1] == pytest.approx(2.17, abs=1e-3)
    recovered = [c.name for c in covid.compartments].index("R")
    group = int(np.flatnonzero(compiled.arrays.group_source == recovered)[0])
    immune = compiled.arrays.susceptibility[compiled.epoch, group, 0]
    assert (immune[0], immune[-1]) == (0.0, pytest.approx(0.44, abs=1e-3))
    # Severity moves odds, so that no probability passes 1.
    assert compiled.arrays.share.max() <= 1.0


def test_a_document_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(DocumentError, match="nested too deeply"):
        parse("a = " + "[" * 50_000, Seasonality, "deep.toml")
