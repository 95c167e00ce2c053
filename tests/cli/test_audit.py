"""``oneteam audit`` as a member's officer and an outsider meet it."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from oneteam.alliance.home import Home
from oneteam.cli import audit
from oneteam.cli import main as cli
from oneteam.core.keys import Keys
from oneteam.core.model import Text
from oneteam.privacy.ledger import Ledger
from oneteam.store.audit_entry import AuditEntry
from oneteam.store.audit_log import AuditLog, origin_of
from oneteam.store.registry import Registry

NOW = datetime(2026, 3, 1, tzinfo=UTC)
AGREEMENT = "a" * 64
Run = tuple[int, str, str]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    if "audit" not in {group.name for group in cli.app.registered_groups}:
        cli.app.add_typer(audit.app, name="audit")

    def call(*words: object) -> Run:
        monkeypatch.setattr(sys, "argv", ["oneteam", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def charge(folder: Path, count: int, *, sign: bool = True) -> None:
    home = Home.open(folder)
    registry = Registry.open(home.registry_path)
    ledger, log = Ledger(registry), AuditLog(registry, origin_of(home.id), home.keys)
    for _ in range(count):
        with registry.transaction() as db:
            query = f"{log.size:064x}"
            cost = ledger.reserve(
                db,
                agreement=AGREEMENT,
                dataset="mobility",
                query_id=query,
                recipient="agency",
                rho=0.01,
                agreement_total=1.0,
                dataset_cap=None,
            )
            entry = AuditEntry(
                at=NOW, kind="permit", agreement=AGREEMENT, dataset="mobility", query=query, recipient="agency", nano_rho=cost
            )
            log.append(db, entry)
    if sign:
        log.checkpoint()
    registry.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "kt"
    Home.init(folder, "kt", Text(en="KT"), ["contributor"])
    charge(folder, 9)
    return folder


@pytest.fixture
def witness(home: Path, tmp_path: Path) -> Path:
    """What another member printed of what it holds."""
    own = Home.open(home)
    registry, there = Registry.open(own.registry_path), Registry.open(tmp_path / "skt.db")
    note = AuditLog(registry, origin_of("kt"), own.keys).checkpoint()
    other = AuditLog(there, origin_of("skt"), Keys.generate())
    other.witness(note, None, own.keys.public)
    path = tmp_path / "held.json"
    path.write_text(json.dumps([{"origin": one.checkpoint.origin, "note": one.note} for one in other.all_held()]))
    registry.close()
    there.close()
    return path


def tamper(home: Path, statement: str) -> None:
    registry = Registry.open(home / "registry.db")
    with registry.transaction() as db:
        db.execute(statement)
    registry.close()


@pytest.mark.parametrize(
    "words", [[], ["show"], ["verify"], ["prove"], ["verify-proof"], ["export"], ["restore"], ["accept-restart"], ["admit"]]
)
def test_help(run, words: list[str]) -> None:
    code, out, _ = run("audit", *words, "--help")
    assert code == 0
    assert "Usage" in out


def test_show(run, home: Path) -> None:
    code, out, _ = run("audit", "show", "--home", home, "--json")
    found = json.loads(out)
    assert (code, found["origin"], found["size"]) == (0, "oneteam.log/kt", 9)
    assert [row["index"] for row in found["entries"]] == list(range(9))
    assert found["entries"][4]["nano_rho"] == 10_000_000
    code, out, _ = run("audit", "show", "--home", home, "--first", "7")
    assert (code, "9 entries" in out, "permit" in out) == (0, True, True)
    for what in ("--held", "--evidence"):
        code, out, _ = run("audit", "show", "--home", home, what, "--json")
        assert (code, json.loads(out)) == (0, [])


def test_no_home(run, tmp_path: Path) -> None:
    code, _, err = run("audit", "verify", "--home", tmp_path)
    assert (code, "no member has a log here" in err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_verify(run, home: Path, witness: Path) -> None:
    code, out, _ = run("audit", "verify", "--home", home, "--witnessed", witness, "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["valid"], found["entries"], found["checkpoints"], found["witnessed"], found["charges"]) == (True, 9, 1, 1, 9)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET body = x'7b7d' WHERE position = 3",
        "DELETE FROM audit_entry WHERE position = 3",
        "DELETE FROM audit_entry WHERE position = 8",
        "DELETE FROM ledger_charge WHERE id = 3",
    ],
)
def test_verify_finds_what_was_changed(run, home: Path, statement: str) -> None:
    tamper(home, statement)
    code, out, err = run("audit", "verify", "--home", home, "--json")
    assert (code, out) == (77, "")
    assert json.loads(err)["error"]["code"] == "trust.log"


def test_prove_and_verify_proof(run, home: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof.json"
    code, out, _ = run("audit", "prove", "4", "--home", home)
    assert code == 0
    proof.write_text(out)
    found = json.loads(out)
    assert found["tree_size"] == 9
    assert found["checkpoint"].startswith("oneteam.log/kt\n9\n")
    code, out, _ = run("audit", "verify-proof", "--kind", "inclusion", proof, "--json")
    assert (code, json.loads(out)) == (0, {"valid": True, "reason": None})
    found["leaf_index"] = 5
    proof.write_text(json.dumps(found))
    code, out, _ = run("audit", "verify-proof", "--kind", "inclusion", proof, "--json")
    assert code == audit.INVALID == 1
    assert json.loads(out)["valid"] is False
    assert "root" in json.loads(out)["reason"]

    charge(home, 4, sign=False)
    code, out, _ = run("audit", "prove", "--since", "9", "--home", home)
    assert (code, json.loads(out)["new_size"]) == (0, 13)
    proof.write_text(out)
    code, out, _ = run("audit", "verify-proof", proof, "--kind", "consistency")
    assert (code, "valid" in out) == (0, True)


def test_verify_proof_of_what_is_none(run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    for text in ("", "[]", '{"leafIdx": 0}', '{"leafIdx": "x", "treeSize": 1, "root": "", "leafHash": ""}'):
        bad.write_text(text)
        code, out, err = run("audit", "verify-proof", "--kind", "inclusion", bad, "--json")
        assert (code, out) == (2, "")
        assert json.loads(err)["error"]["code"].startswith("input")
    assert run("audit", "verify-proof", "--kind", "inclusion", tmp_path / "absent.json")[0] == 2
    bad.write_text("{}")
    assert run("audit", "verify-proof", "--kind", "other", bad)[0] == 2


def test_export_is_verified_by_an_outsider(run, home: Path, tmp_path: Path, witness: Path) -> None:
    out_file = tmp_path / "log.jsonl"
    code, out, _ = run("audit", "export", "--home", home, "--out", out_file, "--json")
    assert (code, json.loads(out)["entries"]) == (0, 9)
    key = (tmp_path / "log.jsonl.key").read_text().strip()
    code, out, _ = run("audit", "verify", "--file", out_file, "--key", key, "--witnessed", witness, "--json")
    found = json.loads(out)
    assert (code, found["entries"], found["signature"], found["witnessed"]) == (0, 9, "checked", 1)
    assert json.loads(run("audit", "verify", "--file", out_file, "--json")[1])["signature"].startswith("not checked")
    lines = out_file.read_bytes().splitlines(keepends=True)
    for attack in (lines[:8], [*lines[:3], lines[4], lines[3], *lines[5:]], [lines[0].replace(b"permit", b"refuse"), *lines[1:]]):
        out_file.write_bytes(b"".join(attack))
        assert run("audit", "verify", "--file", out_file, "--key", key)[0] == 77
    other = Keys.generate().public
    from oneteam.store.notes import verifier_key

    out_file.write_bytes(b"".join(lines))
    assert run("audit", "verify", "--file", out_file, "--key", verifier_key("oneteam.log/kt", other))[0] == 77


@pytest.fixture
def restored(home: Path, tmp_path: Path, run) -> tuple[Path, Path, Path]:
    """The home as of nine entries, and export and witnessed checkpoint of twelve."""
    backup = tmp_path / "backup.db"
    shutil.copy(home / "registry.db", backup)
    charge(home, 3)
    export, held = tmp_path / "log.jsonl", tmp_path / "log.jsonl.checkpoint"
    assert run("audit", "export", "--home", home, "--out", export)[0] == 0
    for old in home.glob("registry.db*"):
        old.unlink()
    shutil.copy(backup, home / "registry.db")
    return home, export, held


def test_restore_from_an_export(run, restored: tuple[Path, Path, Path]) -> None:
    home, export, held = restored
    assert run("audit", "verify", "--home", home, "--witnessed", held)[0] == 77
    assert run("audit", "restore", "--home", home)[0] == 2
    code, out, _ = run("audit", "restore", "--home", home, "--from", export, "--witnessed", held, "--json")
    assert (code, json.loads(out)) == (0, {"entries": 3, "charges": 3, "origin": "oneteam.log/kt", "given_up": False})
    code, out, _ = run("audit", "verify", "--home", home, "--witnessed", held, "--json")
    assert (code, json.loads(out)["entries"], json.loads(out)["charges"]) == (0, 13, 12)


def test_give_up(run, restored: tuple[Path, Path, Path]) -> None:
    home, _, held = restored
    code, out, _ = run("audit", "restore", "--home", home, "--give-up", "--witnessed", held)
    assert (code, "restart-2" in out) == (0, True)
    assert run("audit", "verify", "--home", home)[0] == 0
    assert run("audit", "admit", "--home", home)[0] == 2
    code, out, _ = run("audit", "admit", "--home", home, "--agreement", AGREEMENT, "--json")
    assert (code, json.loads(out)) == (0, {"admitted": {"agreement": AGREEMENT}})


def test_accept_restart(run, home: Path) -> None:
    code, out, _ = run("audit", "accept-restart", "oneteam.log/skt/restart-2", "--home", home, "--json")
    assert (code, json.loads(out)) == (0, {"accepted": "oneteam.log/skt/restart-2"})
    assert run("audit", "accept-restart", "oneteam.log/skt", "--home", home)[0] == 2
