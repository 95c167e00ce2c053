"""``oneteam query``: ask members, get a Release; ``oneteam catalog``: what there is to ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from oneteam.core.model import Agreement, Release

app = typer.Typer(help="Ask members; get a Release. 회원에게 묻고 결과를 받습니다.", no_args_is_help=True)
HomeOption = Annotated[Path, typer.Option("--home", envvar="ONETEAM_HOME", help="The recipient's home.", show_default=".oneteam")]
HOME = Path(".oneteam")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
QueryFileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="query.toml: measure, first_day, and what differs from the agreement.")
]


@app.command()
def run(
    file: QueryFileArgument,
    home: HomeOption = HOME,
    out: Annotated[Path | None, typer.Option(help="Write the Release itself (.json).")] = None,
    table: Annotated[Path | None, typer.Option(help="Write the consistent estimates (.parquet, .csv or .json).")] = None,
    attempts: Annotated[
        int, typer.Option(help="How often to try when members drop out; every further time costs again.", min=1, max=10)
    ] = 1,
    beside: Annotated[
        list[Path] | None,
        typer.Option("--with", help="Home of another member on this machine; may be repeated. Then no hub and no running node is needed."),
    ] = None,
    limit: Annotated[int, typer.Option(help="Rows to print.", min=0)] = 10,
    json: Json = False,
) -> None:
    """Ask a query and print what came back, with its uncertainty and its cost.

    The same query asked again gives the kept Release and costs nothing.
    """
    import asyncio

    from oneteam.alliance.home import Home
    from oneteam.app.asking import complete, read_query
    from oneteam.app.desk import NodeDesk, at_desk, release_of
    from oneteam.app.embedded import in_one_process
    from oneteam.cli.render import print_json, progress_bar
    from oneteam.core.canonical import canonical
    from oneteam.store.tables import write_atomically

    opened = Home.open(home)
    query, kept = complete(read_query(file), _book(opened))

    async def asked(progress: Any) -> dict[str, Any]:
        words = {"query": query.model_dump(mode="json"), "attempts": attempts}
        if beside:
            async with in_one_process([opened, *map(Home.open, beside)]) as nodes:
                return await NodeDesk(nodes[opened.id]).do("query", words, progress)
        async with at_desk(opened) as desk:
            return await desk.do("query", words, progress)

    with progress_bar(show=not json) as progress:
        answer = asyncio.run(asked(progress))
    release = release_of(answer)
    if out is not None:
        # In its one form, in which `query show` and anybody else can check the signatures.
        write_atomically(out, canonical(release))
    _deliver(release, kept.agreement, table, limit=limit, as_json=json, note="kept from before: spent nothing" if answer["kept"] else "")
    if json:
        print_json({"release": answer["release"], "kept": answer["kept"], "out": out, "table": table})


@app.command()
def check(file: QueryFileArgument, home: HomeOption = HOME, json: Json = False) -> None:
    """Show what a query means and whether the agreement allows it; asks nobody, spends nothing."""
    from datetime import UTC, datetime

    from oneteam.alliance.home import Home
    from oneteam.app.asking import complete, foresee, read_query
    from oneteam.cli.render import print_json, print_rows, say
    from oneteam.core.canonical import content_id
    from oneteam.privacy.accounting import epsilon_of

    opened = Home.open(home)
    query, kept = complete(read_query(file), _book(opened))
    decisions = foresee(query, kept, opened.id, datetime.now(UTC))
    if json:
        body = {name: {"permit": d.permit, "reasons": d.codes} for name, d in decisions.items()}
        print_json({"query": query.model_dump(mode="json"), "id": content_id(query), "decisions": body})
    else:
        say(f"query {content_id(query)}")
        say(f"{query.measure} by {' × '.join(query.dimensions)}, {query.first_day} to {query.last_day}, levels:")
        for level in query.levels:
            say(f"  {level}")
        epsilon = epsilon_of(query.rho, kept.agreement.delta)
        say(f"costs rho {query.rho:g} (epsilon {epsilon:.2f} at delta {kept.agreement.delta:g})")
        print_rows(
            "What each member's agreement says (its own limits and budget show only when it is asked)",
            [
                {"member": name, "decision": "permit" if d.permit else "refuse", "reasons": "; ".join(r.text_en for r in d.reasons)}
                for name, d in decisions.items()
            ],
        )
    if not all(d.permit for d in decisions.values()):
        raise typer.Exit(77)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A Release, as `query run --out` writes it.")],
    home: HomeOption = HOME,
    table: Annotated[Path | None, typer.Option(help="Write the consistent estimates (.parquet, .csv or .json).")] = None,
    limit: Annotated[int, typer.Option(help="Rows to print.", min=0)] = 10,
    json: Json = False,
) -> None:
    """Verify a Release's signatures and print its estimates, uncertainty and cost."""
    from oneteam.alliance.home import Home, read_bytes
    from oneteam.cli.render import print_json
    from oneteam.core.errors import NothingFoundError
    from oneteam.privacy.combine import read_release

    opened = Home.open(home)
    release = read_release(read_bytes(file), opened.lookup())
    kept = next((one for one in _book(opened) if one.id == release.query.agreement), None)
    if kept is None:
        raise NothingFoundError(f"agreement {release.query.agreement[:12]} of {file} is not kept in {home}")
    _deliver(release, kept.agreement, table, limit=limit, as_json=json, note="signatures hold")
    if json:
        print_json({"valid": True, "release": release.model_dump(mode="json"), "table": table})


