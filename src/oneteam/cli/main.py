"""The command line: nouns, then verbs; every part adds its own noun."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, NoReturn, cast

import typer
from typer.exceptions import TyperException

import oneteam
from oneteam.cli import agreement, audit, hub, member, node, privacy, query, roster, study, web
from oneteam.cli.demo import demo
from oneteam.cli.synth import synth
from oneteam.core.errors import MissingExtraError, OneteamError, StorageError, UsageError
from oneteam.core.part import installed_parts

app = typer.Typer(
    name="oneteam",
    help=(
        "Organisations act as one team on data that none of them gives away.\n\n"
        "서로 데이터를 내주지 않고도 한 팀으로 일합니다.\n\n"
        "`oneteam --version` shows the version."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # brackets in help are units
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo)
app.command()(synth)
for _noun, _commands in (
    ("member", member.app),
    ("roster", roster.app),
    ("agreement", agreement.app),
    ("query", query.app),
    ("node", node.app),
    ("hub", hub.app),
    ("audit", audit.app),
    ("web", web.app),
    ("privacy", privacy.app),
    ("study", study.app),
):
    app.add_typer(_commands, name=_noun)
app.command()(query.catalog)


@app.command()
def parts(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the installed parts and the measures that they offer."""
    from oneteam.cli.render import print_json, print_rows

    found = [
        {"part": part.name, "measure": info.name, "keys": " × ".join(info.keys), "unit": info.unit, "title": info.title["en"]}
        for part in installed_parts().values()
        for info in part.measures().values()
    ]
    print_json(found) if json else print_rows("Parts and measures", found)


for _part in installed_parts().values():
    if _part.commands:
        _module, _, _attribute = _part.commands.partition(":")
        app.add_typer(getattr(import_module(_module), _attribute), name=_part.name)


EXTRAS = {
    "alliance": ("cryptography", "fastapi", "httpx", "joserfc", "opendp", "rfc8785", "starlette", "uvicorn", "uvloop"),
    "epidemic": ("lightgbm", "pandas", "threadpoolctl"),
    "plot": ("matplotlib",),
    "spark": ("pyspark",),
    "web": ("argon2", "jinja2", "multipart", "python_multipart"),
}
"""Libraries by the extra that brings them."""


def main() -> None:
    """Run a command; an error becomes its message, its hint and its exit code."""
    if sys.argv[1:] == ["--version"]:
        # As an option of the root command it would make every other command wait for its validator to be built.
        sys.stdout.write(f"oneteam {oneteam.__version__}\n")
        sys.exit(0)
    try:
        ended = app(standalone_mode=False)
    except OneteamError as err:
        _fail(err)
    except TyperException as err:
        _misused(cast("typer.BadParameter", err))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except ModuleNotFoundError as err:
        library = (err.name or "").partition(".")[0]
        extra = next((name for name, libraries in EXTRAS.items() if library in libraries), None)
        if extra is None:
            raise
        _fail(MissingExtraError(f"this command needs {library}, which is not installed", hint=f"pip install 'oneteam[{extra}]'"))
    except OSError as err:
        # What the system refuses: a folder that may not be written, a name that is too long.
        _fail(StorageError(f"{err.filename or 'the system'}: {err.strerror or err}", detail=repr(err)))
    sys.exit(ended if isinstance(ended, int) else 0)


def _misused(error: typer.BadParameter) -> NoReturn:
    """A command line that cannot be understood: an error like any other, or the help where a noun stands without a verb."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        sys.exit(error.exit_code)
    command = error.ctx.command_path if error.ctx else "oneteam"
    _fail(UsageError(f"{command}: {error.format_message()}", hint=f"`{command} --help` shows what it takes."))


def _fail(error: OneteamError) -> NoReturn:
    from oneteam.cli.render import print_error

    print_error(error, as_json="--json" in sys.argv)
    sys.exit(error.exit_code)
