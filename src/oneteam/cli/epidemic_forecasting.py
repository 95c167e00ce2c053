"""Commands of ``oneteam epidemic`` that forecast: today, and every past date as if it were today."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
TargetFile = Annotated[Path, typer.Option("--target-data", "-t", help="Weekly target data, with or without vintages; see `convert`.")]
LocationsFile = Annotated[Path, typer.Option("--locations", "-l", help="Places with population.")]
HistoryFiles = Annotated[
    list[Path] | None, typer.Option("--history", help="Other series of the disease to learn seasons from; may be given several times.")
]
MobilityFile = Annotated[Path | None, typer.Option("--mobility", help="Trips between places, by week.")]
Models = Annotated[
    list[str] | None,
    typer.Option("--models", help="Members: linear, boosted, boosted-shape, filter, baseline; with commas or repeated. All without."),
]
Horizons = Annotated[str, typer.Option(help="Weeks from the reference date, such as 0-3, 1-4 or -1-3.")]
Target = Annotated[str | None, typer.Option(help="Which target, where the file holds several.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same numbers.")]
Processes = Annotated[int, typer.Option(min=1, max=64, help="How many processes work at once.")]
Samples = Annotated[
    int, typer.Option(min=0, max=10_000, help="Sample trajectories of the combination to write for each date, into OUT/samples.")
]
Lag = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=12,
        help="Data without vintages: weeks from the newest known week to the reference date. Without: 0 for horizons from 1 on, else 1; "
        "`forecast` takes that of its date.",
    ),
]
HolidaysFile = Annotated[
    Path | None,
    typer.Option(
        "--holidays",
        help="Public holidays, column date: what a working day off does to the counts of its week and the next is learned and allowed for.",
    ),
]
Aggregate = Annotated[
    str | None,
    typer.Option("--aggregate", help="Code of the place that is the sum of the others, or none. Without: found where it is so every week."),
]
Breaks = Annotated[
    list[str] | None,
    typer.Option("--break", help="Day on which testing or reporting changed, such as 2022-02-03: no trend is read across it. Repeatable."),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Output folder; running again goes on where a run has stopped.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application of the noun ``epidemic``."""
    app.command()(forecast)
    app.command()(backtest)


def backtest(
    target_data: TargetFile,
    locations: LocationsFile,
    out: Out,
    history: HistoryFiles = None,
    mobility: MobilityFile = None,
    reference_dates: Annotated[str, typer.Option(help="all, FROM:TO, or dates with commas.")] = "all",
    horizons: Horizons = "0-3",
    models: Models = None,
    target: Target = None,
    lag_weeks: Lag = None,
    samples: Samples = 0,
    breaks: Breaks = None,
    holidays: HolidaysFile = None,
    aggregate: Aggregate = None,
    seed: Seed = 1,
    processes: Processes = 2,
    learn_every: Annotated[int, typer.Option(min=1, max=520, help="Weeks after which members are learned anew.")] = 4,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Forecast every reference date as it could have been made on that day; score the result with `score`.

    A date's forecast reads that date's snapshot and earlier ones, never a later one. Dates that stand in OUT already are kept and count as
    the past. Without vintages, snapshots are cut from today's data
    and the output is labelled "revised data". A date that fails is named, the others go on, and the exit code is 1.
    """
    from oneteam.cli.render import print_json, print_rows, progress_bar, say
    from oneteam.epidemic.service.backtest import BacktestSettings
    from oneteam.epidemic.service.backtest import backtest as run
    from oneteam.epidemic.service.inputs import InputFiles, parse_horizons

    files = InputFiles(target_data, locations, tuple(history or ()), mobility, target, holidays)
    weeks = tuple(parse_horizons(horizons))
    changed = tuple(breaks or ())
    settings = BacktestSettings(
        reference_dates, weeks, _split(models), seed, processes, learn_every, lag_weeks, samples, changed, aggregate
    )
    with progress_bar(show=not (quiet or json)) as progress:
        report = run(files, out, settings, progress)
    if json:
        print_json(report.as_dict())
    else:
        span = f"{len(report.dates)} dates from {report.dates[0]} to {report.dates[-1]}, {report.label}"
        say(f"{out}: {span}; {report.made} files made, {report.kept} kept")
        for note in report.notes:
            say(f"note: {note}")
        if report.weights:
            print_rows("Weights on the last date", [{"member": name, "weight": weight} for name, weight in report.weights.items()])
        if report.failures:
            print_rows("Failed", [{"date": str(f.reference_date), "model": f.model, "why": f.why} for f in report.failures])
    if report.failures:
        raise typer.Exit(1)


def forecast(
    target_data: TargetFile,
    locations: LocationsFile,
    out: Out,
    history: HistoryFiles = None,
    mobility: MobilityFile = None,
    reference_date: Annotated[str | None, typer.Option(help="The date; the newest without.")] = None,
    horizons: Horizons = "0-3",
    models: Models = None,
    target: Target = None,
    track: Annotated[int, typer.Option(min=0, help="Earlier dates that are forecast too, to learn weights and spread from.")] = 12,
    lag_weeks: Lag = None,
    samples: Samples = 0,
    breaks: Breaks = None,
    holidays: HolidaysFile = None,
    aggregate: Aggregate = None,
    seed: Seed = 1,
    processes: Processes = 2,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Forecast the coming weeks: the newest date, with weights and spread learned from the dates before it."""
    from oneteam.cli.render import print_json, print_rows, progress_bar, say
    from oneteam.epidemic.service.backtest import BacktestSettings
    from oneteam.epidemic.service.forecast import forecast_now
    from oneteam.epidemic.service.inputs import InputFiles, parse_horizons

    files = InputFiles(target_data, locations, tuple(history or ()), mobility, target, holidays)
    weeks = tuple(parse_horizons(horizons))
    changed = tuple(breaks or ())
    settings = BacktestSettings(
        "all", weeks, _split(models), seed, processes, lag_weeks=lag_weeks, samples=samples, breaks=changed, aggregate=aggregate
    )
    with progress_bar(show=not (quiet or json)) as progress:
        result = forecast_now(files, out, settings, reference_date, track, progress)
    if json:
        print_json(result.as_dict())
    else:
        print_rows(f"Forecast of {result.target} on {result.reference_date} ({result.label})", result.rows())
        say(f"all quantiles: {result.path}")
        for note in result.report.notes:
            say(f"note: {note}")
    if result.report.failures:
        if not json:
            print_rows("Failed", [{"date": str(f.reference_date), "model": f.model, "why": f.why} for f in result.report.failures])
        raise typer.Exit(1)


def _split(names: list[str] | None) -> tuple[str, ...]:
    return tuple(part.strip() for name in names or () for part in name.split(",") if part.strip())