@app.command()
def notify(
    countries: Annotated[str, typer.Option(help="Where travellers were: codes or names joined by commas, such as CN,VN.")],
    home: HomeOption = HOME,
    within: Annotated[int, typer.Option(help="How many days back from --as-of a stay there counts.", min=0, max=365)] = 14,
    as_of: Annotated[str | None, typer.Option(help="The last day that counts, as 2026-03-01; today when left out.")] = None,
    to: Annotated[list[str] | None, typer.Option(help="A carrier; may be repeated. All of the agreement when left out.")] = None,
    text: Annotated[str, typer.Option(help="The words to be told.")] = "",
    text_ko: Annotated[str, typer.Option(help="The same in Korean. 한국어 안내문.")] = "",
    agreement: Annotated[str | None, typer.Option(help="First digits of the agreement's id, where several fit.")] = None,
    hours: Annotated[float, typer.Option(help="How long the request is good for.", min=0.1, max=168)] = 24,
    count: Annotated[bool, typer.Option(help="Also ask how many are told, as a Release that is charged to the budget.")] = True,
    rho: Annotated[float | None, typer.Option(help="What that Release shall cost; as much as one may when left out.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write commands, answers and Releases (.json).")] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option("--with", help="Home of another member on this machine; may be repeated. Then no hub and no running node is needed."),
    ] = None,
    json: Json = False,
) -> None:
    """Ask carriers to tell their own travellers. 통신사에 해외 방문 가입자 안내를 요청합니다.

    Each carrier that has agreed and switched it on writes the list for its own messaging system; nothing of it comes back. It answers only
    that it will, or why not. How many are told comes back as a Release. Ends with 77 when no carrier accepted.
    """
    import asyncio
    from json import dumps

    from oneteam.alliance.home import Home
    from oneteam.app.desk import NodeDesk, at_desk
    from oneteam.app.embedded import in_one_process
    from oneteam.cli.render import print_json, progress_bar
    from oneteam.store.tables import write_atomically

    opened = Home.open(home)
    given = {"as_of": as_of, "agreement": agreement, "rho": rho}
    words = {
        "countries": [name.strip() for name in countries.split(",") if name.strip()],
        "within_days": within,
        "carriers": to or [],
        "text": {"en": text, "ko": text_ko},
        "hours": hours,
        "count": count,
        **{name: value for name, value in given.items() if value is not None},
    }

    async def asked(progress: Any) -> dict[str, Any]:
        if beside:
            async with in_one_process([opened, *map(Home.open, beside)]) as nodes:
                return await NodeDesk(nodes[opened.id]).do("notify", words, progress)
        async with at_desk(opened) as desk:
            return await desk.do("notify", words, progress)

    with progress_bar(show=not json) as progress:
        found = asyncio.run(asked(progress))
    if out is not None:
        write_atomically(out, (dumps(found, ensure_ascii=False, indent=1) + "\n").encode())
    if json:
        print_json(found | {"out": out})
    else:
        _tell_notices(found["notices"])
    if not any(one["answered"] == "accepted" for one in found["notices"]):
        raise typer.Exit(77)


