"""``oneteam telecom``: a carrier's own mobility measures, on its own machine."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from oneteam.cli.completion import measure_names

app = typer.Typer(
    help="Mobility measures from a carrier's own events and roaming records. 통신사 자체 데이터로 이동 지표를 만듭니다.",
    no_args_is_help=True,
)
notify = typer.Typer(
    help="Lists of own subscribers to be told something; they stay at the carrier. 자사 가입자 알림 명단입니다.", no_args_is_help=True
)
app.add_typer(notify, name="notify")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Data = Annotated[Path, typer.Option("--data", "-d", help="The dataset's folder, as `ingest` made it.")]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])]
DAY = ["%Y-%m-%d"]


@app.command()
def ingest(
    sources: Annotated[list[Path], typer.Argument(help="Files or folders: Parquet, CSV, gzipped CSV.", metavar="SRC")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The dataset's folder; made if absent, added to if present.")],
    schema: Annotated[str, typer.Option(help="auto, the name of a known schema, or a mapping file (.toml) for any other table.")] = "auto",
    timezone: Annotated[str, typer.Option(help="Whose midnight ends a day.")] = "Asia/Seoul",
    naive_timezone: Annotated[
        str | None, typer.Option(help="Time zone of stamps that carry no UTC offset; without it they are refused.")
    ] = None,
    mcc: Annotated[int, typer.Option(help="Own mobile country code (ITU-T E.212).")] = 450,
    first: Annotated[datetime | None, typer.Option("--from", formats=DAY, help="First local day to take.")] = None,
    last: Annotated[datetime | None, typer.Option("--until", formats=DAY, help="Last local day to take.")] = None,
    topology: Annotated[Path | None, typer.Option(help="Network topology, if not among SRC.")] = None,
    zones: Annotated[Path | None, typer.Option(help="Zones to which cells are resolved: CSV, GeoJSON or TopoJSON.")] = None,
    shapes: Annotated[Path | None, typer.Option(help="Polygons of the zones, keyed by code, where the zones file has none.")] = None,
    cell_zones: Annotated[Path | None, typer.Option(help="Own lookup instead: CSV cell_id,zone_code[,weight,valid_from,valid_to].")] = None,
    zone_version: Annotated[str | None, typer.Option(help="Name of the edition of the zone codes.")] = None,
    unknown_cells: Annotated[str, typer.Option(help="Events of cells that the topology lacks: quarantine or keep.")] = "quarantine",
    max_speed: Annotated[float, typer.Option(help="Faster jumps are impossible [m/s].")] = 340.0,
    keep_going: Annotated[bool, typer.Option(help="Skip files that cannot be used and report them.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read events, topology and roaming records into a dataset; rejected rows go to a quarantine with their reason.

    Running it again on the same files changes nothing; late files are merged into their days. A run that is stopped leaves the dataset as
    it was.
    """
    from typing import cast

    from oneteam.cli.render import out as console
    from oneteam.cli.render import print_json, progress_bar, say
    from oneteam.core.errors import UnknownValueError
    from oneteam.telecom.service.ingest import IngestSettings
    from oneteam.telecom.service.ingest import ingest as run

    if unknown_cells not in {"quarantine", "keep"}:
        raise UnknownValueError(f"--unknown-cells {unknown_cells}: must be quarantine or keep")
    settings = IngestSettings(
        schema=schema,
        timezone=timezone,
        naive_timezone=naive_timezone,
        mcc=mcc,
        from_date=first.date() if first else None,
        until_date=last.date() if last else None,
        topology=topology,
        zones=zones,
        shapes=shapes,
        cell_zones=cell_zones,
        zone_version=zone_version,
        unknown_cells=cast("Literal['quarantine', 'keep']", unknown_cells),
        max_speed_m_s=max_speed,
        keep_going=keep_going,
    )
    with progress_bar(show=not (quiet or json)) as progress:
        report = run(sources, out, settings, progress)
    if json:
        print_json(report.model_dump(mode="json"))
    else:
        for table in report.to_tables():
            console.print(table)
        for text in report.notes:
            say(f"note: {text}")


