import json

import pytest
import typer
from typer.testing import CliRunner

from oneteam.cli.synth import synth
from oneteam.core.errors import UnknownValueError

app = typer.Typer()
app.command()(synth)


def test_json_summary(tmp_path):
    result = CliRunner().invoke(app, [str(tmp_path / "c"), "--subscribers", "300", "--days", "2", "--zone-count", "4", "--json"])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["subscriptions"] == 300
    assert summary["zones"] == 4
    assert summary["events"] > 0
    assert (tmp_path / "c" / "truth" / "sims.parquet").exists()


def test_plain_summary_and_refusal_of_a_full_folder(tmp_path):
    arguments = [str(tmp_path / "c"), "--subscribers", "300", "--days", "1", "--zone-count", "3", "--no-roaming", "--no-outbreak"]
    first = CliRunner().invoke(app, arguments)
    assert "3 zones, 278 people, 300 subscriptions" in first.stdout
    second = CliRunner().invoke(app, arguments)
    assert "not empty" in str(second.exception)


def test_bad_carriers_reach_the_user(tmp_path):
    result = CliRunner().invoke(app, [str(tmp_path / "c"), "--carriers", "north"])
    assert isinstance(result.exception, UnknownValueError)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("option", [["--days", "0"], ["--subscribers", "0"], ["--multi-sim", "0.9"], ["--start-date", "6.1.2020"]])
def test_values_out_of_range(tmp_path, option):
    assert CliRunner().invoke(app, [str(tmp_path / "c"), *option]).exit_code == 2
