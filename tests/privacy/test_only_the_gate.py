"""The syntax tree of the whole source: Releases and masked Shares are made by the gate and by combine, and by nobody else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import oneteam

SOURCE = Path(oneteam.__file__).parent
GATE, COMBINE, SECURE_SUM = "privacy/gate.py", "privacy/combine.py", "privacy/secure_sum.py"
MAKERS = {
    # What is called, and which modules may call it.
    "Release": {GATE, COMBINE},
    "ReleasedLevel": {COMBINE},
    "released_levels": {GATE, COMBINE},
    "signed_release": {GATE, COMBINE},
    "MaskedShare": {SECURE_SUM, "alliance/rounds.py"},
    "MemberRound": {GATE},
    "add_noise": {"privacy/mechanism.py"},
}
"""`alliance/rounds.py` puts a Share that came over the wire together again: its owner signed the header, so it cannot be made there."""
READERS = {"model_validate", "model_validate_json", "model_construct", "parse_obj", "parse_raw"}
READS_OWN = {
    GATE: "its own stored Releases",
    COMBINE: "read_release, which verifies",
    "app/asking.py": "Releases that it verified before it stored them",
    "app/desk.py": "what its own node answers over a socket that only its user can reach",
}


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def named(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def makings(tree: ast.AST, where: str) -> list[str]:
    """Every place that makes what it may not make."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            found += [
                f"{where}:{node.lineno} renames {alias.name}"
                for alias in node.names
                if alias.name in MAKERS and alias.asname not in {None, alias.name}
            ]
        if isinstance(node, ast.Assign) and named(node.value) in MAKERS:
            found.append(f"{where}:{node.lineno} gives {named(node.value)} another name")
        if not isinstance(node, ast.Call):
            continue
        called = named(node.func)
        if called in MAKERS and where not in MAKERS[called]:
            found.append(f"{where}:{node.lineno} calls {called}")
        if called in READERS and isinstance(node.func, ast.Attribute) and named(node.func.value) == "Release" and where not in READS_OWN:
            found.append(f"{where}:{node.lineno} reads a Release without verifying it")
        if called == "replace" and node.args and named(node.args[0]) == "release":
            found.append(f"{where}:{node.lineno} changes a Release")
        if called == "model_copy" and isinstance(node.func, ast.Attribute) and named(node.func.value) == "release" and where != COMBINE:
            found.append(f"{where}:{node.lineno} changes a Release")
    return found


def test_nobody_else_makes_a_release_or_a_share() -> None:
    assert len(modules()) > 100
    found = [line for path in modules() for line in makings(ast.parse(path.read_text()), path.relative_to(SOURCE).as_posix())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "Release(query=q)",
        "model.Release(query=q)",
        "Release.model_construct()",
        "Release.model_validate_json(body)",
        "R = Release",
        "from oneteam.core.model import Release as R",
        "release.model_copy(update={'rho': 0})",
        "MemberRound(plan, me, keys, lookup)",
        "add_noise(table, 0.1)",
    ],
)
def test_the_test_would_find_it(line: str) -> None:
    assert makings(ast.parse(line), "telecom/service/measure.py")


def test_the_gate_is_one_of_the_makers() -> None:
    """The names in `MAKERS` are those that the modules really use: a renamed class would pass unseen otherwise."""
    calls = {
        where: {named(node.func) for node in ast.walk(ast.parse((SOURCE / where).read_text())) if isinstance(node, ast.Call)}
        for where in (GATE, COMBINE, SECURE_SUM, "privacy/mechanism.py")
    }
    for name, allowed in MAKERS.items():
        assert any(name in calls.get(where, set()) for where in allowed), name


def test_parts_cannot_even_name_rows_of_others() -> None:
    """Contributions are made by parts and taken by the gate; the alliance and the faces never hold any."""
    for path in modules():
        where = path.relative_to(SOURCE).as_posix()
        if where.startswith(("alliance/", "web/")):
            names = {named(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name | ast.Attribute)}
            assert "Contributions" not in names, where


def test_noise_cannot_be_seeded() -> None:
    tree = ast.parse((SOURCE / "privacy/noise.py").read_text())
    names = {named(node) for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute)}
    arguments = {argument.arg for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for argument in node.args.args}
    assert not {name for name in names | arguments if "seed" in name.lower() or name in {"random", "default_rng", "Generator"}}
