"""``oneteam node``: a member's process; it connects outward to the hub and answers what the member has agreed to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="This member's node. 이 회원의 노드입니다.", no_args_is_help=True)
HomeOption = Annotated[Path, typer.Option("--home", envvar="ONETEAM_HOME", help="The member's home.", show_default=".oneteam")]
HOME = Path(".oneteam")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def serve(
    home: HomeOption = HOME, verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every message's fate.")] = False
) -> None:
    """Answer queries until stopped. Nothing listens for connections from outside."""
    import asyncio
    import logging

    from oneteam.alliance.home import Home
    from oneteam.app.serving import serve_member
    from oneteam.cli.render import say

    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    opened = Home.open(home)

    def ready(state: str) -> None:
        say(f"{opened.id}: {state}")

    asyncio.run(serve_member(opened, tell=ready))


@app.command()
def status(home: HomeOption = HOME, json: Json = False) -> None:
    """Show whether the node answers, its agreements and what is left of their budgets."""
    import asyncio

    from oneteam.alliance.home import Home
    from oneteam.app.desk import at_desk
    from oneteam.cli.render import print_json, print_rows, say

    async def found() -> dict[str, object]:
        async with at_desk(Home.open(home)) as desk:
            return await desk.do("status", {})

    state = asyncio.run(found())
    if json:
        print_json(state)
        return
    say(
        f"{state['member']}: {'answers' if state['answers'] else 'refuses: ' + str(state['why_not'])}; {state['log_entries']:,} log entries"
    )
    agreements = state["agreements"]
    assert isinstance(agreements, list), "the status lists agreements"
    rows = [
        {
            "agreement": one["id"][:12],
            "title": one["title"]["en"],
            "state": "revoked" if one["revoked"] else "in the book",
            "rho spent": round(one["rho_spent"], 9),
            "rho in all": one["rho_total"],
        }
        for one in agreements
    ]
    if rows:
        print_rows("Agreements", rows)
