"""The command line as a user meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oneteam.cli import main as cli
from oneteam.core.part import Part, installed_parts
from tests.telecom.datasets import random_events, write_dataset, zones_of_cells

Run = tuple[int, str, str]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def call(*words: object) -> Run:
        monkeypatch.setattr(sys, "argv", ["oneteam", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data", random_events(3, subscribers=20), cell_zones=zones_of_cells(12, 5))


def test_help_needs_no_data_engine() -> None:
    """Help is quick because nothing heavy is imported for it."""
    heavy = {"numpy", "pyarrow", "pandas", "duckdb", "ibis", "numba", "scipy", "shapely", "pydantic", "matplotlib"}
    heavy |= {"cryptography", "httpx", "joserfc", "lightgbm", "opendp", "starlette", "uvicorn", "sqlite3"}
    program = f"import sys, oneteam.cli.main; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["synth", "-h"],
        ["telecom", "--help"],
        ["telecom", "ingest", "-h"],
        ["telecom", "measure", "-h"],
        ["telecom", "plot", "-h"],
        ["telecom", "weigh", "-h"],
        ["telecom", "notify", "travellers", "-h"],
        ["telecom", "notify", "exposed", "-h"],
    ],
)
def test_help(run, words: list[str]) -> None:
    code, out, _ = run(*words)
    assert code == 0
    assert "Usage" in out


def test_a_library_of_an_extra_that_is_not_installed_is_named(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        f"sys.argv = ['oneteam', 'member', 'show', '--home', {str(tmp_path)!r}]\n"
        "from oneteam.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 69
    assert "engine.missing_extra" in done.stderr
    assert "oneteam[alliance]" in done.stderr


def test_version_and_parts(run) -> None:
    assert run("--version")[1].startswith("oneteam ")
    code, out, _ = run("parts", "--json")
    assert code == 0
    assert {"part": "telecom", "measure": "od"}.items() <= next(row for row in json.loads(out) if row["measure"] == "od").items()
    assert all(isinstance(part, Part) for part in installed_parts().values())


def test_measures_in_both_languages(run) -> None:
    code, out, _ = run("telecom", "measures")
    assert code == 0
    assert "presence" in out
    assert "거주" in out


def test_measure_prints_a_table(run, data: Path) -> None:
    code, out, _ = run("telecom", "measure", "od", "--data", data, "--rows", 3)
    assert code == 0
    assert "more rows" in out
    assert "5 days computed" in out.replace("\n", " ")
    assert "0 days computed" in run("telecom", "measure", "od", "--data", data)[1].replace("\n", " ")


def test_measure_writes_files_and_says_so_to_machines(run, data: Path, tmp_path: Path) -> None:
    code, out, _ = run(
        "telecom", "measure", "od", "home", "--data", data, "--out", tmp_path / "r", "--contributions", tmp_path / "c", "--json"
    )
    assert code == 0
    assert [entry["measure"] for entry in json.loads(out)] == ["od", "home"]
    assert (tmp_path / "r" / "od.parquet").exists()
    assert (tmp_path / "c" / "home.parquet").exists()
    code, out, _ = run("telecom", "measure", "presence", "--data", data, "--json")
    assert json.loads(out)[0]["table"][0].keys() >= {"day", "hour", "zone", "value", "subscribers", "active"}


def test_footprints_and_weights(run, data: Path, tmp_path: Path) -> None:
    code, out, err = run("telecom", "measure", "presence", "--data", data, "--footprint", "--json")
    assert code == 0, err
    rows = json.loads(out)[0]["table"]
    assert any(row["value"] % 1 for row in rows)
    census = tmp_path / "census.csv"
    census.write_text("code,population,region\n" + "".join(f"{z:05d},{1000 * (z + 1)},{z // 2}\n" for z in range(5)))
    assert run("telecom", "measure", "home", "--data", data, "--to", "x")[0] == 2
    assert run("telecom", "measure", "home", "--data", data, "--out", tmp_path / "home.parquet")[0] == 0
    code, out, err = run("telecom", "weigh", tmp_path / "home.parquet", census, "--out", tmp_path / "w.csv", "--json")
    assert code == 0, err
    code, out, err = run("telecom", "measure", "home", "--data", data, "--weights", tmp_path / "w.csv", "--from", "2020-02-01", "--json")
    assert code == 0, err
    persons = sum(row["persons"] for row in json.loads(out)[0]["table"])
    assert persons == pytest.approx(15_000)


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["telecom", "measure", "od", "--data", "nowhere"], 2, "input.nothing_found"),
        (["telecom", "measure", "odd", "--data", "DATA"], 2, "input.unknown_value"),
        (["telecom", "measure", "od", "--data", "DATA", "--engine", "abacus"], 2, "input.unknown_value"),
        (["telecom", "measure", "od", "--data", "DATA", "--by", "street"], 2, "input.unknown_value"),
        (["telecom", "measure", "od", "--data", "DATA", "--footprint"], 2, "input.unknown_value"),
        (["telecom", "measure", "work", "--data", "DATA", "--engine", "kernel"], 69, "engine.unsupported_measure"),
        (["telecom", "measure", "od", "--data", "DATA", "--out", "od.xlsx"], 2, "input.unknown_value"),
        (["telecom", "measure", "od", "--data", "DATA", "--min-stay-min", "1"], 2, "input.unknown_value"),
        (["telecom", "plot", "nothing.parquet", "--out", "x.png"], 2, "input.file_unreadable"),
        (["telecom", "plot", "nothing.parquet", "--out", "x.png", "--lang", "fr"], 2, "input.unknown_value"),
        (["telecom", "notify", "travellers", "--data", "DATA", "--countries", "Atlantis", "--out", "x.csv"], 2, "input.unknown_value"),
    ],
)
def test_errors_have_a_code_and_say_what_is_right(run, data: Path, words: list[str], code: int, error: str) -> None:
    words = [str(data) if word == "DATA" else word for word in words]
    got, out, err = run(*words, "--json")
    assert (got, json.loads(err)["error"]["code"]) == (code, error)
    assert out == ""
    got, out, err = run(*words)
    assert got == code
    assert f"[{error}]" in err
    assert "Traceback" not in err


def test_a_folder_that_may_not_be_written(run, data: Path) -> None:
    code, _, err = run("telecom", "measure", "od", "--data", data, "--out", "/proc/nothing/od.parquet", "--json")
    assert code == 74
    assert json.loads(err)["error"]["code"] == "storage"


def test_quality(run, data: Path) -> None:
    code, out, _ = run("telecom", "quality", "--data", data, "--json")
    assert code == 0
    body = json.loads(out)
    assert (body["first_day"], body["last_day"], body["subscribers"]) == ("2020-01-30", "2020-02-03", 20)
    assert body["cells_without_coordinates"] == 12
    assert "20 subscribers" in run("telecom", "quality", "--data", data)[1]


def test_recode(run, data: Path, tmp_path: Path) -> None:
    run("telecom", "measure", "od", "--data", data, "--out", tmp_path / "od.parquet")
    walk = tmp_path / "walk.csv"
    walk.write_text("from_code,to_code\n" + "".join(f"{z:05d},{'east' if z < 3 else 'west'}\n" for z in range(5)))
    code, _, err = run(
        "telecom", "recode", tmp_path / "od.parquet", walk, "--out", tmp_path / "new.csv", "--zone-version", "halves", "--json"
    )
    assert code == 0, err
    assert {line.split(",")[1] for line in (tmp_path / "new.csv").read_text().splitlines()[1:]} == {'"east"', '"west"'}
    walk.write_text("from_code,to_code\n00000,east\n")
    code, _, err = run(
        "telecom", "recode", tmp_path / "od.parquet", walk, "--out", tmp_path / "new.csv", "--zone-version", "halves", "--json"
    )
    assert json.loads(err)["error"]["code"] == "input.unknown_value"


def test_text_in_brackets_is_text(run, tmp_path: Path) -> None:
    events = random_events(3, subscribers=5)
    cells = [{"cell": c, "cell_id": "[/x]" if c % 2 else "[bold]"} for c in range(12)]
    data = write_dataset(tmp_path / "data", events, cells=cells)
    code, out, _ = run("telecom", "measure", "days_seen", "--data", data)
    assert code == 0
    assert "[/x]" in out
    assert "[m/s]" in run("telecom", "ingest", "--help")[1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["od", "home", "--out", "r.parquet"], "need a folder"),
        (["od", "--out", "r.txt"], "must end in"),
        (["presence", "--footprint", "--by", "zone"], "leave out --by"),
        (["od", "--min-stay-min", "5"], "10 min < min_stay"),
        (["od", "--from", "2021-01-01"], "no day of the period is in the dataset"),
    ],
)
def test_what_is_refused_before_anything_is_computed(run, data: Path, words: list[str], says: str) -> None:
    code, _, err = run("telecom", "measure", *words, "--data", data)
    assert code == 2
    assert says in err.replace("\n", " ")
    assert not (data / "cache").exists()


def test_footprints_keep_the_active_beside_the_counts(run, data: Path) -> None:
    rows = json.loads(run("telecom", "measure", "presence", "--data", data, "--footprint", "--json")[1])[0]["table"]
    whole = json.loads(run("telecom", "measure", "coverage", "--data", data, "--json")[1])[0]["table"]
    active = {(row["day"], row["hour"]): row["value"] for row in whole}
    assert all(row["active"] == active[row["day"], row["hour"]] for row in rows)
    assert sum(row["value"] for row in rows) >= sum(active.values())


def test_who_may_read_what(run, data: Path, tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        _who_may_read_what(run, data, tmp_path)
    finally:
        os.umask(mask)


def _who_may_read_what(run, data: Path, tmp_path: Path) -> None:
    run("telecom", "measure", "od", "--data", data, "--out", tmp_path / "od.csv", "--contributions", tmp_path / "c")
    assert data.stat().st_mode & 0o077 == 0
    assert (tmp_path / "c").stat().st_mode & 0o077 == 0
    assert (tmp_path / "od.csv").stat().st_mode & 0o777 == 0o644
