"""The page on bringing one's own events says what the code does."""

import re
import tomllib
from pathlib import Path

import pytest

from oneteam.telecom.ingestion.clean import Verdict
from oneteam.telecom.ingestion.mapping import BUILT_IN, Constants, Mapping
from oneteam.telecom.ingestion.quality import QUARANTINE
from oneteam.telecom.service.ingest import IngestSettings

PAGE = Path(__file__).parents[2] / "docs" / "bring-your-own-events.md"
TEXT = PAGE.read_text(encoding="utf-8")


def reasons():
    """Reason and fields of every row of the table of reasons."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*)\|", TEXT.split("## Quality report")[1], re.MULTILINE)
    return {reason: set(re.findall(r"`(\w+)`", fields)) for reason, fields in rows}


def test_every_reason_and_field_is_documented_and_exists():
    expected: dict[str, set[str]] = {}
    for verdict in Verdict:
        if verdict is not Verdict.ACCEPTED:
            expected.setdefault(verdict.reason, set()).update({verdict.field} - {""})
    assert reasons() == expected


@pytest.mark.parametrize("schema", BUILT_IN)
def test_every_schema_is_documented_with_its_columns(schema):
    (line,) = [line for line in TEXT.splitlines() if line.startswith("| `") and f"`{schema}`" in line.split("|")[1]]
    for column in BUILT_IN[schema].source_columns():
        assert f"`{column}`" in line or column in {"latitude", "longitude"}


def test_the_mapping_example_is_valid_and_names_every_setting():
    document = tomllib.loads(re.search(r"```toml\n(.*?)```", TEXT, re.DOTALL)[1])
    assert Mapping.model_validate(document)
    assert set(document) == set(Mapping.model_fields)
    assert all(name in TEXT for name in Constants.model_fields)


def test_quarantine_columns_are_named():
    assert all(f"`{name}`" in TEXT for name in QUARANTINE.names)


def test_defaults_are_as_stated():
    settings = IngestSettings()
    assert f"`--max-speed` ({settings.max_speed_m_s:g} m/s) over more than {settings.min_distance_m / 1000:g} km" in TEXT
    assert f"(default {settings.timezone})" in TEXT
    assert f"({settings.mcc} for Korea)" in TEXT
