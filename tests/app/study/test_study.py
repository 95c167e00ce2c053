"""The joint study over three carriers' homes: Releases, refusals, every piece of the layout, resuming, and the same bytes again."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from oneteam.alliance.home import Home
from oneteam.app.study.folder import StudyFolder
from oneteam.app.study.run import Ran, run_study
from oneteam.app.study.running import TITLES
from oneteam.app.study.verifying import verify
from oneteam.app.whatif import worker
from oneteam.app.whatif.base import read_base
from oneteam.app.whatif.plan import Plan, scenario_of, written
from oneteam.cli.main import app
from oneteam.core.errors import BadSignatureError, DatasetBusyError, DiskFullError, FileUnreadableError, UnknownValueError
from oneteam.core.model import Alert, Context
from oneteam.core.progress import silent
from oneteam.privacy.combine import read_release
from oneteam.store import tables
from tests.app.study.conftest import listed, read, study_text


def run(root: Path, out: Path, **given: object) -> Ran:
    file = root / "study.toml"
    if not file.exists():
        file.write_text(study_text())
    return asyncio.run(run_study(file, out, **given))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def done(alliance: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Path]:
    """The study, run once."""
    out = tmp_path_factory.mktemp("study") / "out"
    return run(alliance, out), out


def test_every_step_is_done_and_every_piece_is_there(done: tuple[Ran, Path]) -> None:
    ran, out = done
    assert dict(ran.states) == dict.fromkeys((name for name, _ in TITLES), "done"), ran.failed
    pieces = """study.toml progress.json summary.json provenance.json contexts.jsonl releases/refusals.json zones.csv zones.geojson
        places.geojson mobility/od.parquet mobility/od.csv mobility/movement.csv arrivals/arrivals.parquet data/time-series.parquet
        forecasts/model-output scores/scores.json situation/situation.json importation/importation.json scenario.toml
        scenario/comparison.json alerts/alerts.json notices/notices.json truth/truth.json report.html notes.txt"""
    assert [name for name in pieces.split() if not (out / name).exists()] == []
    summary = read(out / "summary.json")
    assert summary["format"] == "oneteam-summary/1"
    assert {code: len(words) for code, words in summary["sentences"].items()} == {"en": 3, "ko": 3}
    assert summary["places"][0].keys() >= {"location", "name", "probability", "probability_before", "expected_per_100k"}
    states = {step["step"]: step["state"] for step in read(out / "progress.json")["steps"]}
    assert set(states.values()) == {"done"}


def test_releases_are_signed_and_paid_once(done: tuple[Ran, Path], alliance: Path) -> None:
    ran, out = done
    lookup = Home.open(alliance / "agency").lookup()
    found = [read_release(p.read_bytes(), lookup) for p in sorted((out / "releases").glob("*.json")) if p.name != "refusals.json"]
    assert sorted(r.query.measure for r in found) == ["arrivals", "arrivals", "od", "od", "travellers"]
    told = read(out / "provenance.json")
    assert told["rho_spent"] == pytest.approx(sum(r.rho for r in found)) == pytest.approx(2 * 0.2 + 3 * 0.02)
    assert ran.rho_spent_now == pytest.approx(told["rho_spent"])
    assert {row["file"] for row in told["releases"]} == {f"releases/{p.name}" for p in (out / "releases").glob("[0-9a-f]*.json")}


def test_refusals_are_shown_and_kept_and_the_study_goes_on(done: tuple[Ran, Path]) -> None:
    ran, out = done
    kept = read(out / "releases" / "refusals.json")
    assert [row["measure"] for row in kept] == ["presence", "od"]
    assert "no agreement with the measure 'presence'" in kept[0]["message"]
    assert kept[1]["code"].startswith("trust.refused")
    assert "rho" in kept[1]["code"]
    assert [dict(row) for row in ran.refusals] == kept == read(out / "provenance.json")["refusals"]


def test_the_mobility_table_carries_the_stated_noise_and_tells_no_small_number(done: tuple[Ran, Path]) -> None:
    table = pq.read_table(done[1] / "mobility" / "od.parquet")
    assert set(table["first_day"].to_pylist()) == {date(2020, 2, 24), date(2020, 3, 2)}
    counted = table["trips_per_day"].to_numpy() * 7
    hidden = table["hidden"].to_numpy(zero_copy_only=False)
    assert (counted[~hidden] >= 5 - 1e-9).all()
    assert table["raw"].filter(table["hidden"]).null_count == hidden.sum()
    assert (table["std"].to_numpy() > 0).mean() > 0.9
    arrivals = pq.read_table(done[1] / "arrivals" / "arrivals.parquet")
    assert arrivals.column_names == ["day", "country", "value", "std", "hidden"]
    assert arrivals.num_rows == 14 * 16


def test_nothing_after_the_day_is_used(done: tuple[Ran, Path], own: Path, tmp_path: Path) -> None:
    out = done[1]
    days = [line.split(",")[0] for line in (out / "inputs" / "cases_daily.csv").read_text().splitlines()[1:]]
    assert max(days) == "2020-03-08"
    later = [line for line in (own / "country/agency/cases_daily.csv").read_text().splitlines()[1:] if line[:10] > "2020-03-08"]
    assert later
    # Another future changes nothing but the comparison with it.
    file = own / "country/agency/cases_daily.csv"
    kept = [line for line in file.read_text().splitlines() if line not in later]
    file.write_text("\n".join([*kept, *(f"{line.rpartition(',')[0]},77" for line in later)]) + "\n")
    shutil.copytree(out, tmp_path / "copy")
    again = run(own, tmp_path / "copy")
    assert {name for name, state in again.states.items() if state == "done"} <= {"inputs", "alerts", "notices", "truth", "report"}
    assert listed(out)["forecasts/backtest.json"] == listed(tmp_path / "copy")["forecasts/backtest.json"]


def test_one_chain_of_causes_links_everything(done: tuple[Ran, Path]) -> None:
    lines = (done[1] / "contexts.jsonl").read_text().splitlines()
    contexts = [Context.model_validate_json(line) for line in lines]
    known: set[str] = set()
    for context in contexts:
        assert context.parent is None or context.parent in known, context
        known.add(context.id)
    assert [c for c in contexts if c.parent is None] == contexts[:1]
    for raw in read(done[1] / "alerts" / "alerts.json"):
        alert = Alert.model_validate(raw)
        assert alert.context is not None
        assert alert.context.id in known
        assert (done[1] / "alerts" / f"{alert.id}.xml").is_file()
    for row in read(done[1] / "notices" / "notices.json"):
        assert row["command"]["context"]["id"] in known


def test_carriers_answered_and_the_count_is_a_release(done: tuple[Ran, Path], alliance: Path) -> None:
    rows = read(done[1] / "notices" / "notices.json")
    assert {row["member"]: row["answered"] for row in rows} == dict.fromkeys(("skylark", "horizon", "bluewave"), "accepted")
    assert len({row["count"]["release"] for row in rows}) == 1
    assert list((alliance / "skylark" / "notices").iterdir())


def test_the_truth_tells_how_right_it_was(done: tuple[Ran, Path]) -> None:
    told = read(done[1] / "truth" / "truth.json")
    assert told["forecast"]["wis"] > 0
    assert told["forecast"]["tasks"] > 0
    assert told["od"]["mean_of_periods"]["correlation"] > 0.5
    assert 0 < told["od"]["mean_of_periods"]["noise_share_of_raw_error"] <= 1
    assert told["od"]["mean_of_periods"]["error"] < told["od"]["mean_of_periods"]["raw_error"]
    assert -1 <= told["importation"]["spearman"] <= 1
    assert told["privacy"]["releases"] == 5


def test_a_rerun_spends_nothing_asks_nobody_and_gives_the_same_bytes(done: tuple[Ran, Path], own: Path, tmp_path: Path) -> None:
    before = listed(done[1])
    for name in ("skylark", "horizon", "bluewave", "university"):
        # Nobody is needed: without its log a node would refuse to start.
        shutil.rmtree(own / name)
    shutil.copytree(done[1], tmp_path / "out")
    again = run(own, tmp_path / "out")
    assert (again.new_releases, again.rho_spent_now) == (0, 0.0)
    assert set(again.states.values()) == {"reused"}
    after = listed(tmp_path / "out")
    assert {n for n in before if before[n] != after.get(n)} == {".steps/root.json"}
    assert before.keys() == after.keys()


def test_the_same_releases_give_the_same_bytes_in_another_folder(done: tuple[Ran, Path], own: Path, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere"
    for name in ("releases", "notices"):
        shutil.copytree(done[1] / name, out / name)
    (out / ".lock").touch()
    again = run(own, out)
    assert again.rho_spent_now == 0
    before, after = listed(done[1]), listed(out)
    assert before.keys() == after.keys()
    assert {n for n in before if before[n] != after[n]} == {".steps/root.json"}


def test_killed_in_the_middle_it_goes_on_to_the_same_bytes(done: tuple[Ran, Path], own: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    for name in ("releases", "notices"):
        shutil.copytree(done[1] / name, out / name)
    (out / ".lock").touch()
    command = ["study", "run", str(own / "study.toml"), "--out", str(out), "-q"]
    script = "from oneteam.cli.main import main; main()"
    process = subprocess.Popen([sys.executable, "-c", script, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(out.glob("forecasts/model-output/*/*.parquet")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "report.html").exists(), "it ended before it was killed"
    run(own, out)
    before, after = listed(done[1]), listed(out)
    assert before.keys() == after.keys()
    assert {n for n in before if before[n] != after[n]} == {".steps/root.json"}


def test_a_changed_setting_redoes_only_what_rests_on_it(done: tuple[Ran, Path], own: Path, tmp_path: Path) -> None:
    shutil.copytree(done[1], tmp_path / "out")
    (own / "study.toml").write_text(study_text().replace("effectiveness = 0.3", "effectiveness = 0.5"))
    again = run(own, tmp_path / "out")
    assert again.states["scenario"] == again.states["report"] == "done"
    same = ("inputs", "releases", "mobility", "data", "forecasts", "scores", "situation", "importation", "alerts", "notices")
    assert {again.states[name] for name in same} == {"reused"}


def test_verify_finds_what_was_changed(done: tuple[Ran, Path], tmp_path: Path) -> None:
    shutil.copytree(done[1], tmp_path / "out")
    folder = StudyFolder(tmp_path / "out")
    assert verify(folder).valid
    release = next(p for p in sorted(folder.path("releases").glob("*.json")) if p.name != "refusals.json")
    told = json.loads(release.read_text())
    release.write_text(release.read_text().replace(f'"smallest_count":{told["smallest_count"]}', '"smallest_count":1'))
    with folder.path("mobility/movement.csv").open("a") as file:
        file.write("2020-02-17,11,1,1\n")
    found = verify(folder)
    assert {code for code, _ in found.faults} == {"storage.corrupt", "trust.bad_signature"}
    result = CliRunner().invoke(app, ["study", "verify", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 77
    assert not json.loads(result.stdout)["valid"]


@pytest.mark.parametrize(
    "name", ["contexts.jsonl", "releases/refusals.json", "report.html", "summary.json", "alerts/alerts.json", "notes.txt"]
)
def test_verify_finds_a_change_in_any_file(done: tuple[Ran, Path], tmp_path: Path, name: str) -> None:
    shutil.copytree(done[1], tmp_path / "out")
    with (tmp_path / "out" / name).open("ab") as file:
        file.write(b" \n" if not name.endswith("refusals.json") else b"")
    if name.endswith("refusals.json"):
        (tmp_path / "out" / name).write_text("[]")
    assert [message.partition(":")[0] for _, message in verify(StudyFolder(tmp_path / "out")).faults] == [name]


def test_verify_finds_what_was_added_and_trusts_no_home_in_the_study(done: tuple[Ran, Path], alliance: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(done[1], out)
    (out / "alerts" / "more.xml").write_text("<alert/>")
    agreement = next((out / "agreements").glob("*.json"))
    agreement.write_text(agreement.read_text() + " ")
    names = {message.partition(":")[0] for _, message in verify(StudyFolder(out)).faults}
    assert {"alerts/more.xml", f"agreements/{agreement.name}"} <= names
    (out / ".steps" / "root.json").write_text(json.dumps({"root": str(out)}))
    with pytest.raises(UnknownValueError, match="within the study"):
        verify(StudyFolder(out))
    told = read(out / "provenance.json")
    told["steps"][0]["outputs"]["../../elsewhere"] = "0" * 64
    (out / "provenance.json").write_text(json.dumps(told))
    with pytest.raises(FileUnreadableError, match="below the study"):
        verify(StudyFolder(out), alliance / "agency")


def test_a_study_is_its_owners_and_no_link_leads_out_of_it(done: tuple[Ran, Path], tmp_path: Path) -> None:
    assert done[1].stat().st_mode & 0o077 == 0
    (tmp_path / "other").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "study.toml").touch()
    (tmp_path / "out" / ".lock").symlink_to(tmp_path / "other" / "made")
    with pytest.raises(UnknownValueError, match="cannot be opened"), StudyFolder(tmp_path / "out").claimed():
        pass
    assert not (tmp_path / "other" / "made").exists()


def test_a_broken_release_is_never_used(done: tuple[Ran, Path], own: Path, tmp_path: Path) -> None:
    shutil.copytree(done[1], tmp_path / "out")
    release = next(p for p in (tmp_path / "out" / "releases").glob("*.json") if p.name != "refusals.json")
    release.write_text(release.read_text().replace('"recipient":"agency"', '"recipient":"horizon"'))
    with pytest.raises(BadSignatureError, match="not signed as it stands"):
        run(own, tmp_path / "out")
    assert "failed" in {step["state"] for step in read(tmp_path / "out" / "progress.json")["steps"]}


def test_a_release_of_another_question_is_not_kept(
    done: tuple[Ran, Path], own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookup = Home.open(own / "agency").lookup()
    kept = [p for p in (done[1] / "releases").glob("*.json") if p.name != "refusals.json"]
    other = next(r for r in (read_release(p.read_bytes(), lookup) for p in kept) if r.query.measure == "arrivals")
    monkeypatch.setattr("oneteam.app.study.releases.release_of", lambda _: other)
    with pytest.raises(BadSignatureError, match="Release of another query"):
        run(own, tmp_path / "out")
    assert [p for p in (tmp_path / "out").glob("releases/*.json") if p.name != "refusals.json"] == []


def test_full_disk_stops_it_and_the_next_run_goes_on(
    done: tuple[Ran, Path], own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(done[1], out)
    (out / "report.html").unlink()
    real = tables.write_atomically

    def full(path: Path, content: bytes, **more: object) -> None:
        if path.name == "report.html":
            raise DiskFullError("no room on the disk while writing report.html; nothing was changed")
        real(path, content, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr("oneteam.epidemic.service.report.write_atomically", full)
        with pytest.raises(DiskFullError):
            run(own, out)
        assert {s["state"] for s in read(out / "progress.json")["steps"] if s["step"] == "report"} == {"failed"}
    assert run(own, out).states["report"] == "done"
    assert listed(out)["report.html"] == listed(done[1])["report.html"]


def test_two_cannot_run_one_study(done: tuple[Ran, Path], alliance: Path, tmp_path: Path) -> None:
    with StudyFolder(tmp_path / "out").claimed(), pytest.raises(DatasetBusyError):
        run(alliance, tmp_path / "out")


def test_the_commands_tell(done: tuple[Ran, Path], alliance: Path) -> None:
    runner = CliRunner()
    result = runner.invoke(app, ["study", "run", str(alliance / "study.toml"), "--out", str(done[1]), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["rho_spent_now"] == 0
    result = runner.invoke(app, ["study", "show", str(done[1])])
    assert "Releases" in result.stdout
    result = runner.invoke(app, ["study", "verify", str(done[1])])
    assert "signatures hold" in result.stdout


def test_noise_reaches_the_scenario(done: tuple[Ran, Path]) -> None:
    told = read(done[1] / "scenario" / "comparison.json")
    assert told["draws"] == 2
    assert any("Mobility is uncertain" in note for note in told["notes"])
    assert np.isfinite(told["averted"]["infections"]["share"]["median"])


def test_another_measure_over_the_finished_study(done: tuple[Ran, Path], tmp_path: Path) -> None:
    """The what-if of the pages: with the study's own measures it finds what the study found."""
    shutil.copytree(done[1], tmp_path / "out")
    base = read_base(tmp_path / "out")
    measures = base.scenario.measures
    averted = []
    for name, effectiveness in (("a" * 12, measures[0].effectiveness), ("b" * 12, 0.9)):
        plan = Plan(members=base.scenario.run.members, measures=(measures[0].model_copy(update={"effectiveness": effectiveness}),))
        folder = tmp_path / "out" / "whatif" / name
        folder.mkdir(parents=True)
        (folder / "scenario.toml").write_text(written(scenario_of(plan, base, folder)))
        worker.run(folder, tmp_path / "out", silent)
        averted.append(read(folder / "comparison.json")["averted"]["infections"]["share"]["median"])
    assert averted[0] == read(done[1] / "scenario" / "comparison.json")["averted"]["infections"]["share"]["median"]
    assert averted[1] > averted[0]
    assert verify(StudyFolder(tmp_path / "out")).valid, "what others write beside the study is not the study's"
