"""``oneteam study``: from members' Releases and case reports to one report; ``run``, ``show``, ``verify``, ``new``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer(
    help="The joint study: ask members, forecast, compare measures, warn, report. 함께하는 분석을 한 번에 실행합니다.", no_args_is_help=True
)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Folder = Annotated[Path, typer.Argument(help="The study's folder.", metavar="OUT")]


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="study.toml; see docs/study.md for what it may say.", metavar="STUDY")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results; made if absent.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="What file names are relative to; else `data` in the file, else the file's own folder."),
    ] = None,
    again: Annotated[bool, typer.Option("--ask-again", help="Also ask what was refused before.")] = False,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Run a study, or go on with one that was stopped; what is there is reused, and costs nothing.

    Refusals are shown and kept; the study goes on without what was refused. OUT/report.html is the report.
    """
    import asyncio

    from oneteam.app.study.run import run_study
    from oneteam.cli.render import print_json, progress_bar

    with progress_bar(show=not (json or quiet)) as progress:
        found = asyncio.run(run_study(file, out, data=data, again=again, progress=progress))
    if json:
        print_json(found.as_dict())
    else:
        _tell(found.as_dict(), found.out)
    if found.failed:
        raise typer.Exit(2)


def _there(folder: Path, name: str) -> None:
    """Refuse a folder without the file that every study has."""
    from oneteam.core.errors import NothingFoundError

    if not (folder / name).is_file():
        raise NothingFoundError(f"{folder}: no study stands here", hint=f"`oneteam study run study.toml --out {folder}` makes one.")


@app.command()
def show(folder: Folder, json: Json = False) -> None:
    """Show where a study stands, what it says, and what it cost; also while it runs."""
    from oneteam.app.study.folder import read_json
    from oneteam.cli.render import print_json, print_rows, say

    _there(folder, "progress.json")
    steps = read_json(folder / "progress.json")["steps"]
    summary = read_json(folder / "summary.json") if (folder / "summary.json").is_file() else None
    if json:
        print_json({"steps": steps, "summary": summary})
        return
    print_rows(
        "Steps", [{"step": s["title"]["en"], "state": s["state"], "seconds": round(s["seconds"], 1), "": s["detail"]} for s in steps]
    )
    if summary is None:
        say("no summary yet")
        return
    for sentence in summary["sentences"].get("en", []):
        say(f"• {sentence}")
    say(f"{summary['releases']} Releases, {summary['refusals']} refusals, rho {summary['rho_spent']:g} spent, {summary['alerts']} alerts")


@app.command()
def verify(
    folder: Folder,
    home: Annotated[
        Path | None, typer.Option("--home", help="Home of any member of the alliance: its roster has the keys. The study's own without.")
    ] = None,
    json: Json = False,
) -> None:
    """Check the signatures of every Release, and every file against the provenance."""
    from oneteam.app.study.folder import StudyFolder
    from oneteam.app.study.verifying import verify as check
    from oneteam.cli.render import print_json, print_rows, say

    _there(folder, "provenance.json")
    found = check(StudyFolder(folder.resolve()), home)
    if json:
        print_json(found.as_dict())
    elif found.valid:
        say(f"{found.releases} Releases: signatures hold. {found.files} files are as they were written.")
        if found.home is not None:
            say(f"The keys are those of the roster in {found.home}.")
    else:
        print_rows("What does not fit", [{"code": code, "what": message} for code, message in found.faults])
    if not found.valid:
        raise typer.Exit(77)


@app.command()
def new(
    target: Annotated[Path, typer.Argument(help="The file to write.", metavar="STUDY")] = Path("study.toml"),
    files: Annotated[bool, typer.Option("--files", help="Public tables only; no member is asked.")] = False,
    json: Json = False,
) -> None:
    """Write a study file to edit: every key explained."""
    from oneteam.app.study.template import study_template
    from oneteam.cli.render import print_json, say
    from oneteam.core.errors import UnknownValueError
    from oneteam.store.tables import write_atomically

    if target.exists():
        raise UnknownValueError(f"{target}: is there already", hint="Give another name.")
    write_atomically(target, study_template(members=not files).encode())
    if json:
        print_json({"file": str(target)})
    else:
        say(f"{target}: edit it, then `oneteam study run {target} --out DIR`")


def _tell(told: Mapping[str, Any], out: Path) -> None:
    from oneteam.cli.render import print_rows, say

    for refusal in told["refusals"]:
        days = f"{refusal['first_day']} to {refusal['last_day']}"
        say(f"refused: {refusal['measure']}, {days}: {refusal['message']}", style="yellow")
    for step, why in told["failed"].items():
        say(f"failed: {step}: {why}", style="red")
    summary = told["summary"]
    for sentence in summary["sentences"].get("en", []):
        say(f"• {sentence}")
    if summary["places"]:
        print_rows(
            "Likeliest places",
            [
                {
                    "place": f"{p['location']} {p['name']['en']}",
                    "probability": p["probability"],
                    "a week ago": p["probability_before"],
                    "per 100,000": p["expected_per_100k"],
                }
                for p in summary["places"][:5]
            ],
        )
    say(
        f"{summary['releases']} Releases ({told['new_releases']} new), {summary['refusals']} refusals; "
        f"rho {summary['rho_spent']:g} in all, {told['rho_spent_now']:g} now"
    )
    say(f"report: {out / 'report.html'}")
