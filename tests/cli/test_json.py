"""Commands that write a file, or print a line, give machines one JSON document and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oneteam.cli import main as cli


@pytest.fixture
def asked(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONETEAM_HOME", raising=False)

    def call(*words: str, json_too: bool = True) -> Any:
        monkeypatch.setattr("sys.argv", ["oneteam", *words, *(["--json"] if json_too else [])])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        assert not ended.value.code, err
        return json.loads(out) if json_too else out

    return call


def test_from_keys_to_a_draft(asked, tmp_path: Path) -> None:
    people = {"skylark": "contributor", "horizon": "contributor", "campus": "helper", "agency": "recipient"}
    for name, role in people.items():
        assert asked("member", "init", name, "--role", role, "--home", name)["id"] == name
        asked("member", "card", "--home", name, "--out", f"{name}.card.json", json_too=False)
    cards = [f"{name}.card.json" for name in people]
    made = asked("roster", "new", *cards, "--alliance", "Four", "--home", "skylark")
    assert made["missing"] == ["agency", "campus", "horizon"]
    for name in ("horizon", "campus", "agency"):
        made = asked("roster", "sign", "roster.json", "--home", name)
    assert made["missing"] == []
    assert asked("roster", "keep", "roster.json", "--home", "skylark")["id"] == made["id"]
    Path("zones.csv").write_text("code,name,region\n11010,A,11\n11020,B,11\n")
    draft = asked("agreement", "new", "--zones", "zones.csv", "--home", "skylark")
    assert draft["parties"] == ["horizon", "skylark", "campus", "agency"]
    assert (tmp_path / draft["file"]).is_file()
    assert asked("agreement", "check", draft["file"], "--home", "skylark")["id"] == draft["id"]


def test_the_hub_s_certificate(asked) -> None:
    made = asked("hub", "certificate", "127.0.0.1", "--out", "tls")
    assert made.keys() == {"authority", "certificate", "key"}
    assert all(Path(path).is_file() for path in made.values())
