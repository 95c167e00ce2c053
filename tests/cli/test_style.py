"""One style for all commands: whatever is added to the command line is held to it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from oneteam.cli import main as cli
from oneteam.core import errors
from oneteam.telecom.measures.catalogue import MEASURES

VERBS_OF_THEIR_OWN = {
    "synth": "makes a country, which belongs to no member and to no part",
    "demo": "the first command that anyone runs",
    "catalog": "asks all members at once, about everything",
    "parts": "is about the installation itself",
}
"""Commands without a noun, each with its reason; every other one is a noun with verbs."""

NO_JSON = {
    "node serve": "runs until stopped",
    "hub serve": "runs until stopped",
    "web serve": "runs until stopped",
    "member card": "prints a signed document, which is what the next member reads",
    "agreement export": "prints JSON-LD",
    "audit prove": "prints a JSON document in any case",
}
"""Commands without --json, each with its reason."""

HANGUL = re.compile("[가-힣]")


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    yield " ".join(path), command
    for name, below in getattr(command, "commands", {}).items():
        yield from walk(below, (*path, name))


ROOT = typer.main.get_command(cli.app)
ALL = dict(walk(ROOT))
NOUNS = {path: command for path, command in ALL.items() if hasattr(command, "commands")}
VERBS = {path: command for path, command in ALL.items() if path not in NOUNS}
PARAMETERS = [pytest.param(p, id=f"{path}:{p.name}") for path, command in ALL.items() for p in command.params]


def sentences(text: str | None) -> str:
    """The first paragraph."""
    return " ".join((text or "").strip().split("\n\n")[0].split())


def test_the_walk_finds_the_commands() -> None:
    assert {"telecom notify exposed", "agreement revoke", "synth"} <= set(VERBS)
    assert {"", "telecom", "telecom notify", "epidemic"} <= set(NOUNS)


def test_nouns_then_verbs() -> None:
    alone = {path for path in VERBS if " " not in path}
    assert alone <= set(VERBS_OF_THEIR_OWN)


@pytest.mark.parametrize("path", ALL)
def test_names_are_words_with_hyphens(path: str) -> None:
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", word) for word in path.split())


@pytest.mark.parametrize("path", ALL)
def test_help_begins_with_a_sentence(path: str) -> None:
    first = sentences(ALL[path].help)
    assert first, "no help"
    assert first[0].isupper()
    assert first.endswith("."), first
    assert len(first) < 280, "the first paragraph says in a line or two what it does; more goes below"


@pytest.mark.parametrize("path", NOUNS)
def test_nouns_are_explained_in_korean_too(path: str) -> None:
    assert HANGUL.search(NOUNS[path].help or "")


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_every_option_and_argument_is_explained(parameter: Any) -> None:
    assert parameter.help, f"{parameter.name} has no help"
    assert parameter.help[0] in "[(`'" or not parameter.help[0].isalpha() or parameter.help.endswith((".", "…", ")")), parameter.help
    if parameter.param_type_name == "argument":
        assert parameter.metavar, f"{parameter.name} needs a metavar"
        assert re.fullmatch(r"[A-Z_|]+", parameter.metavar), "usage lines show arguments in capitals"
    else:
        assert all(re.fullmatch(r"--[a-z]+(-[a-z0-9]+)*|-[a-zA-Z]", name) for name in (*parameter.opts, *parameter.secondary_opts))
        assert any(name.startswith("--") for name in parameter.opts), "a short option has a long name too"


@pytest.mark.parametrize("path", VERBS)
def test_results_come_as_json_too(path: str) -> None:
    has = any("--json" in p.opts for p in VERBS[path].params)
    assert has != (path in NO_JSON), f"{path}: --json, or a reason in NO_JSON"


def test_one_letter_means_one_thing() -> None:
    meant: dict[str, set[str]] = {}
    for command in ALL.values():
        for parameter in command.params:
            if parameter.param_type_name == "option":
                long = next(name for name in parameter.opts if name.startswith("--"))
                for name in parameter.opts:
                    if not name.startswith("--"):
                        meant.setdefault(name, set()).add(long)
    assert {name: longs for name, longs in meant.items() if len(longs) > 1} == {}


@pytest.mark.parametrize("word", ["json", "out", "home", "seed", "lang"])
def test_the_same_option_is_of_the_same_kind_everywhere(word: str) -> None:
    found = {p.type_descriptor.annotation for command in ALL.values() for p in command.params if f"--{word}" in p.opts}
    assert len(found) == 1


def test_reasons_are_not_out_of_date() -> None:
    assert set(NO_JSON) <= set(VERBS)
    assert set(VERBS_OF_THEIR_OWN) <= set(VERBS)


def test_every_exit_code_is_documented() -> None:
    def below(base: type[errors.OneteamError]) -> Iterator[type[errors.OneteamError]]:
        yield base
        for child in base.__subclasses__():
            yield from below(child)

    page = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| (\d+) \|", page.split("## Exit codes")[1], re.MULTILINE))
    used = {str(error.exit_code) for error in below(errors.OneteamError)} | {"0", "1", "130"}
    assert used == documented


def run(words: list[str], **settings: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; sys.argv[0] = 'oneteam'; from oneteam.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *words], env=os.environ | settings, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["telcom"], "Did you mean 'telecom'?"),
        (["telecom", "mesure"], "'measure'"),
        (["telecom", "measure", "od"], "--data"),
        (["telecom", "measure", "od", "--dat", "x"], "--data"),
        (["telecom", "measure", "od", "--data", "x", "--rows", "many"], "--rows"),
        (["parts", "extra"], "extra"),
        (["--nothing"], "--nothing"),
    ],
)
def test_what_is_mistyped_is_an_error_like_any_other(words: list[str], says: str) -> None:
    done = run([*words, "--json"])
    assert (done.returncode, done.stdout) == (2, "")
    error = json.loads(done.stderr)["error"]
    assert error["code"] == "input.usage"
    assert says in error["message"]
    assert "--help" in error["hint"]
    done = run(words)
    assert done.returncode == 2
    assert "[input.usage]" in done.stderr
    assert says in done.stderr.replace("\n", " ")


def test_a_noun_alone_shows_its_help() -> None:
    done = run(["agreement"])
    assert done.returncode == 2
    assert "revoke" in done.stderr


def complete(line: str, **settings: str) -> list[str]:
    done = run([], COMP_WORDS=line, COMP_CWORD=str(len(line.split(" ")) - 1), _ONETEAM_COMPLETE="complete_bash", **settings)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_bash_completes_commands_and_options() -> None:
    assert complete("oneteam tele") == ["telecom"]
    assert set(complete("oneteam agreement ")) == set(ALL["agreement"].commands)
    assert complete("oneteam telecom measure --foot") == ["--footprint"]


def test_bash_completes_measures_models_and_agreements(tmp_path: Path) -> None:
    assert set(complete("oneteam telecom measure ")) == set(MEASURES)
    assert complete("oneteam agreement new --measure arriv") == [name for name in MEASURES if name.startswith("arriv")]
    assert complete("oneteam epidemic simulate --preset c") == ["covid19"]
    (tmp_path / "agreements").mkdir()
    for name in ("a1b2c3", "a1ffff", "0000"):
        (tmp_path / "agreements" / f"{name}.json").write_text("{}")
    assert complete("oneteam agreement show a1", ONETEAM_HOME=str(tmp_path)) == ["a1b2c3", "a1ffff"]
    assert complete("oneteam agreement revoke ./", ONETEAM_HOME=str(tmp_path)) == []


def test_help_comes_quickly() -> None:
    """In time of the processor: other work on the same machine must not fail what is quick. The best of a few."""

    def seconds() -> float:
        before = os.times()
        assert run(["--help"]).returncode == 0
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(seconds() for _ in range(5)) < 0.3


@pytest.mark.parametrize("verb", ["show", "verify"])
def test_a_folder_without_a_study_is_called_so_and_the_hint_makes_one(verb, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("sys.argv", ["oneteam", "study", verb, str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code
    said = capfd.readouterr().err
    assert "no study stands here" in said
    assert "oneteam study run" in said
    assert "Errno" not in said
