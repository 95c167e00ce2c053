"""The site: its generated pages hold all that the code has, and it builds without a warning."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import typer.main

from oneteam.cli.main import app

ROOT = Path(__file__).parents[2]


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reference"] = module
    spec.loader.exec_module(module)
    return module


reference = loaded()
PAGES: dict[str, str] = reference.pages()


def test_the_page_of_commands_holds_every_command_and_option() -> None:
    sections = dict(re.findall(r"^#+ (oneteam [a-z -]+)\n(.*?)(?=^##|\Z)", PAGES["reference/commands.md"], re.MULTILINE | re.DOTALL))
    commands = dict(reference.walk(typer.main.get_command(app)))
    assert set(sections) == set(commands) - {"oneteam"}
    for path, text in sections.items():
        for parameter in commands[path].params:
            names = parameter.opts if parameter.param_type_name == "option" else [parameter.metavar or parameter.name.upper()]
            assert all(f"`{name}`" in text.replace("\\|", "|") for name in names), f"{path}: {names}"


@pytest.mark.parametrize("settings", reference.SETTINGS, ids=lambda one: one.file)
def test_every_key_of_a_settings_file_is_explained(settings) -> None:
    module, _, attribute = settings.model.partition(":")
    text = PAGES["reference/settings.md"].split(f"## {settings.file}\n")[1].split("\n## ")[0]
    for model in reference.documents(getattr(import_module(module), attribute)).values():
        for name, field in model.model_fields.items():
            (row, *_) = re.findall(rf"^\| `{field.alias or name}` \|.*$", text, re.MULTILINE)
            assert not row.endswith("|  |"), f"{model.__name__}.{name}: say what it is, under Args"


def test_tables_have_as_many_cells_as_their_heads() -> None:
    for path, text in PAGES.items():
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
            assert len(widths) == 1, f"{path}: {table[:200]}"


def test_the_python_page_explains_everything_that_it_names() -> None:
    for block in PAGES["reference/python.md"].split("\n### ")[1:]:
        name, _, rest = block.partition("\n")
        assert len(re.sub(r"```.*?```", "", rest, flags=re.DOTALL).strip()) > 10, name


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r"^\s+- (?:[\w ]+: )?([\w/.-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    written = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")} | set(PAGES)
    assert listed == written


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_asks_nothing_of_other_machines(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is of the group docs: make docs")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for page in tmp_path.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]* src=\"?([^\" >]+)", page.read_text(encoding="utf-8"))
        loaded += re.findall(r"<link[^>]* href=\"?([^\" >]+)[^>]*rel=\"?(?:stylesheet|preload)", page.read_text(encoding="utf-8"))
        assert [address for address in loaded if "//" in address] == [], page
    assert '"ko"' in (tmp_path / "search" / "search_index.json").read_text(encoding="utf-8")[:2000]
    assert not list(tmp_path.rglob("*.py"))
