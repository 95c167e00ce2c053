"""``oneteam privacy attack`` as an officer meets it."""

import json

import pytest
from typer.testing import CliRunner

from oneteam.cli.privacy import app

SMALL = ["attack", "--subscribers", "800", "--zone-count", "12", "--days", "3", "--targets", "1", "--max-keys", "4", "--rho-total", "0.1"]


@pytest.fixture(scope="module")
def run():
    return lambda *words: CliRunner().invoke(app, [*SMALL, *words])


def test_the_gate_holds_and_the_controls_are_broken(run):
    done = run("--trials", "2000", "--json")
    body = json.loads(done.stdout)
    found = {(f["attack"], f["arm"], f["who"]): f for f in body["findings"]}
    assert len(found) == 8
    for (_, arm, _), finding in found.items():
        if arm == "gate":
            assert finding["as_expected"]
        if arm == "plain":
            assert finding["auc"] == 1.0
    assert body["ok"] is all(f["as_expected"] for f in body["findings"])
    assert done.exit_code == (0 if body["ok"] else 1)


def test_half_the_noise_is_found_out_and_said(run):
    done = run("--trials", "2000", "--noise-factor", "0.5")
    assert done.exit_code == 1
    assert "LEAKS" in done.stdout
    assert "FAILS" in done.stdout
