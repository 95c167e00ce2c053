"""``oneteam privacy``: attack what the gate would release, and see that it holds."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Attacks on releases, on people who do not exist. 가상 인구로 공개 통계를 공격해 봅니다.", no_args_is_help=True)


@app.callback()
def privacy() -> None:
    """What a release tells about one person, measured."""


@app.command()
def attack(
    rho_total: Annotated[float, typer.Option(min=1e-4, max=10.0, help="Budget that all releases of an attack share (zCDP).")] = 0.04,
    releases: Annotated[int, typer.Option(min=1, max=100, help="Releases that the likelihood-ratio attacker sees.")] = 2,
    max_keys: Annotated[int, typer.Option(min=1, max=1000, help="Keys that one person may touch (K).")] = 8,
    max_value: Annotated[int, typer.Option(min=1, help="Most that one person adds to one key (V).")] = 2,
    smallest_count: Annotated[int, typer.Option(min=2, help="k of the plain tables that serve as control.")] = 10,
    threshold: Annotated[int, typer.Option(min=0, help="s of a joint release; 0 attacks a single member's.")] = 0,
    colluding: Annotated[int, typer.Option(min=0, help="t: members whose noise the attacker knows, in a joint release.")] = 0,
    trials: Annotated[int, typer.Option(min=50, help="Noise draws with and without the person; more find smaller leaks.")] = 3_000,
    targets: Annotated[int, typer.Option(min=1, max=1_000, help="People attacked, beside the one worst case.")] = 3,
    confidence: Annotated[float, typer.Option(min=0.5, max=0.999999, help="One-sided confidence of each verdict.")] = 0.999,
    subscribers: Annotated[int, typer.Option(min=50, help="Subscriptions of the synthetic country.")] = 3_000,
    zone_count: Annotated[int, typer.Option(min=3, max=2_000, help="Its zones.")] = 30,
    days: Annotated[int, typer.Option(min=2, max=28, help="Local days that are released.")] = 7,
    seed: Annotated[int, typer.Option(min=0, help="Of the country; the noise has no seed.")] = 1,
    noise_factor: Annotated[
        float, typer.Option(min=0.01, max=10.0, help="Draw the noise this much smaller or larger: 0.5 must be found out.")
    ] = 1.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")] = False,
) -> None:
    """Attack releases of a synthetic country with known truth; end with 1 if the gate leaks or a control withstands.

    Success is the area under the ROC curve of telling whether one person is in the data: 0.5 is a coin, 1 is certainty. Releases through
    the gate must stay within Phi(sqrt(rho)). Plain tables that only hide small counts, and queries without a budget, are the controls:
    if they withstand, the attack proves nothing.
    """
    from dataclasses import asdict

    from oneteam.cli.render import print_json, print_rows, progress_bar, say
    from oneteam.privacy import mechanism
    from oneteam.privacy.attacks import Draw, Settings, Trips, run_attacks
    from oneteam.synth.build import build_country
    from oneteam.synth.settings import CountrySettings
    from oneteam.synth.whereabouts import person_trips

    settings = Settings(
        rho_total=rho_total,
        releases=releases,
        max_keys=max_keys,
        max_value=max_value,
        smallest_count=smallest_count,
        trials=trials,
        targets=targets,
        confidence=confidence,
        threshold=threshold,
        colluding=colluding,
    )
    draw: Draw | None = None
    if noise_factor != 1.0:

        def draw(tables, sigmas):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            return mechanism.noised_levels(tables, [noise_factor * sigma for sigma in sigmas])

    with progress_bar(show=not json) as progress:
        country = build_country(
            CountrySettings(subscribers=subscribers, zone_count=zone_count, days=days, seed=seed, roaming=False, outbreak=False), progress
        )
        made = person_trips(country)
        trips = Trips(
            person=made.person,
            day=made.day,
            origin=made.origin,
            destination=made.destination,
            zones=country.zones.codes,
            regions=country.zones.regions,
            first_day=country.settings.start_date,
            days=days,
        )
        findings = run_attacks(trips, settings, draw=draw, progress=progress)
    good = all(finding.as_expected for finding in findings)
    if json:
        body = [{**asdict(finding), "as_expected": finding.as_expected} for finding in findings]
        print_json({"ok": good, "rho_total": rho_total, "confidence": confidence, "noise_factor": noise_factor, "findings": body})
    else:
        print_rows(f"Attacks at rho {rho_total:g}; limits at {confidence:.1%}", [_row(asdict(f), ok=f.as_expected) for f in findings])
        gate_holds = all(f.as_expected for f in findings if not f.control)
        say("Releases through the gate keep within the bound." if gate_holds else "A release through the gate LEAKS more than rho allows.")
        if not all(f.as_expected for f in findings if f.control):
            say("A control withstood its attack: use more trials, or a larger country; this run proves little.")
    if not good:
        raise typer.Exit(1)


def _row(finding: dict[str, object], *, ok: bool) -> dict[str, object]:
    verdict = ("broken, as it must" if ok else "WITHSTOOD") if finding["control"] else ("holds" if ok else "LEAKS")
    return {
        "attack": finding["attack"],
        "releases": finding["arm"],
        "person": finding["who"],
        "AUC": finding["auc"],
        "at least": finding["low"],
        "bound": finding["bound"],
        "verdict": verdict,
    }
