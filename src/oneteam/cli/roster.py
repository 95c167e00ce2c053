"""``oneteam roster``: who is in the alliance, with which keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneteam.cli.member import HOME, HomeFolder, Json

if TYPE_CHECKING:
    from oneteam.alliance.roster import SignedRoster

app = typer.Typer(
    help="Who is in the alliance, with which keys; signed by all. 연합 회원 명부: 모두가 서명합니다.",
    no_args_is_help=True,
)


@app.command()
def new(
    cards: Annotated[list[Path], typer.Argument(metavar="CARD", help="Cards of all members, as `oneteam member card` wrote them.")],
    alliance: Annotated[str, typer.Option(help="The alliance's name.")],
    alliance_ko: Annotated[str, typer.Option(help="The same in Korean.")] = "",
    replace: Annotated[Path | None, typer.Option(help="The signed roster that this one follows.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("roster.json"),
    home: HomeFolder = HOME,
    json: Json = False,
) -> None:
    """Put cards together to a roster and sign it as the first.

    Compare each fingerprint with its owner by another way than the one by which the card came. Next: send the file round; each member
    runs `oneteam roster sign FILE`; when all have signed, each runs `oneteam roster keep FILE`.
    """
    from oneteam.alliance.home import Home, read_text_file
    from oneteam.alliance.roster import make_roster, open_card, open_roster, sign_roster
    from oneteam.cli.member import text_of

    member = Home.open(home)
    found = [open_card(read_text_file(path)).member for path in cards]
    previous = open_roster(read_text_file(replace)) if replace else None
    roster = make_roster(text_of(alliance, alliance_ko), found, previous)
    _finish(sign_roster(roster, member.id, member.keys), out, home, as_json=json)


@app.command()
def sign(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The roster, as others have signed it.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; FILE itself without it.")] = None,
    home: HomeFolder = HOME,
    json: Json = False,
) -> None:
    """Sign a roster. Your keys in it must be yours; compare the others' fingerprints first. When all have signed, it is taken into use."""
    from oneteam.alliance.home import Home, read_text_file
    from oneteam.alliance.roster import open_roster, sign_roster

    member = Home.open(home)
    signed = open_roster(read_text_file(file))
    _finish(sign_roster(signed.roster, member.id, member.keys, signed.text), out or file, home, as_json=json)


@app.command()
def keep(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The roster, signed by all.")],
    home: HomeFolder = HOME,
    json: Json = False,
) -> None:
    """Take a roster that all have signed into use."""
    from oneteam.alliance.home import Home, read_text_file
    from oneteam.cli.render import say

    signed = Home.open(home).keep_roster(read_text_file(file))
    if json:
        _print(signed, as_json=True)
    else:
        say(f"in use: version {signed.roster.version}, {len(signed.roster.members)} members, {signed.id}")


@app.command()
def check(file: Annotated[Path, typer.Argument(metavar="FILE", help="A roster.")], home: HomeFolder = HOME, json: Json = False) -> None:
    """Check a roster: every signature, this member's keys in it, and that it follows the one in use."""
    from oneteam.alliance.home import Home, read_text_file
    from oneteam.alliance.roster import open_roster, verify_roster

    text = read_text_file(file)
    member = Home.open(home)
    path = home / "roster.json"
    verify_roster(text, member.member, open_roster(read_text_file(path)) if path.is_file() else None)
    _print(open_roster(text), as_json=json)


@app.command()
def show(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="A roster; the one in use without it.")] = None,
    home: HomeFolder = HOME,
    json: Json = False,
) -> None:
    """Show a roster: members, roles, fingerprints, who has signed."""
    from oneteam.alliance.home import Home, read_text_file
    from oneteam.alliance.roster import open_roster

    _print(open_roster(read_text_file(file)) if file else Home.open(home).roster(), as_json=json)


def _finish(text: str, out: Path, home: Path, *, as_json: bool) -> None:
    """Write the signed text; take it into use when it is complete."""
    from oneteam.alliance.home import Home
    from oneteam.alliance.roster import open_roster
    from oneteam.cli.member import write_out
    from oneteam.cli.render import say

    write_out(text, out, tell=not as_json)
    signed = open_roster(text)
    if not signed.missing:
        Home.open(home).keep_roster(text)
    _print(signed, as_json=as_json)
    if as_json:
        return
    if signed.missing:
        say(f"still to sign: {', '.join(signed.missing)}")
        return
    say("signed by all, and in use here; the others run `oneteam roster keep FILE`")


def _print(signed: SignedRoster, *, as_json: bool) -> None:
    from oneteam.alliance.roster import fingerprint
    from oneteam.cli.render import print_json, print_rows, say

    rows = [
        {
            "member": member.id,
            "name": f"{member.name.en} {member.name.ko}".rstrip(),
            "roles": ", ".join(member.roles),
            "fingerprint": fingerprint(member),
            "signed": "yes" if member.id in signed.signed_by else "no",
        }
        for member in signed.roster.members
    ]
    if as_json:
        head = {"id": signed.id, "alliance": signed.roster.alliance.model_dump(), "version": signed.roster.version}
        print_json({**head, "members": rows, "missing": list(signed.missing)})
        return
    say(f"{signed.roster.alliance.en} {signed.roster.alliance.ko}".rstrip() + f", version {signed.roster.version}")
    say(f"id {signed.id}")
    print_rows("Members", rows)