@app.command()
def quality(data: Data, json: Json = False) -> None:
    """Show what a dataset holds, what was ingested, and what was refused, over all ingestions."""
    from oneteam.cli.render import print_json, print_rows, say
    from oneteam.telecom.service.inspect import quality_of

    found = quality_of(data)
    if json:
        print_json(found.model_dump(mode="json"))
        return
    span = f"{found.first_day} to {found.last_day} {found.timezone}" if found.first_day else "no events"
    say(f"{data}: {span}, {found.subscribers:,} subscribers, {found.cells:,} cells")
    if found.empty_days:
        more = f" and {len(found.empty_days) - 10:,} more" if len(found.empty_days) > 10 else ""
        say(f"days without events: {', '.join(found.empty_days[:10])}{more}")
    print_rows("Tables", [{"table": name, "rows": rows} for name, rows in found.rows.items()])
    files = [
        {"file": s.name, "schema": s.kind, "rows": s.rows, "accepted": s.accepted, "rejected": sum(s.rejected.values())}
        for s in found.sources
    ]
    print_rows("Files", files)
    print_rows("Quarantine", [{"reason": reason, "rows": rows} for reason, rows in found.quarantined.items()])


@app.command()
def measures(json: Json = False) -> None:
    """List the measures: what each counts, by which keys."""
    from oneteam.cli.render import print_json, print_rows
    from oneteam.telecom.part import part

    rows = [
        {"measure": info.name, "by": " × ".join(info.keys), "value counts": info.unit, "": f"{info.title['en']}\n{info.title['ko']}"}
        for info in part.measures().values()
    ]
    print_json(rows) if json else print_rows("Measures", rows)


