from pathlib import Path

import pytest

from oneteam.core.errors import FileUnreadableError, MappingError, MissingColumnError, UnknownValueError
from oneteam.telecom.ingestion.mapping import BUILT_IN, Mapping, detect_schema, load_mapping, schema_mapping

EXAMPLES = Path(__file__).parents[3] / "examples" / "mappings"
CALLS = "id outgoing datetime duration network msisdn msisdn_counterpart location_id imsi imei tac operator_code country_code"
SMS = "id outgoing datetime network msisdn msisdn_counterpart location_id imsi imei tac operator_code country_code"
MDS = "id datetime duration volume_total volume_upload volume_download msisdn location_id imsi imei tac operator_code country_code"
TOPUPS = "id datetime type recharge_amount airtime_fee tax_and_fee pre_event_balance post_event_balance msisdn location_id imsi imei tac"
TOPOLOGY = (
    "cell_id latitude longitude altitude antenna_height directionality azimuth_angle elevation_angle horizontal_beam_width "
    "vertical_beam_width power range frequency technology valid_date_start valid_date_end cell_type"
)


@pytest.mark.parametrize(
    ("columns", "schema"),
    [
        ("user_id timestamp mcc mnc plmn cell_id latitude longitude loc_error", "multimno"),
        ("user_id timestamp mcc cell_id", "multimno"),
        (TOPOLOGY, "multimno-topology"),
        (CALLS, "flowkit-calls"),
        (SMS, "flowkit-calls"),
        (MDS, "flowkit-mds"),
        (TOPUPS, "flowkit-topups"),
        ("msisdn datetime location_id", "flowkit-sms"),
        ("id location_id lon lat", "flowkit-cells"),
        ("id longitude latitude", "flowkit-cells"),
        ("user_id timestamp plmn country event_type", "roaming-outbound"),
        ("user_id timestamp cell_id mcc country", "roaming-inbound"),
    ],
)
def test_schema_is_seen_by_the_columns(columns, schema):
    assert detect_schema(columns.split(), "f") == schema
    assert schema_mapping("auto", columns.split(), "f")[0] == schema


def test_nearest_schema_and_lacking_columns_are_named():
    with pytest.raises(
        MissingColumnError, match=r"f\.csv: fits no known schema \(nearest: multimno\): no column 'mcc', 'cell_id'"
    ) as caught:
        detect_schema(["user_id", "timestamp", "foo"], "f.csv")
    assert "mapping" in caught.value.hint


def test_missing_columns_of_a_named_schema():
    with pytest.raises(MissingColumnError, match="'timestamp'"):
        schema_mapping("multimno", ["user_id", "mcc", "cell_id"], "f.csv")


def test_unknown_schema_lists_the_known():
    with pytest.raises(UnknownValueError, match="multimno-topology"):
        schema_mapping("flokit", ["a"], "f.csv")


def test_flowkit_cells_prefer_the_id_that_events_name():
    _, mapping = schema_mapping("flowkit-cells", ["id", "location_id", "lon", "lat"], "f")
    assert mapping.source_columns()[:3] == ["location_id", "lat", "lon"]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda p: p.stem)
def test_examples_load(path):
    assert load_mapping(path).columns


def test_every_setting_has_a_description_and_every_built_in_is_consistent():
    assert all(field.description for field in Mapping.model_fields.values())
    for mapping in BUILT_IN.values():
        assert set(mapping.optional) <= set(mapping.columns)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind = 'events'", "columns: Field required"),
        ("colums = {}\n[columns]\nuser_id='a'", "colums: Extra inputs"),
        ("[columns]\nuser_id='a'\ncell_id='c'", "columns.timestamp is needed"),
        ("[columns]\nuser_id='a'\ntimestamp='t'", "needs cell_id, or latitude and longitude"),
        ("[columns]\nuser_id='a'\ntimestamp='t'\nlatitude='y'", "latitude and longitude together"),
        ("[columns]\nuser_id='a'\ntimestamp='t'\ncell='y'", "columns.cell means nothing for kind 'events'"),
        ("[columns]\nuser_id=['a','b']\ntimestamp='t'\ncell_id='y'", "must name one column"),
        ("[columns]\nuser_id='a'\ntimestamp='t'\ncell_id=[]", "must name one column"),
        ("kind='outbound'\n[columns]\nuser_id='a'\ntimestamp='t'", "country or plmn"),
        ("timezone='Asia/Soul'\n[columns]\nuser_id='a'\ntimestamp='t'\ncell_id='c'", "Asia/Soul"),
        ("time_format='%d.%m.%Y %z'\n[columns]\nuser_id='a'\ntimestamp='t'\ncell_id='c'", "cannot hold %z"),
        ("time_format='unix'\n[columns]\nuser_id='a'\ntimestamp='t'\ncell_id='c'", "must be iso"),
        ("[columns]\nuser_id='a'\ntimestamp='t'\ncell_id='c'\n[constants]\nmcc=4500", "constants.mcc"),
        ("[columns\n", "not TOML"),
    ],
)
def test_impossible_mappings_name_the_place(tmp_path, text, message):
    path = tmp_path / "m.toml"
    path.write_text(text)
    with pytest.raises((MappingError, UnknownValueError), match="(?s)" + message.replace("(", r"\(").replace("%", "%")):
        load_mapping(path)


def test_mapping_file_that_is_not_there(tmp_path):
    with pytest.raises(FileUnreadableError, match=r"no\.toml"):
        load_mapping(tmp_path / "no.toml")
