"""Commands of ``oneteam epidemic`` that read case files, score forecasts, and say how fast and from where an epidemic grows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
DAY = ["%Y-%m-%d"]


def register(app: typer.Typer) -> None:
    """Add the commands to the application of the noun ``epidemic``."""
    app.command()(convert)
    app.command()(score)
    app.command()(rt)
    app.command()(importation)


def convert(
    source: Annotated[Path, typer.Argument(help="Case file: CSV or Parquet.", metavar="FILE")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for time-series.parquet, locations.csv and report.json.")],
    kind: Annotated[str, typer.Option("--from", help="daily-csv (new counts a day) or cumulative-csv (running sums).")] = "daily-csv",
    week_end: Annotated[str, typer.Option(help="Weekday on which weeks end: MON ... SUN.")] = "SAT",
    target: Annotated[str, typer.Option(help="Name of the target.")] = "wk inc case",
    value_column: Annotated[str | None, typer.Option(help="Column with the counts, if its name is unusual.")] = None,
    border: Annotated[
        str, typer.Option(help="Codes of cases found at the border, comma-separated: left out, and reported.")
    ] = "quarantine",
    gaps: Annotated[str, typer.Option(help="A day without a number: unknown (its week too) or zero.")] = "unknown",
    locations: Annotated[Path | None, typer.Option(help="Known places, with population; other codes are refused.")] = None,
    population: Annotated[Path | None, typer.Option(help="CSV with population, added up over rows of the same code.")] = None,
    population_code: Annotated[str | None, typer.Option(help="Column of that file with the code.")] = None,
    aggregate: Annotated[str | None, typer.Option(help="Code for the sum over all places, such as KR; none without.")] = None,
    json: Json = False,
) -> None:
    """Turn a daily case file into weekly target data and locations; every repair is listed."""
    from typing import cast

    from oneteam.cli.render import print_json, print_rows, say
    from oneteam.core.errors import UnknownValueError
    from oneteam.epidemic.hub.daily import Gaps
    from oneteam.epidemic.service.convert import ConvertSettings
    from oneteam.epidemic.service.convert import convert as run
    from oneteam.epidemic.service.outputs import check_folder

    check_folder(out)
    if gaps not in {"unknown", "zero"}:
        raise UnknownValueError(f"--gaps {gaps}: must be unknown or zero")
    settings = ConvertSettings(
        source=kind,
        week_end=week_end.upper(),
        target=target,
        border=tuple(code.strip() for code in border.split(",") if code.strip()),
        gaps=cast("Gaps", gaps),
        value_column=value_column,
        locations=locations,
        population=population,
        population_code=population_code,
        aggregate=aggregate,
    )
    result = run(source, out, settings)
    if json:
        print_json(result.as_dict())
        return
    span = f"{result.weeks} weeks ending {result.first_week} to {result.last_week}"
    say(f"{out}: {result.locations} places, {span}, {result.total:,.0f} cases")
    if result.repairs:
        print_rows("Repaired or left out", [{"kind": r.kind, "location": r.location, "what": r.what} for r in result.repairs])


def score(
    forecasts: Annotated[Path, typer.Option("--forecasts", "-f", help="Forecast file, or a folder of models.")],
    truth: Annotated[Path, typer.Option("--truth", help="Target data; of several vintages the newest value counts.")],
    baseline: Annotated[
        Path | None, typer.Option(help="Forecasts of one model; its tasks are scored, and scores are relative to it.")
    ] = None,
    locations: Annotated[Path | None, typer.Option(help="Places with population: for rate-change categories and rates.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for tables and pictures; or FILE.json, .csv, .parquet.")] = None,
    target: Annotated[str | None, typer.Option(help="Which target, when there are several.")] = None,
    threshold: Annotated[str, typer.Option(help="qLEVEL of a place's own past, or counts per 100,000 inhabitants a week.")] = "q0.75",
    alert_probability: Annotated[float, typer.Option(min=0.01, max=0.99, help="Probability from which a forecast alerts.")] = 0.5,
    rate_change: Annotated[str, typer.Option(help="Season whose FluSight category limits apply: auto, 2023-24, 2024-25.")] = "auto",
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Score what is there of the tasks instead of refusing.")] = False,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw pictures into the folder.")] = True,
    by: Annotated[str, typer.Option(help="Also print a table by horizon, location, week or none.")] = "horizon",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score forecasts: WIS, log-WIS, coverage, PIT, thresholds, alerts; relative to a baseline on its tasks."""
    from oneteam.cli.render import print_json, print_rows, progress_bar, say
    from oneteam.core.errors import UnknownValueError
    from oneteam.epidemic.service.outputs import check_folder
    from oneteam.epidemic.service.score import ONE_FILE, ScoreSettings, write_report
    from oneteam.epidemic.service.score import score as run

    if out:
        check_folder(out, files=ONE_FILE)
    if by not in {"horizon", "location", "week", "none"}:
        raise UnknownValueError(f"--by {by}: must be horizon, location, week or none")
    settings = ScoreSettings(target, threshold, alert_probability, rate_change, allow_missing)
    with progress_bar(show=not (quiet or json)) as progress:
        report = run(forecasts, truth, baseline, locations, settings, progress)
    written = write_report(report, out, plots=plots) if out else []
    if json:
        print_json(report.as_dict())
        return
    about = report.about
    title = "Scores (rel: relative to the baseline, below 1 is better)" if baseline else "Scores"
    print_rows(title, [_short(row) for row in report.summary_table().to_pylist()])
    if by != "none":
        print_rows(f"By {by}", [_short(row) for row in report.tables[f"by_{by}"].to_pylist()])
    say(
        f"{about['tasks']:,} tasks, {about['first_reference_date']} to {about['last_reference_date']}; "
        f"{about['tasks_without_outcome']:,} more have no known outcome; threshold: {about['threshold']}"
    )
    for note in about["notes"]:
        say(f"note: {note}")
    if written:
        say(f"{len(written)} files -> {out}")