@app.command()
def measure(
    names: Annotated[
        list[str],
        typer.Argument(help="One or more measures; see `oneteam telecom measures`.", metavar="NAME", autocompletion=measure_names),
    ],
    data: Data,
    engine: Annotated[
        str, typer.Option(help="auto (compiled kernel where it can, DuckDB else; keeps daily results), duckdb, spark or kernel.")
    ] = "auto",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="FILE.parquet, .csv or .json; with several measures a folder. Without: a table.")
    ] = None,
    first: Annotated[datetime | None, typer.Option("--from", formats=DAY, help="First local day.")] = None,
    last: Annotated[datetime | None, typer.Option("--until", formats=DAY, help="Last local day.")] = None,
    by: Annotated[str | None, typer.Option(help="zone or cell; default: zone where the dataset has zones.")] = None,
    min_stay_min: Annotated[int, typer.Option(help="Shortest dwell that is a stay [min].")] = 30,
    weights: Annotated[Path | None, typer.Option(help="Weights by `oneteam telecom weigh`: adds a column of persons.")] = None,
    footprint: Annotated[bool, typer.Option(help="Share counts by cell among the zones that a cell serves (fractions).")] = False,
    contributions: Annotated[
        Path | None, typer.Option(help="Folder for each subscriber's contributions, as a privacy gate takes them. They never leave you.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="Use and fill the dataset's cache of daily results.")] = True,
    rows: Annotated[int, typer.Option(help="Rows to show when no file is written.", min=0)] = 20,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compute measures: time segments, home, presence, trips, roaming; see `oneteam telecom measures`.

    Beside every count stands `active`, the subscribers with any event in the same hour, day or month.
    """
    from oneteam.cli.render import print_json, print_table, progress_bar, say
    from oneteam.core.errors import UnknownValueError
    from oneteam.telecom.measures.measure import MeasureSettings
    from oneteam.telecom.service.deliver import check_target, deliver, finish
    from oneteam.telecom.service.measure import ENGINES, run_measures

    if engine not in ENGINES:
        raise UnknownValueError(f"--engine {engine}: must be one of {', '.join(ENGINES)}")
    if by not in {None, "zone", "cell"}:
        raise UnknownValueError(f"--by {by}: must be zone or cell")
    if by and footprint:
        raise UnknownValueError("--footprint counts by cell and gives zones: leave out --by")
    check_target(out, names)
    with progress_bar(show=not (quiet or json)) as progress:
        answers = run_measures(
            data,
            names,
            engine=engine,
            first=first.date() if first else None,
            last=last.date() if last else None,
            by_cell=True if footprint else None if by is None else by == "cell",
            settings=MeasureSettings(min_stay_s=60 * min_stay_min),
            contributions=contributions is not None,
            keep=keep,
            progress=progress,
        )
    finished = finish(data, answers, weights=weights, footprint=footprint)
    written = deliver(finished, out, contributions)
    if json:
        print_json([answer.summary(written.get(answer.measure.name)) for answer in finished.values()])
        return
    for name, answer in finished.items():
        if name in written:
            say(f"{name}: {answer.table.num_rows:,} rows -> {written[name]}  ({answer.note()})")
        else:
            print_table(f"{answer.measure.title_en} · {answer.measure.title_ko}", answer.table, rows)
            say(answer.note(), style="dim")


@app.command()
def weigh(
    residents: Annotated[Path, typer.Argument(metavar="RESIDENTS", help="Result of `measure home`: residents by zone.")],
    census: Annotated[Path, typer.Argument(metavar="CENSUS", help="Census CSV: code, population and, for --margin region, region.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="FILE.parquet or .csv with a weight for each zone.")],
    margin: Annotated[str, typer.Option(help="Census totals to agree with: zone, region or country.")] = "zone",
    deduplication_factor: Annotated[float, typer.Option(help="Persons per subscription, below 1 where people have second SIMs.")] = 1.0,
    json: Json = False,
) -> None:
    """Weights that make subscribers agree with the census (raking), for `measure --weights`."""
    from oneteam.cli.render import print_json, print_table, say
    from oneteam.telecom.service.weigh import weigh as run

    table = run(residents, census, out, margin=margin, deduplication_factor=deduplication_factor)
    if json:
        print_json({"out": str(out), "zones": table.num_rows})
    else:
        print_table("Weights", table, 10)
        say(f"{table.num_rows:,} zones -> {out}")


@app.command()
def recode(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="Result of `measure` (.parquet, .csv or .json).")],
    crosswalk: Annotated[
        Path, typer.Argument(metavar="CROSSWALK", help="CSV from_code,to_code[,weight]; weights of a from_code sum to 1.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="FILE.parquet, .csv or .json.")],
    zone_version: Annotated[str, typer.Option(help="Name of the edition that the new codes belong to.")],
    json: Json = False,
) -> None:
    """Move a result to another edition of zone codes."""
    from oneteam.cli.render import print_json, print_table
    from oneteam.telecom.service.inspect import recode_result

    table = recode_result(result, crosswalk, out, zone_version)
    print_json({"out": str(out), "rows": table.num_rows}) if json else print_table(f"In {zone_version}", table, 10)


@app.command()
def plot(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="Result of `measure` (.parquet, .csv or .json).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="FILE.png or FILE.svg.")],
    data: Annotated[Path | None, typer.Option("--data", "-d", help="The dataset, for its zones.")] = None,
    zones: Annotated[Path | None, typer.Option(help="A zones file instead.")] = None,
    shapes: Annotated[Path | None, typer.Option(help="Polygons keyed by code.")] = None,
    column: Annotated[str, typer.Option(help="Column to show.")] = "value",
    per: Annotated[str, typer.Option(help="none, population (per 1,000 inhabitants) or area (per km²).")] = "none",
    day: Annotated[datetime | None, typer.Option(formats=DAY, help="This local day only.")] = None,
    hour: Annotated[int | None, typer.Option(help="This local hour only.", min=0, max=23)] = None,
    where: Annotated[list[str] | None, typer.Option(help="Only rows with KEY=VALUE, e.g. country=JP.")] = None,
    title: Annotated[str | None, typer.Option(help="Instead of the measure's own.")] = None,
    lang: Annotated[str, typer.Option(help="en or ko.")] = "en",
    kind: Annotated[str, typer.Option(help="auto, map, flows, line or bars.")] = "auto",
    scale: Annotated[str, typer.Option(help="Colours by quantile, sqrt or linear.")] = "quantile",
    top: Annotated[int, typer.Option(help="Flows to draw.")] = 200,
    json: Json = False,
) -> None:
    """Draw a result: a map by zone, a flow map for trips, lines over time, bars by country."""
    from dataclasses import asdict
    from typing import cast, get_args

    from oneteam.cli.render import print_json, say
    from oneteam.core.errors import UnknownValueError
    from oneteam.telecom.service.plot import Kind, Language, Per, Scale
    from oneteam.telecom.service.plot import plot as run

    for name, value, allowed in (
        ("--per", per, get_args(Per)),
        ("--lang", lang, get_args(Language)),
        ("--kind", kind, get_args(Kind)),
        ("--scale", scale, get_args(Scale)),
    ):
        if value not in allowed:
            raise UnknownValueError(f"{name} {value}: must be one of {', '.join(allowed)}")
    pairs = [text.partition("=") for text in where or []]
    if any(not equals for _, equals, _ in pairs):
        raise UnknownValueError("--where must be KEY=VALUE, for example --where country=JP")
    summary = run(
        result,
        out,
        data=data,
        zones=zones,
        shapes=shapes,
        column=column,
        per=cast("Per", per),
        day=day.date() if day else None,
        hour=hour,
        where={key: value for key, _, value in pairs},
        title=title,
        lang=cast("Language", lang),
        kind=cast("Kind", kind),
        scale=cast("Scale", scale),
        top=top,
    )
    if json:
        print_json(asdict(summary))
        return
    say(f"{summary.out}: {summary.subtitle}")
    for text in summary.notes:
        say(f"note: {text}")


@notify.command()
def travellers(
    data: Data,
    countries: Annotated[str, typer.Option(help="ISO 3166-1 alpha-2 codes, comma-separated, e.g. CN,JP.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="FILE.csv or .parquet for your own messaging system; mode 0600.")],
    within_days: Annotated[int, typer.Option(help="Seen there in so many days before --as-of.")] = 21,
    as_of: Annotated[datetime | None, typer.Option(formats=DAY, help="Default: the dataset's newest day.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Own subscribers who were in some countries lately."""
    from oneteam.cli.render import progress_bar
    from oneteam.telecom.service.notify import notify_travellers

    with progress_bar(show=not (quiet or json)) as progress:
        summary = notify_travellers(
            data, [c.strip() for c in countries.split(",")], within_days, as_of.date() if as_of else None, out, progress
        )
    _print_notice(summary, json=json)


@notify.command()
def exposed(
    data: Data,
    visits: Annotated[Path, typer.Option(help="Published places and times (CSV): start, end and a point, a zone or a cell.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="FILE.csv or .parquet for your own messaging system; mode 0600.")],
    min_dwell_min: Annotated[int, typer.Option(help="Shortest time between first and last event there [min].")] = 0,
    linger_min: Annotated[int, typer.Option(help="How long after its end a visit still counts [min].")] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Own subscribers who were at published places at the published times."""
    from oneteam.cli.render import progress_bar
    from oneteam.telecom.service.notify import notify_exposed

    with progress_bar(show=not (quiet or json)) as progress:
        summary = notify_exposed(data, visits, out, 60 * min_dwell_min, 60 * linger_min, progress)
    _print_notice(summary, json=json)


def _print_notice(summary: object, *, json: bool) -> None:
    from dataclasses import asdict, is_dataclass

    from oneteam.cli.render import print_json, say

    assert is_dataclass(summary)
    assert not isinstance(summary, type)
    if json:
        print_json(asdict(summary))
    else:
        say(str(summary))