def _tell_notices(notices: list[dict[str, Any]]) -> None:
    """What each carrier answered, and each count once."""
    from oneteam.cli.render import print_rows, say

    print_rows(
        "What each carrier answered (the lists stay with it)",
        [{"carrier": one["member"], "answer": one["answered"], "why": one.get("refusal", {}).get("message", "")} for one in notices],
    )
    counts = {",".join(one["count"]["members"]): one["count"] for one in notices if "count" in one}
    for members, count in counts.items():
        if "refusal" in count:
            say(f"{members}: no count: {count['refusal']['message']}")
        elif count["value"] is None:
            say(f"{members}: fewer travellers than the agreed smallest count")
        else:
            say(f"{members}: {max(count['value'], 0):,} travellers told, noise ±{count['std']:.1f}, release {count['release'][:12]}")


def catalog(
    home: HomeOption = HOME,
    member: Annotated[str | None, typer.Option(help="Only this member's.")] = None,
    json: Json = False,
) -> None:
    """List datasets, measures and agreements of the alliance's members; `--json` gives DCAT 3 as JSON-LD."""
    import asyncio

    from oneteam.alliance.home import Home
    from oneteam.app.desk import at_desk
    from oneteam.cli.render import print_json, print_rows, say

    async def found() -> dict[str, Any]:
        async with at_desk(Home.open(home)) as desk:
            return await desk.do("catalog", {"member": member})

    catalogues = asyncio.run(found())
    if json:
        print_json(catalogues)
        return
    rows = [{"member": name, **row} for name, one in catalogues.items() if "error" not in one for row in _offers(one)]
    if rows:
        print_rows("What members hold and what may be asked of it", rows)
    for name, one in catalogues.items():
        if "error" in one:
            say(f"{name}: {one['error']['message']}", style="dim")


def _offers(catalogue: dict[str, Any]) -> list[dict[str, str]]:
    """One row for each measure that an agreement allows; a dataset without any has one row."""
    rows = []
    for dataset in catalogue["dcat:dataset"]:
        agreed = [
            {
                "measure": one["dcterms:identifier"],
                "by": " × ".join(one["oneteam:dimensions"]),
                "agreement": policy["@id"].rpartition(":")[2][:12],
                "state": policy["oneteam:state"],
            }
            for policy in dataset["odrl:hasPolicy"]
            for one in policy["oneteam:measures"]
        ]
        nothing = {"measure": "–", "by": "–", "agreement": "–", "state": "nothing agreed with you"}
        rows += [{"dataset": dataset["dcterms:identifier"], **row} for row in agreed or [nothing]]
    return rows


def _book(home: Any) -> Any:
    """The Agreements of a home, those that lie as files included."""
    from oneteam.privacy.book import BOOK_SCHEMA

    registry = home.open_registry((BOOK_SCHEMA,))
    try:
        book = home.book(registry)
        home.fill_book(book)
        return book.all()
    finally:
        registry.close()


def _deliver(release: Release, agreement: Agreement, table: Path | None, *, limit: int, as_json: bool, note: str) -> None:
    """Print what people look at first, and write the table."""
    from oneteam.app.results import summary, write_estimates
    from oneteam.cli.render import print_table, say

    if table is not None:
        write_estimates(table, release, agreement)
    if as_json:
        return
    told = summary(release, agreement)
    for line in (*told.lines, *([note] if note else [])):
        say(line)
    if limit:
        print_table("Largest estimates", told.largest, limit)
