"""``oneteam synth``: a synthetic country with known truth."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer


def synth(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; must be empty or absent.")],
    zones: Annotated[Path | None, typer.Option(help="CSV with code, population, jobs... of the zones; generated when absent.")] = None,
    od: Annotated[Path | None, typer.Option(help="CSV origin,destination,trips_per_day between regions.")] = None,
    shapes: Annotated[Path | None, typer.Option(help="GeoJSON or TopoJSON of the zones by property 'code'; made when absent.")] = None,
    shape: Annotated[str | None, typer.Option(help="korea: invented districts inside the provinces of South Korea.")] = None,
    zone_count: Annotated[int, typer.Option(min=1, max=20_000, help="Zones to generate when no file is given.")] = 250,
    subscribers: Annotated[int, typer.Option(min=1, help="Subscriptions of all carriers together.")] = 100_000,
    days: Annotated[int, typer.Option(min=1, help="Local days.")] = 14,
    start_date: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First local day.")] = datetime(2020, 1, 6),  # noqa: DTZ001
    carriers: Annotated[
        str, typer.Option(help="Carriers and their market shares, scaled to sum to 1.")
    ] = "skylark:0.45,horizon:0.30,bluewave:0.25",
    multi_sim: Annotated[float, typer.Option(min=0.0, max=0.5, help="Share of people with a second subscription.")] = 0.08,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and options give the same bytes.")] = 1,
    roaming: Annotated[bool, typer.Option("--roaming/--no-roaming", help="Trips abroad and visitors from abroad.")] = True,
    outbreak: Annotated[bool, typer.Option("--outbreak/--no-outbreak", help="An infection that spreads along true contacts.")] = True,
    transmission: Annotated[float, typer.Option(min=0.0, max=10.0, help="Multiplies every contact's chance to infect.")] = 1.0,
    timezone: Annotated[str, typer.Option(help="IANA time zone of the country.")] = "Asia/Seoul",
    events_per_day: Annotated[float, typer.Option(min=0.1, max=1_000.0, help="Mean events a day and subscription.")] = 14.0,
    events_from: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day of carriers' files; the outbreak runs over all days.")
    ] = None,
    events_until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day of carriers' files.")] = None,
    chunk: Annotated[int, typer.Option(min=1, help="People worked on at a time; changes nothing in the result.")] = 32_768,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads; change nothing in the result.")] = 2,
    force: Annotated[bool, typer.Option("--force", help="Replace the country that stands in DIR.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Make a synthetic country: carriers' events, network and roaming records, case reports, and the truth behind them."""
    from oneteam.cli.render import progress_bar
    from oneteam.synth.country import make_country
    from oneteam.synth.provinces import known_shape
    from oneteam.synth.settings import CountrySettings, parse_carriers, zone_info

    zone_info(timezone)
    settings = CountrySettings(
        zones=zones,
        od=od,
        shapes=shapes,
        shape=known_shape(shape),
        zone_count=zone_count,
        subscribers=subscribers,
        days=days,
        start_date=start_date.date(),
        carriers=parse_carriers(carriers),
        multi_sim=multi_sim,
        seed=seed,
        roaming=roaming,
        outbreak=outbreak,
        transmission=transmission,
        timezone=timezone,
        events_per_day=events_per_day,
        events_from=events_from.date() if events_from else None,
        events_until=events_until.date() if events_until else None,
        chunk=chunk,
        threads=threads,
    )
    with progress_bar(show=not json) as progress:
        summary = make_country(settings, folder, progress, force=force)
    if json:
        typer.echo(summary.model_dump_json())
        return
    typer.echo(f"{summary.folder}: {summary.zones} zones, {summary.persons:,} people, {summary.subscriptions:,} subscriptions")
    typer.echo(f"  {summary.events:,} events in {summary.seconds:.1f} s ({summary.events_per_s:,} a second), {summary.days} days")
    typer.echo(f"  {summary.trips:,} trips, {summary.infections:,} infections, {summary.cases:,} reported cases")
