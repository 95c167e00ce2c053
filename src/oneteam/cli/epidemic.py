"""``oneteam epidemic``: simulate, forecast and score an epidemic."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from oneteam.cli.completion import model_presets

if TYPE_CHECKING:
    from oneteam.epidemic.engine.measures import Period
    from oneteam.epidemic.engine.scenario import Scenario

app = typer.Typer(
    help="Simulate, forecast and score an epidemic from Releases and public tables. 감염병을 모의하고 예측합니다.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for tables, summary and plots; made if absent.")]
Threads = Annotated[int, typer.Option(help="Blocks of 32 simulations at the same time; changes no number.", min=1, max=64)]
Plots = Annotated[bool, typer.Option("--plots/--no-plots", help="Draw fan charts, and a map where shapes are given.")]
DAY = ["%Y-%m-%d"]
Meaning = Literal["basic", "on_first_day"]


@app.command()
def simulate(
    out: Out,
    model: Annotated[Path | None, typer.Argument(help="A model (TOML); or give --preset.", metavar="MODEL")] = None,
    preset: Annotated[str | None, typer.Option(help="covid19, influenza or seir.", autocompletion=model_presets)] = None,
    zones: Annotated[
        Path | None, typer.Option(help="CSV: code (or kostat_2018_code), population, perhaps population_15_plus, region.")
    ] = None,
    contacts: Annotated[
        Path | None, typer.Option(help="Folder with contacts_<setting>_<n>ages.csv: home, school, work, community.")
    ] = None,
    ages: Annotated[Path | None, typer.Option(help="CSV group_name,value: people by single year of age.")] = None,
    od: Annotated[
        list[Path] | None,
        typer.Option(
            help="CSV of trips per day: origin,destination,trips_per_day, or a square table. Over time: with a column date or week_start, "
            "or several files with a date in each one's name."
        ),
    ] = None,
    mobility: Annotated[
        Path | None, typer.Option(help="CSV of movement by week: week_start,location,trips; scales the trips of each day.")
    ] = None,
    mobility_reference: Annotated[
        str | None, typer.Option(help="Days FROM:TO whose mean movement the trips stand for; else each place's median.", metavar="FROM:TO")
    ] = None,
    mobility_known_on: Annotated[
        datetime | None, typer.Option(formats=DAY, help="Use only movement published by this day: 14 days after a week's end.")
    ] = None,
    crosswalk: Annotated[Path | None, typer.Option(help="CSV from the trips' codes (od_code) to zones' codes.")] = None,
    geometry: Annotated[Path | None, typer.Option(help="GeoJSON or TopoJSON with the zones' shapes, for a map.")] = None,
    infected: Annotated[int, typer.Option(help="People infected at the start, by population.", min=0)] = 10,
    infected_zone: Annotated[list[str] | None, typer.Option(help="Only in these zones; a region's code stands for its zones.")] = None,
    imports_per_day: Annotated[float, typer.Option(help="Infections brought in every day.", min=0)] = 0.0,
    reproduction_number: Annotated[float | None, typer.Option(help="Instead of the model's.", min=0.01)] = None,
    reproduction_number_is: Annotated[
        Meaning, typer.Option(help="Whether season and variants multiply it, or it holds with both as they are on the first day.")
    ] = "basic",
    start: Annotated[datetime, typer.Option(formats=DAY, help="First day.")] = datetime(2020, 1, 20),  # noqa: DTZ001 - a day, no moment
    days: Annotated[int, typer.Option(help="How many days.", min=1)] = 180,
    members: Annotated[int, typer.Option(help="How many simulations.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="Of all random numbers.", min=0)] = 1,
    exact: Annotated[bool, typer.Option("--exact", help="Exact binomial draws: two to three times slower.")] = False,
    threads: Threads = 2,
    plots: Plots = True,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Simulate an epidemic over zones and ages, many times; writes quantiles by day and zone, and fan charts.

    What else can be set (school terms, measures, several imports) goes into a scenario: see `oneteam epidemic scenario -h`.
    """
    from oneteam.cli.render import print_json, progress_bar
    from oneteam.core.errors import UnknownValueError
    from oneteam.epidemic.engine.scenario import Imports, Infected, ModelChoice, Run, Scenario, WorldFiles
    from oneteam.epidemic.service.outputs import check_folder
    from oneteam.epidemic.service.simulate import simulate as run

    check_folder(out)
    if zones is None:
        raise UnknownValueError("--zones is needed: a CSV with code and population")
    if (model is None) == (preset is None):
        raise UnknownValueError("give either a model file or --preset", hint="Presets: covid19, influenza, seir.")
    if infected == 0 and imports_per_day == 0:
        raise UnknownValueError("nobody is infected: give --infected or --imports-per-day")

    def text(path: Path | None) -> str | None:
        return None if path is None else str(path)

    scenario = Scenario(
        name=f"R0 {reproduction_number:g}" if reproduction_number else "simulation",
        world=WorldFiles(
            zones=str(zones),
            contacts=text(contacts),
            ages=text(ages),
            od=str(od[0]) if od and len(od) == 1 else None,
            od_files=tuple(str(path) for path in od) if od and len(od) > 1 else (),
            mobility=text(mobility),
            mobility_reference=_period(mobility_reference),
            mobility_known_on=mobility_known_on.date() if mobility_known_on else None,
            crosswalk=text(crosswalk),
            geometry=text(geometry),
        ),
        model=ModelChoice(
            preset=preset,
            file=text(model),
            reproduction_number=reproduction_number,
            reproduction_number_is=reproduction_number_is,
        ),
        run=Run(first_day=start.date(), days=days, members=members, seed=seed, sampler="exact" if exact else "fast"),
        infected=(Infected(people=infected, zones=tuple(infected_zone or ())),),
        imports=(Imports(per_day=imports_per_day),) if imports_per_day else (),
    )
    with progress_bar(show=not (quiet or json)) as progress:
        found = run(scenario, Path(), out, threads=threads, plots=plots, progress=progress)
    if json:
        from dataclasses import asdict

        print_json(asdict(found))
        return
    _print_simulated(scenario, found)


