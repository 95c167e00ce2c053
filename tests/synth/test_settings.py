import pytest
from pydantic import ValidationError

from oneteam.core.errors import UnknownValueError
from oneteam.synth.settings import CountrySettings, parse_carriers, zone_info


@pytest.mark.parametrize(
    "text",
    [
        "",
        "north",
        "north:",
        "north:x",
        "north:0",
        "north:-1",
        "north:nan",
        "north:inf",
        ":1",
        "North:1",
        "no rth:1",
        "../x:1",
        "north:1,north:2",
        "truth:1",
        "1a:1",
    ],
)
def test_bad_carriers(text):
    with pytest.raises(UnknownValueError, match="--carriers"):
        parse_carriers(text)


def test_too_many_carriers():
    with pytest.raises(UnknownValueError, match="at most 16"):
        parse_carriers(",".join(f"c{i}:1" for i in range(17)))


def test_unknown_setting_is_refused():
    with pytest.raises(ValidationError):
        CountrySettings(subscriber=1)


def test_unknown_time_zone():
    with pytest.raises(UnknownValueError, match="Asia/Soul"):
        zone_info("Asia/Soul")


def test_persons_and_second_subscriptions_add_up():
    settings = CountrySettings(subscribers=10_800, multi_sim=0.08)
    assert settings.persons == 10_000