_SHORT = {
    "model": "model",
    "horizon": "horizon",
    "location": "place",
    "reference_date": "date",
    "tasks": "tasks",
    "relative_wis": "rel",
    "relative_log_wis": "rel log",
    "wis": "WIS",
    "log_wis": "log-WIS",
    "coverage_50": "50%",
    "coverage_80": "80%",
    "coverage_95": "95%",
}
"""What fits on a terminal; the files have all columns."""


def _short(row: dict[str, object]) -> dict[str, object]:
    return {name: _brief(row[column]) for column, name in _SHORT.items() if column in row}


def _brief(value: object) -> object:
    """Three digits of a number, whole counts whole."""
    if not isinstance(value, float):
        return value
    if value != value:  # noqa: PLR0124  NaN alone differs from itself
        return None
    return round(value) if abs(value) >= 1_000 else float(f"{value:.3g}")


def _lean(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Rows without the columns that none of them fills."""
    filled = [name for name in (rows[0] if rows else ()) if any(row[name] is not None for row in rows)]
    return [{name: _brief(row[name]) for name in filled} for row in rows]


def rt(
    source: Annotated[Path, typer.Argument(help="Daily case file: CSV or Parquet.", metavar="FILE")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for rt.csv, situation.csv, alerts (CAP 1.2) and pictures.")
    ] = None,
    kind: Annotated[str, typer.Option("--from", help="daily-csv or cumulative-csv.")] = "daily-csv",
    value_column: Annotated[str | None, typer.Option(help="Column with the counts, if its name is unusual.")] = None,
    border: Annotated[str, typer.Option(help="Codes of cases found at the border, comma-separated.")] = "quarantine",
    gaps: Annotated[str, typer.Option(help="A day without a number: unknown or zero.")] = "unknown",
    until: Annotated[datetime | None, typer.Option(formats=DAY, help="Last day to use; the file's last without it.")] = None,
    disease: Annotated[
        str, typer.Option(help="covid19-wild, covid19-omicron or influenza: serial interval and severity.")
    ] = "covid19-omicron",
    serial_mean: Annotated[float | None, typer.Option(help="Mean serial interval [d], instead of the disease's.")] = None,
    serial_sd: Annotated[float | None, typer.Option(help="Its standard deviation [d].")] = None,
    window: Annotated[int, typer.Option(min=1, max=60, help="Days over which Rt is held constant.")] = 7,
    method: Annotated[
        Literal["cori", "filter", "both"],
        typer.Option(help="Which Rt: Cori and others by day, the forecasts' filter by week (adds rt-filter.csv), or both."),
    ] = "cori",
    smoothing: Annotated[int, typer.Option(min=1, max=28, help="Trailing mean over so many days first; 1 is none.")] = 1,
    threshold: Annotated[float, typer.Option(help="Cases per 100,000 and week whose exceedance is asked for.")] = 100.0,
    population: Annotated[Path | None, typer.Option(help="CSV with population, added up over rows of the same code.")] = None,
    population_code: Annotated[str | None, typer.Option(help="Column of that file with the code.")] = None,
    ages: Annotated[Path | None, typer.Option(help="CSV age,share of cases by age band, for the hospital burden.")] = None,
    severity: Annotated[Path | None, typer.Option(help="CSV from_age,admitted[,low,high] instead of the built-in severity.")] = None,
    sender: Annotated[str, typer.Option(help="Who warns, for CAP alerts.")] = "oneteam@localhost",
    status: Annotated[str, typer.Option(help="CAP status: Actual, Exercise, Test or Draft.")] = "Draft",
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw pictures into the folder.")] = True,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rt by place with uncertainty; growth, doubling, exceedance, hospital burden, risk level, and CAP alerts."""
    from oneteam.cli.render import print_json, print_rows, progress_bar, say
    from oneteam.epidemic.service.outputs import check_folder
    from oneteam.epidemic.service.rt import RtSettings, write_situation
    from oneteam.epidemic.service.rt import situation as run

    if out:
        check_folder(out)
    settings = RtSettings(
        source=kind,
        value_column=value_column,
        border=tuple(code.strip() for code in border.split(",") if code.strip()),
        gaps=gaps,
        until=until.date() if until else None,
        disease=disease,
        serial_mean_d=serial_mean,
        serial_sd_d=serial_sd,
        window_d=window,
        smoothing_d=smoothing,
        threshold_per_100k=threshold,
        population=population,
        population_code=population_code,
        ages=ages,
        severity=severity,
        sender=sender,
        status=status,
        method=method,
    )
    with progress_bar(show=not (quiet or json)) as progress:
        found = run(source, settings, progress)
    written = write_situation(found, out, plots=plots) if out else []
    if json:
        print_json(found.as_dict())
        return
    print_rows(f"Situation on {found.day}", _lean(found.rows()))
    for note in found.notes:
        say(f"note: {note}")
    if written:
        say(f"{len(written)} files -> {out}")


def importation(
    arrivals: Annotated[
        Path | None, typer.Option(help="Arrivals by day and origin: `arrivals` of `oneteam telecom measure`, or day,country,value.")
    ] = None,
    flights: Annotated[Path | None, typer.Option(help="Flights by day and country (total arrivals of each): day,country,value.")] = None,
    cases: Annotated[
        Path | None, typer.Option(help="Reported cases at the origins by day: day,country,new_cases, or cumulative and wide.")
    ] = None,
    prevalence: Annotated[Path | None, typer.Option(help="Share infectious by day and origin instead: day,country,prevalence.")] = None,
    origins: Annotated[Path | None, typer.Option(help="CSV country,population[,ascertainment_low,ascertainment_high].")] = None,
    days_abroad: Annotated[Path | None, typer.Option(help="`days_abroad` of `oneteam telecom measure`: mean stay at each origin.")] = None,
    observed: Annotated[
        Path | None, typer.Option(help="Imported cases found, by day: day,imported_cases; the posterior uses them.")
    ] = None,
    measures: Annotated[list[str] | None, typer.Option("--measure", help="Border measure ORIGIN=EFFECT, e.g. CN=0.8 stops 80%.")] = None,
    fit_until: Annotated[
        datetime | None, typer.Option(formats=DAY, help="Last day whose imported cases are used; later ones are scored.")
    ] = None,
    ascertainment: Annotated[str, typer.Option(help="Share of infections that origins report, LOW:HIGH (95%); with --cases.")] = "0.05:0.5",
    home: Annotated[
        str, typer.Option("--home-country", help="Names of the country itself, parted by semicolons.")
    ] = "KR;KOR;Korea, South;South Korea",
    draws: Annotated[int, typer.Option(min=100, max=20_000, help="Posterior draws.")] = 1_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same numbers.")] = 1,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for tables and pictures.")] = None,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw pictures into the folder.")] = True,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Expected imported cases by origin and week, with intervals; ranking of origins; what a border measure would change."""
    from oneteam.cli.render import print_json, print_rows, progress_bar, say
    from oneteam.epidemic.service.importation import importation as run
    from oneteam.epidemic.service.importation import parse_measures, parse_range, write_importation
    from oneteam.epidemic.service.importation_inputs import ImportationSettings
    from oneteam.epidemic.service.outputs import check_folder

    if out:
        check_folder(out)
    settings = ImportationSettings(
        ascertainment=parse_range(ascertainment),
        measures=parse_measures(measures or []),
        fit_until=fit_until.date() if fit_until else None,
        draws=draws,
        seed=seed,
        days_abroad=days_abroad,
        home=tuple(name.strip() for name in home.split(";") if name.strip()),
    )
    with progress_bar(show=not (quiet or json)) as progress:
        found = run(arrivals, flights, cases, prevalence, origins, observed, settings, progress)
    written = write_importation(found, out, plots=plots) if out else []
    if json:
        print_json(found.as_dict())
        return
    print_rows("Origins" if found.identifiable else "Origins: not identifiable", _lean(found.origin_rows()))
    if found.effects:
        print_rows("Border measures", [vars(effect) for effect in found.effects])
    print_rows("By week", _lean(found.week_rows()))
    if found.scores:
        say(f"next week: {found.next_week()}")
        print_rows("National totals, forecast a week before", [dict(found.scores)])
    for note in found.notes:
        say(f"note: {note}")
    if written:
        say(f"{len(written)} files -> {out}")