def _period(text: str | None) -> Period | None:
    """A period from FROM:TO.

    Raises:
        WrongTypeError: it is not two dates, the first not after the second.
    """
    from oneteam.core.errors import WrongTypeError
    from oneteam.epidemic.engine.measures import Period

    if text is None:
        return None
    first, _, last = text.partition(":")
    try:
        period = Period.model_validate({"from": date.fromisoformat(first), "to": date.fromisoformat(last)})
    except ValueError:
        raise WrongTypeError(f"--mobility-reference is {text!r}, must be two days like 2020-01-06:2020-02-16") from None
    if period.last < period.first:
        raise WrongTypeError(f"--mobility-reference {text} ends before it begins")
    return period


def _print_simulated(scenario: Scenario, found: object) -> None:
    from oneteam.cli.render import print_rows, say
    from oneteam.epidemic.service.simulate import Simulated

    assert isinstance(found, Simulated)
    rows = [
        {
            "quantity": name,
            "total": round(total.median),
            "95% of simulations": f"{total.low:,.0f} to {total.high:,.0f}",
            "highest day": round(found.peaks[name].median),
            "on": found.peak_dates[name],
        }
        for name, total in found.totals.items()
    ]
    print_rows(f"{scenario.run.members} simulations of {scenario.run.days} days", rows)
    for note in found.notes:
        say(f"note: {note}")
    say(f"{', '.join(found.files)} -> {found.out}  ({found.seconds:.1f} s)")


@app.command()
def scenario(
    file: Annotated[Path, typer.Argument(help="A scenario (TOML); its paths are relative to it.", metavar="SCENARIO")],
    out: Out,
    members: Annotated[int | None, typer.Option(help="Instead of the file's.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the file's.", min=0)] = None,
    threads: Threads = 2,
    plots: Plots = True,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What measures change: the scenario beside itself without them, with the same random numbers, so that only the effect differs.

    Kinds of measures: contacts, close_schools, work_from_home, masks, mobility, isolation, border, vaccination; each with from, to, zones
    and ages. A whole example stands in docs/epidemic-engine.md.
    """
    from dataclasses import asdict

    from oneteam.cli.render import print_json, print_rows, progress_bar, say
    from oneteam.epidemic.service.outputs import check_folder
    from oneteam.epidemic.service.scenario import compare_scenario
    from oneteam.epidemic.service.simulate import read_scenario

    check_folder(out)
    document = read_scenario(file)
    changed = {name: value for name, value in (("members", members), ("seed", seed)) if value is not None}
    document = document.model_copy(update={"run": document.run.model_copy(update=changed)})
    with progress_bar(show=not (quiet or json)) as progress:
        found = compare_scenario(document, file.parent, out, threads=threads, plots=plots, progress=progress)
    if json:
        print_json(asdict(found))
        return
    rows = [
        {
            "quantity": name if name not in {"hospital", "infectious"} else f"{name} person-days",
            "without": round(a.baseline.median),
            "with": round(a.scenario.median),
            "averted": round(a.averted.median),
            "95% of pairs": f"{a.averted.low:,.0f} to {a.averted.high:,.0f}",
            "share": f"{a.share.median:.0%}",
            "peak later by [days]": round(a.peak_delay_days.median),
        }
        for name, a in found.averted.items()
    ]
    print_rows(f"{document.name}: {document.run.members} pairs of simulations", rows)
    for note in found.notes:
        say(f"note: {note}")
    say(f"{', '.join(found.files)} -> {found.out}  ({found.seconds:.1f} s)")


def _register_others() -> None:
    from importlib import import_module
    from importlib.util import find_spec

    for name in ("oneteam.cli.epidemic_scoring", "oneteam.cli.epidemic_forecasting", "oneteam.cli.epidemic_report"):
        if find_spec(name) is not None:
            import_module(name).register(app)


_register_others()
