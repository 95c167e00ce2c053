"""The reference pages, generated from the code whenever the site is built, so that they cannot be out of date: a hook of MkDocs.

``python docs/reference.py DIR`` writes the same pages into a folder.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer.main
from pydantic import BaseModel

from oneteam.cli.main import app
from oneteam.core.part import installed_parts

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files


@dataclass(frozen=True)
class Settings:
    """A file that people write.

    Args:
        file: its usual name.
        model: where its model stands, as ``module:attribute``.
        about: what it is for, in Markdown; links are relative to the reference.
    """

    file: str
    model: str
    about: str


SETTINGS: Final = (
    Settings(
        "member.toml",
        "oneteam.alliance.home:MemberSettings",
        "A member's home; `oneteam member init` writes it. [Guide](../alliance.md)",
    ),
    Settings(
        "agreement.toml",
        "oneteam.core.model:Agreement",
        "What may be learned; `oneteam agreement new` writes it. [Guide](../agreements.md)",
    ),
    Settings(
        "query.toml",
        "oneteam.app.asking:QueryFile",
        "What is asked for; for `oneteam query run`. [Guide](../alliance.md)",
    ),
    Settings(
        "study.toml",
        "oneteam.app.study.settings:StudyFile",
        "A joint study: who is asked what, and what is made of it; for `oneteam study run`. [Guide](../study.md)",
    ),
    Settings(
        "mapping.toml",
        "oneteam.telecom.ingestion.mapping:Mapping",
        "How to read a table of your own. [Guide](../bring-your-own-events.md)",
    ),
    Settings(
        "scenario.toml",
        "oneteam.epidemic.engine.scenario:Scenario",
        "A simulation, and what measures change. [Guide](../epidemic-engine.md)",
    ),
    Settings(
        "model.toml",
        "oneteam.epidemic.models.document:ModelDocument",
        "A model of an illness. [Guide](../epidemic-engine.md)",
    ),
)

MODULES: Final = (
    "oneteam.core.model",
    "oneteam.core.part",
    "oneteam.store.tables",
    "oneteam.store.geography",
    "oneteam.privacy.agreements",
    "oneteam.privacy.accounting",
    "oneteam.privacy.combine",
    "oneteam.privacy.consistency",
    "oneteam.privacy.contributions",
    "oneteam.privacy.sufficient",
    "oneteam.app.agreeing",
    "oneteam.app.asking",
    "oneteam.app.embedded",
    "oneteam.app.results",
    "oneteam.synth.country",
    "oneteam.telecom.service.ingest",
    "oneteam.telecom.service.measure",
    "oneteam.telecom.service.weigh",
    "oneteam.telecom.service.plot",
    "oneteam.epidemic.service.simulate",
    "oneteam.epidemic.service.scenario",
    "oneteam.epidemic.service.convert",
    "oneteam.epidemic.service.forecast",
    "oneteam.epidemic.service.score",
    "oneteam.epidemic.service.rt",
    "oneteam.epidemic.service.importation",
)


_COMMANDS_INTRODUCTION: Final = """Nouns, then verbs. `-h` or `--help` shows the help of any command, `--json` gives machines what tables
give people, and `oneteam --install-completion` teaches the shell to complete names. How commands end: [errors](../errors.md#exit-codes)."""
_MEASURES_INTRODUCTION: Final = """What installed parts can answer, as `oneteam parts` lists it. An [agreement](../agreements.md) names
them, a query asks for one. What each counts exactly: [telecom](../telecom.md)."""
_PYTHON_INTRODUCTION: Final = """What the commands call, and programs may call too. Everything is typed; units stand in names and
docstrings; errors are those of [one tree](../errors.md)."""


def pages() -> dict[str, str]:
    """The Markdown of every page, by its path in the site."""
    return {
        "reference/commands.md": commands(),
        "reference/settings.md": settings(),
        "reference/measures.md": measures(),
        "reference/python.md": python(),
    }


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Give the generated pages to MkDocs."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - who writes the pages into a folder needs no MkDocs

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


# Commands


def walk(command: Any, path: tuple[str, ...] = ("oneteam",)) -> Iterator[tuple[str, Any]]:
    """Every command below one, itself first, with its words."""
    yield " ".join(path), command
    for name, below in getattr(command, "commands", {}).items():
        yield from walk(below, (*path, name))


def commands() -> str:
    """Every command with its options."""
    root = typer.main.get_command(app)
    out = [
        "# Commands",
        _COMMANDS_INTRODUCTION,
    ]
    for path, command in walk(root):
        if command is root:
            continue
        is_noun = hasattr(command, "commands")
        alone = not is_noun and path.count(" ") == 1
        out.append(f"{'##' if alone or (is_noun and path.count(' ') == 1) else '###'} {path}")
        out.append(prose(command.help))
        if not is_noun:
            usage = " ".join([path, *(_in_usage(p) for p in command.params if p.param_type_name == "argument"), "[OPTIONS]"])
            out.append(f"```text\n{usage}\n```")
            rows = [_row(parameter) for parameter in command.params]
            out.append(table(("", "takes", "default", "meaning"), rows))
    return "\n\n".join(out) + "\n"


def _in_usage(argument: Any) -> str:
    name = (argument.metavar or argument.name.upper()) + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _row(parameter: Any) -> tuple[str, str, str, str]:
    meaning = parameter.help or ""
    if getattr(parameter, "envvar", None):
        meaning += f" Or set `{parameter.envvar}`."
    if parameter.param_type_name == "argument":
        names = f"`{parameter.metavar or parameter.name.upper()}`"
        return names, _kind(parameter), "" if not parameter.required else "needed", meaning
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    return names, _kind(parameter), _default(parameter), meaning


def _kind(parameter: Any) -> str:
    if getattr(parameter, "is_flag", False):
        return ""
    annotation = parameter.type_descriptor.annotation
    text = inspect.formatannotation(annotation) if isinstance(annotation, type) else str(annotation)
    choices = re.findall(r"'([^']*)'", text) if "Literal" in text else []
    if choices:
        return " or ".join(f"`{choice}`" for choice in choices)
    words = {"Path": "path", "datetime": "date", "int": "number", "float": "number", "str": "text"}
    kind = next((word for name, word in words.items() if name in text), text)
    low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if low is not None and high is not None:
        kind += f" {low:g} to {high:,g}" if isinstance(high, float) else f" {low:,} to {high:,}"
    elif low is not None:
        kind += f" ≥ {low:,}"
    return f"{kind}, repeatable" if parameter.multiple or parameter.nargs == -1 else kind


def _default(parameter: Any) -> str:
    if parameter.required:
        return "needed"
    if isinstance(parameter.show_default, str):
        return f"`{parameter.show_default}`"
    value = parameter.default
    if value is None or value == "" or (getattr(parameter, "is_flag", False) and value is False):
        return ""
    if getattr(parameter, "is_flag", False):
        return "on"
    return f"`{value:%Y-%m-%d}`" if hasattr(value, "strftime") else f"`{value}`"


# Settings files


def settings() -> str:
    """Every key of the files that people write."""
    out = ["# Settings files", "TOML. An unknown key or an impossible value is an error that names the file and the key."]
    for one in SETTINGS:
        module, _, attribute = one.model.partition(":")
        model = getattr(import_module(module), attribute)
        out += [f"## {one.file}", one.about]
        for index, (name, found) in enumerate(documents(model).items()):
            if index:
                out.append(f"### {name} {{ #{anchor(one.file, name)} }}")
                out.append(prose(summary(found)))
            out.append(table(("key", "takes", "default", "meaning"), _keys(one.file, found)))
    return "\n\n".join(out) + "\n"


def documents(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """A model and all models inside it, by name, in the order in which they are met."""
    found: dict[str, type[BaseModel]] = {}

    def visit(annotation: Any) -> None:
        if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
            if annotation.__name__ not in found:
                found[annotation.__name__] = annotation
                for field in annotation.model_fields.values():
                    visit(field.annotation)
            return
        for inner in getattr(annotation, "__args__", ()):
            visit(inner)

    visit(model)
    return found


def anchor(file: str, name: str) -> str:
    """Where a table of a file is explained."""
    return f"{file.partition('.')[0]}-{name.lower()}"


def _keys(file: str, model: type[BaseModel]) -> list[tuple[str, str, str, str]]:
    schema = model.model_json_schema(by_alias=True)
    told = arguments(model)
    rows = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        shape = schema["properties"][key]
        default = "needed" if field.is_required() else _as_toml(shape.get("default"))
        rows.append((f"`{key}`", shape_of(shape, file), default, field.description or told.get(name, "")))
    return rows


def arguments(model: type[BaseModel]) -> dict[str, str]:
    """What the docstrings of a model and of those it extends say of its fields."""
    found: dict[str, str] = {"format": "of the document."}
    for base in reversed(model.__mro__):
        section = re.search(r"\nArgs:\n(.*?)(\n\n\S|\n[A-Z]\w+:\n|$)", inspect.cleandoc(base.__doc__ or ""), re.DOTALL)
        if section and issubclass(base, BaseModel):
            entries = re.findall(r"^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)", section[1] + "\n", re.MULTILINE | re.DOTALL)
            found |= {name: " ".join(text.split()) for name, text in entries}
    return found


def shape_of(shape: Mapping[str, Any], file: str) -> str:
    """What a key takes, in words, from its JSON schema."""
    if "$ref" in shape:
        name = shape["$ref"].rpartition("/")[2]
        return f"[{name}](#{anchor(file, name)})"
    for many in ("anyOf", "oneOf", "allOf"):
        if many in shape:
            kinds = [shape_of(one, file) for one in shape[many] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    if "enum" in shape or "const" in shape:
        return " or ".join(f"`{value}`" for value in shape.get("enum", [shape.get("const")]))
    return _by_type(shape, file)


def _by_type(shape: Mapping[str, Any], file: str) -> str:
    match shape.get("type"):
        case "array" if "prefixItems" in shape:
            return "[" + ", ".join(shape_of(one, file) for one in shape["prefixItems"]) + "]"
        case "array":
            return f"list of {shape_of(shape.get('items', {}), file)}"
        case "object":
            inside = [*shape.get("patternProperties", {}).values(), shape.get("additionalProperties")]
            kinds = [shape_of(one, file) for one in inside if isinstance(one, dict)]
            return f"table of {kinds[0]}" if kinds else "table"
        case "string":
            return {"date": "date", "date-time": "time", "path": "path"}.get(shape.get("format", ""), "text")
        case "integer" | "number" as kind:
            limits = [f"{sign} {shape[name]:g}" for name, sign in _LIMITS.items() if name in shape and abs(shape[name]) < 2**62]
            return " ".join(["whole number" if kind == "integer" else "number", " and ".join(limits)]).strip()
        case _:
            return "`true` or `false`" if shape.get("type") == "boolean" else "value"


_LIMITS: Final = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def _as_toml(value: object) -> str:
    match value:
        case None | [] | {} | "":
            return ""
        case bool():
            return f"`{str(value).lower()}`"
        case dict():
            return "`" + ", ".join(f"{key} = {one}" for key, one in value.items() if one is not None) + "`" if any(value.values()) else ""
        case _:
            return f"`{value}`"


# Measures


def measures() -> str:
    """What can be asked for, of every installed part."""
    out = [
        "# Measures",
        _MEASURES_INTRODUCTION,
    ]
    for part in installed_parts().values():
        rows = [(f"`{m.name}`", " × ".join(m.keys), m.unit, m.title["en"], m.title["ko"]) for m in part.measures().values()]
        if rows:
            out += [f"## {part.name}", table(("measure", "by", "value counts", "", "한국어"), rows)]
    return "\n\n".join(out) + "\n"


# Python


def python() -> str:
    """The functions and classes that programs may call."""
    out = [
        "# Python",
        _PYTHON_INTRODUCTION,
    ]
    for name in MODULES:
        module = import_module(name)
        out += [f"## {name}", prose(summary(module))]
        for word, found in public(module).items():
            head = f"class {word}" if inspect.isclass(found) else signature(word, found)
            out += [f"### {word} {{ #{name}.{word} }}", f"```python\n{head}\n```", prose(inspect.getdoc(found))]
    return "\n\n".join(out) + "\n"


def public(module: Any) -> dict[str, Any]:
    """Functions and classes that a module itself defines."""
    return {
        name: found
        for name, found in vars(module).items()
        if not name.startswith("_")
        and getattr(found, "__module__", None) == module.__name__
        and (inspect.isclass(found) or inspect.isfunction(found))
    }


def signature(name: str, function: Any) -> str:
    """A function's head, one argument a line when it is long."""
    found = inspect.signature(function)
    text = f"{name}{found}".replace("'", "")
    if len(text) <= 100:
        return text
    inside = ",\n    ".join(str(one).replace("'", "") for one in found.parameters.values())
    returned = "" if found.return_annotation is inspect.Signature.empty else f" -> {found.return_annotation}".replace("'", "")
    return f"{name}(\n    {inside},\n){returned}"


# Markdown


def summary(found: Any) -> str:
    """The first paragraph of a docstring."""
    return (inspect.getdoc(found) or "").partition("\n\n")[0]


def prose(text: str | None) -> str:
    """A docstring as Markdown: sections as lists, examples as code."""
    out: list[str] = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(text or "")):
        head, _, rest = block.partition("\n")
        if block.startswith(">>>"):
            out.append(f"```pycon\n{block}\n```")
        elif re.fullmatch(r"(Args|Returns|Raises|Source|Sources|Yields):", head):
            entries = re.findall(r"^ {4}(\S.*?)(?=^ {4}\S|\Z)", rest + "\n", re.MULTILINE | re.DOTALL)
            items = [re.sub(r"^([\w, *]+): ", r"`\1`: ", " ".join(entry.replace("``", "`").split())) for entry in entries]
            out += [f"*{head[:-1]}*", "\n".join(f"- {item}" for item in items)]
        elif head == "::" or block.startswith("    "):
            out.append("```text\n" + inspect.cleandoc(block.removeprefix("::")) + "\n```")
        elif block:
            out.append(" ".join(block.split()).replace("``", "`").removesuffix("::"))
    return "\n\n".join(out)


def _escaped(cell: str) -> str:
    plain = " ".join(cell.replace("``", "`").split()).replace("|", "\\|")
    return "".join(piece if i % 2 else piece.replace("<", "&lt;") for i, piece in enumerate(re.split("(`[^`]*`)", plain)))


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table; what would break it is escaped."""

    def line(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(map(_escaped, cells)) + " |"

    return "\n".join([line(head), "|" + "---|" * len(head), *(line(row) for row in rows)])


if __name__ == "__main__":
    for _path, _text in pages().items():
        _target = Path(sys.argv[1]) / _path
        _target.parent.mkdir(parents=True, exist_ok=True)
        _target.write_text(_text, encoding="utf-8")
