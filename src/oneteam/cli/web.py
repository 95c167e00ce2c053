"""``oneteam web``: the pages of a node, and who may sign in to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from oneteam.store.registry import Registry

app = typer.Typer(help="This node's pages for a browser. 이 노드의 웹 화면입니다.", no_args_is_help=True)
account = typer.Typer(help="Who may sign in. 로그인할 수 있는 계정입니다.", no_args_is_help=True)
app.add_typer(account, name="account")
HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", envvar="ONETEAM_HOME", help="The member's home; .oneteam without it. With --study alone, only the study is shown."
    ),
]
StudyOption = Annotated[Path | None, typer.Option("--study", help="A study's folder, as `oneteam study run` wrote it.")]
StateOption = Annotated[Path | None, typer.Option("--state", help="Folder of accounts and sessions; the home, else the study, without it.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
HOME = Path(".oneteam")
ROLES = ("viewer", "analyst", "steward", "privacy_officer")
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")]


@app.command()
def serve(
    home: HomeOption = None,
    study: StudyOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on; this machine alone unless told otherwise.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65_535)] = 8450,
    url: Annotated[str | None, typer.Option(help="Address as people write it, where a proxy stands before it.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate and chain (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    proxy: Annotated[str | None, typer.Option(help="Address of the proxy whose X-Forwarded-For is believed.")] = None,
    state: StateOption = None,
) -> None:
    """Serve this node's pages until stopped.

    A recipient's node shows the analysis of --study and the alliance; any other member's its own data, Agreements, budget and log.
    Make an account first: `oneteam web account add NAME --role viewer`.
    """
    import logging

    from oneteam.cli.render import say

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    server, settings = _module("server"), _module("settings")
    wanted = settings.WebSettings(
        home=_home(home, study), study=study, url=url, host=host, port=port, certificate=certificate, key=key, proxy=proxy, state=state
    )
    server.serve(wanted, lambda address: say(f"open {address}"))


@account.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Short: a lower-case letter, then a-z, 0-9, dot, hyphen or underscore.")],
    role: Annotated[list[str] | None, typer.Option("--role", "-r", help=f"{', '.join(ROLES)}; may be repeated.")] = None,
    password_stdin: Stdin = False,
    home: HomeOption = None,
    study: StudyOption = None,
    state: StateOption = None,
    json: Json = False,
) -> None:
    """Let somebody sign in; the password is asked for, never given on the command line."""
    from oneteam.cli.render import print_json, say

    with _accounts(home, study, state) as (_, accounts):
        made = accounts.add(name, role or ["viewer"], _password(from_stdin=password_stdin))
    if json:
        print_json({"name": made.name, "roles": list(made.roles)})
    else:
        say(f"{made.name} may sign in as {', '.join(made.roles)}")


@account.command("list")
def list_accounts(home: HomeOption = None, study: StudyOption = None, state: StateOption = None, json: Json = False) -> None:
    """Show who may sign in."""
    from oneteam.cli.render import print_json, print_rows, say

    with _accounts(home, study, state) as (_, accounts):
        found = [{"name": one.name, "roles": list(one.roles), "disabled": one.disabled} for one in accounts.all()]
    if json:
        print_json(found)
    elif found:
        print_rows("Accounts", [{**one, "roles": ", ".join(one["roles"])} for one in found])
    else:
        say("no account yet: `oneteam web account add NAME --role steward`")


@account.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose account.")],
    home: HomeOption = None,
    study: StudyOption = None,
    state: StateOption = None,
    json: Json = False,
) -> None:
    """Delete an account; its sessions end at once."""
    from oneteam.cli.render import print_json, say

    with _accounts(home, study, state) as (registry, accounts):
        accounts.remove(name)
        _end_sessions(registry, accounts, name)
    print_json({"removed": name}) if json else say(f"{name} may no longer sign in")


@account.command()
def password(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose account.")],
    password_stdin: Stdin = False,
    home: HomeOption = None,
    study: StudyOption = None,
    state: StateOption = None,
    json: Json = False,
) -> None:
    """Give an account another password; its sessions end at once."""
    from oneteam.cli.render import print_json, say

    with _accounts(home, study, state) as (registry, accounts):
        accounts.set_password(name, _password(from_stdin=password_stdin))
        _end_sessions(registry, accounts, name)
    print_json({"changed": name}) if json else say(f"{name} has another password")


def _module(name: str) -> Any:
    """A module of the web face; faces do not import one another, so it is found when it is asked for."""
    from importlib import import_module

    return import_module(f"oneteam.web.{name}")


def _home(home: Path | None, study: Path | None) -> Path | None:
    """The home that is named; where neither a home nor a study is, the one of the working folder."""
    return HOME if home is None and study is None else home


@contextmanager
def _accounts(home: Path | None, study: Path | None, state: Path | None) -> Iterator[tuple[Registry, Any]]:
    home = _home(home, study)
    settings = _module("settings").WebSettings(home=home, study=study, state=state)
    if home is not None:
        from oneteam.alliance.home import Home

        Home.open(home)  # a folder that is no home must not become one
    registry, accounts = _module("server").open_accounts(settings)
    try:
        yield registry, accounts
    finally:
        registry.close()


def _end_sessions(registry: Registry, accounts: Any, name: str) -> None:
    _module("sessions").Sessions(registry, accounts, idle_s=0, longest_s=0).end_all(name)


def _password(*, from_stdin: bool) -> str:
    """From the terminal, twice and unseen; from standard input where there is none."""
    import sys
    from getpass import getpass

    from oneteam.core.errors import InputError

    if from_stdin or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass("Password: ")
    if getpass("Again: ") != first:
        raise InputError("the two passwords differ")
    return first
