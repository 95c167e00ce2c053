"""``oneteam hub``: the relay between members; it carries sealed messages and can read none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The relay that carries sealed messages. 봉인된 메시지를 나르는 중계소입니다.", no_args_is_help=True)


@app.command()
def certificate(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Host names and addresses of the hub, as members will write them.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder for ca.pem (give it to every member), hub.pem and its key.")] = Path("tls"),
    name: Annotated[str, typer.Option(help="Name of the authority, for people.")] = "oneteam alliance",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a certificate authority of your own and a certificate for the hub.

    Needed only where no public authority vouches for the hub. Members then write `hub_ca = "ca.pem"` into member.toml.
    """
    from datetime import UTC, datetime

    from oneteam.alliance.certificates import Authority
    from oneteam.cli.render import print_json, say
    from oneteam.core.errors import FileUnreadableError

    now = datetime.now(UTC)
    try:
        authority = Authority.load(folder)
    except FileUnreadableError:
        authority = Authority.create(name, now)
        authority.save(folder)
    chain, key = authority.issue(names, folder, now)
    if json:
        print_json({"authority": str(folder / "ca.pem"), "certificate": str(chain), "key": str(key)})
        return
    say(f"{folder / 'ca.pem'}  for every member")
    say(f"{chain}  for the hub")
    say(f"{key}  for the hub, secret")


@app.command()
def serve(
    roster: Annotated[Path, typer.Option(help="The signed roster: only its members may use the hub.")],
    url: Annotated[str, typer.Option(help="Address as members write it, with the port.")] = "http://127.0.0.1:8440",
    host: Annotated[str, typer.Option(help="Address to listen on; loopback unless told otherwise.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="Port to listen on, when it is not the one of the URL.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate and chain (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    mailboxes: Annotated[Path, typer.Option(help="File of letters that wait for their receivers.")] = Path("hub.db"),
) -> None:
    """Relay messages until stopped; letters that wait survive a restart."""
    import asyncio
    import logging

    from oneteam.alliance.home import read_text_file
    from oneteam.alliance.roster import open_roster, public_keys
    from oneteam.alliance.serving import HubSettings, serve_hub
    from oneteam.cli.render import say
    from oneteam.core.errors import BadSignatureError

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    signed = open_roster(read_text_file(roster))
    if signed.missing:
        raise BadSignatureError(
            f"{roster} is not signed by {', '.join(signed.missing)}", hint="Everyone in it signs: `oneteam roster sign`."
        )
    members = {member.id: public_keys(member) for member in signed.roster.members}
    settings = HubSettings(url=url, registry=mailboxes, certificate=certificate, key=key, host=host, port=port)

    def ready(_relay: object, at: int) -> None:
        say(f"hub for {', '.join(members)} at {url} (listening on {host}:{at})")

    asyncio.run(serve_hub(settings, members, ready=ready))
