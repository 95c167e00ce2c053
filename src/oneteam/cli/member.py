"""``oneteam member``: this organisation's identity and home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oneteam.core.model import Text

app = typer.Typer(
    help="This member's identity: keys, card, home. 회원의 신원: 키, 명함, 홈 폴더.",
    no_args_is_help=True,
)
HomeFolder = Annotated[
    Path,
    typer.Option("--home", envvar="ONETEAM_HOME", help="The member's home: keys, roster, Agreements, registry.", show_default=".oneteam"),
]
HOME = Path(".oneteam")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
ROLES = ("contributor", "helper", "recipient", "witness")


@app.command()
def init(
    member_id: Annotated[str, typer.Argument(metavar="ID", help="Short and for ever: lower-case letters, digits, hyphens.")],
    name: Annotated[str, typer.Option(help="Name for people.")] = "",
    name_ko: Annotated[str, typer.Option(help="Name in Korean.")] = "",
    role: Annotated[list[str] | None, typer.Option("--role", "-r", help=f"{', '.join(ROLES)}; may be repeated.")] = None,
    hub: Annotated[str | None, typer.Option(help="Address of the relay, as https://hub.example.org:8443.")] = None,
    home: HomeFolder = HOME,
    json: Json = False,
) -> None:
    """Make a member's home with new keys. The private ones never leave it: back up HOME/identity.key where nobody else reads it.

    Next: `oneteam member card` writes what to hand over to who puts the roster together.
    """
    from typing import cast

    from oneteam.alliance.home import Home
    from oneteam.cli.render import say
    from oneteam.core.errors import UnknownValueError
    from oneteam.core.model import Role

    roles = role or ["contributor"]
    unknown = [name for name in roles if name not in ROLES]
    if unknown:
        raise UnknownValueError(f"--role {unknown[0]}: must be one of {', '.join(ROLES)}")
    made = Home.init(home, member_id, text_of(name or member_id, name_ko), cast("list[Role]", roles), hub)
    _show(made.folder, as_json=json)
    if not json:
        say("next: edit member.toml, then `oneteam member card --out FILE` and hand FILE over")


@app.command()
def show(home: HomeFolder = HOME, json: Json = False) -> None:
    """Show this member: id, roles, fingerprint of its keys, roster, datasets and limits."""
    _show(home, as_json=json)


@app.command()
def card(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; standard output without it.")] = None,
    home: HomeFolder = HOME,
) -> None:
    """Write the public part to hand over, signed by itself.

    Read the fingerprint of `oneteam member show` to the others by another way, such as the telephone, so that they can compare it.
    """
    from datetime import UTC, datetime

    from oneteam.alliance.home import Home

    write_out(Home.open(home).card(datetime.now(UTC)), out)


def _show(folder: Path, *, as_json: bool) -> None:
    from oneteam.alliance.home import Home
    from oneteam.alliance.roster import fingerprint
    from oneteam.cli.render import print_json, say

    home = Home.open(folder)
    has_roster = (folder / "roster.json").is_file()
    signed = home.roster() if has_roster else None
    body = {
        "id": home.id,
        "name": home.settings.name.model_dump(),
        "roles": list(home.settings.roles),
        "home": str(folder),
        "fingerprint": fingerprint(home.member),
        "verify_key": home.member.verify_key,
        "seal_key": home.member.seal_key,
        "hub": home.settings.hub,
        "roster": signed.id if signed else None,
        "members": [member.id for member in signed.roster.members] if signed else [],
        "datasets": {name: d.model_dump(mode="json") for name, d in home.settings.datasets.items()},
        "limits": home.settings.limits.model_dump(mode="json", exclude_defaults=True),
        "agreements": sorted(home.agreement_texts()),
    }
    if as_json:
        print_json(body)
        return
    say(f"{home.id}: {home.settings.name.en} {home.settings.name.ko}".rstrip())
    rows = {
        "roles": ", ".join(home.settings.roles),
        "fingerprint": fingerprint(home.member),
        "home": str(folder),
        "hub": home.settings.hub or "none yet",
        "roster": f"version {signed.roster.version}, {', '.join(body['members'])}" if signed else "none yet",  # type: ignore[arg-type]
        "datasets": ", ".join(f"{name} ({d.part}: {d.path})" for name, d in home.settings.datasets.items()) or "none",
        "agreements": f"{len(home.agreement_texts())} kept",
        "limits": ", ".join(f"{k} = {v}" for k, v in home.settings.limits.model_dump(mode="json", exclude_defaults=True).items()) or "none",
    }
    for key, value in rows.items():
        say(f"  {key:<12} {value}")


def text_of(english: str, korean: str) -> Text:
    """Words in both languages from the command line.

    Raises:
        WrongTypeError: bytes that are no text.
    """
    from pydantic import ValidationError

    from oneteam.core.errors import WrongTypeError
    from oneteam.core.model import Text

    try:
        return Text(en=english, ko=korean)
    except ValidationError as err:
        raise WrongTypeError(f"not a text in UTF-8: {english!r} {korean!r}") from err


def write_out(text: str, out: Path | None, *, tell: bool = True) -> None:
    """A text to a file, whole or not at all, or to standard output; a person is told the file's name."""
    import sys

    from oneteam.cli.render import say
    from oneteam.store.tables import write_atomically

    content = text.rstrip("\n") + "\n"
    if out is None:
        sys.stdout.write(content)
        return
    write_atomically(out, content.encode())
    if tell:
        say(f"wrote {out}")
