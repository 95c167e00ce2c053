"""The command of ``oneteam epidemic`` that shows what the others found."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

DAY = ["%Y-%m-%d"]


def register(app: typer.Typer) -> None:
    """Add the command to the application of the noun ``epidemic``."""
    app.command()(report)


def report(
    study: Annotated[
        Path,
        typer.Argument(
            help="Folder with data/, forecasts/ and, where made, scores/, situation/, importation/, scenario.toml, scenario/.",
            metavar="STUDY",
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The page; STUDY/report.html without.")] = None,
    language: Annotated[str, typer.Option("--lang", help="en, ko, both (with a switch), or both in order: ko,en.")] = "both",
    title: Annotated[str | None, typer.Option(help="Of the report; English and Korean parted by a bar: 'Flu|독감'.")] = None,
    threshold: Annotated[
        str, typer.Option(help="What counts as hit: q0.75 of a place's own weeks, or counts per 100,000 and week such as 100.")
    ] = "q0.75",
    horizon: Annotated[int, typer.Option(help="Weeks ahead that the first sentence is about.")] = 2,
    reference_date: Annotated[datetime | None, typer.Option(formats=DAY, help="Of the forecast; the newest without.")] = None,
    model: Annotated[str, typer.Option(help="Whose forecasts.")] = "oneteam-ensemble",
    aggregate: Annotated[str | None, typer.Option(help="Code of the sum over all places; it is shown, not ranked.")] = None,
    geometry: Annotated[Path | None, typer.Option(help="GeoJSON or TopoJSON of the places by property code, for maps and names.")] = None,
    districts: Annotated[
        Path | None, typer.Option(help="Shapes of the scenario's zones: adds a map that is marked as downscaled, unvalidated.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the three sentences as one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """One page for those who decide: where next, where from, what a measure would do; each with its date, validation and track record.

    The page is one HTML file without script that loads nothing. It opens with three sentences; behind them stand maps, fan charts, Rt,
    importation, the scenario, the scores of past forecasts, and every repair of the data. See docs/epidemic.md.
    """
    from dataclasses import asdict

    from oneteam.cli.render import print_json, progress_bar, say
    from oneteam.epidemic.service.outputs import check_page
    from oneteam.epidemic.service.report import write_report
    from oneteam.epidemic.service.report_inputs import ReportFiles, ReportSettings

    if out:
        check_page(out)
    settings = ReportSettings(reference_date.date() if reference_date else None, model, horizon, threshold, aggregate, title, language)
    files = ReportFiles.of_study(study, geometry, districts)
    with progress_bar(show=not (quiet or json)) as progress:
        found = write_report(files, out or study / "report.html", settings, progress)
    if json:
        print_json(asdict(found))
        return
    for sentence in next(iter(found.sentences.values())):
        say(f"• {sentence}")
    if found.missing:
        say(f"not in the report, because not made: {', '.join(found.missing)}", style="dim")
    say(f"{found.path}  ({found.bytes / 1000:,.0f} kB)")
