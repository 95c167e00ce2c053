"""``oneteam agreement``: what members allow, signed by every party."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneteam.cli.completion import agreement_ids, measure_names
from oneteam.cli.member import HOME, HomeFolder, Json

if TYPE_CHECKING:
    from oneteam.alliance.home import Home
    from oneteam.core.part import MeasureInfo
    from oneteam.privacy.policy import Kept

app = typer.Typer(
    help="Agreements: what may be learned, by whom, for what, at which cost. 합의서: 무엇을, 누가, 무슨 목적으로, 어떤 비용으로.",
    no_args_is_help=True,
)
Which = Annotated[
    str,
    typer.Argument(
        metavar="ID|FILE",
        help="An Agreement's id (its first digits do), or a file: .toml draft or signed .json.",
        autocompletion=agreement_ids,
    ),
]
DAY = ["%Y-%m-%d"]


@app.command()
def new(
    out: Annotated[Path, typer.Option("--out", "-o", help="The draft to write.")] = Path("agreement.toml"),
    zones: Annotated[Path | None, typer.Option(help="CSV with the zones' codes and regions, as `oneteam synth` writes zones.csv.")] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option("--measure", "-m", help="A measure of `oneteam parts`; may be repeated.", autocompletion=measure_names),
    ] = None,
    contributor: Annotated[list[str] | None, typer.Option(help="Who brings data; without: all in the roster with that role.")] = None,
    helper: Annotated[list[str] | None, typer.Option(help="Who adds noise only; without: all in the roster with that role.")] = None,
    recipient: Annotated[list[str] | None, typer.Option(help="Who receives; without: all in the roster with that role.")] = None,
    title: Annotated[str, typer.Option(help="Title.")] = "Agreement",
    title_ko: Annotated[str, typer.Option(help="Title in Korean.")] = "합의서",
    purpose: Annotated[str, typer.Option(help="A purpose of the Data Privacy Vocabulary.")] = "dpv:PublicBenefit",
    dataset: Annotated[str, typer.Option(help="What every contributor calls its data in member.toml.")] = "mobility",
    first: Annotated[datetime | None, typer.Option("--from", formats=DAY, help="In force from this day, 00:00; today without it.")] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", formats=DAY, help="In force until this day, 00:00; a year without it.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Whose midnight.")] = "Asia/Seoul",
    rho: Annotated[float, typer.Option(min=1e-6, max=100, help="Most that one release may cost (zCDP).")] = 0.02,
    rho_total: Annotated[float, typer.Option(min=1e-6, max=100, help="Most that all releases may cost.")] = 0.5,
    single: Annotated[bool, typer.Option("--single", help="One contributor's own Release may be asked for, too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    home: HomeFolder = HOME,
    json: Json = False,
) -> None:
    """Write a draft to edit: every key explained, parties from the roster, zones and regions filled in.

    Next: edit it, `oneteam agreement check FILE`, `oneteam agreement show FILE`, `oneteam agreement sign FILE`.
    """
    from oneteam.alliance.home import Home
    from oneteam.alliance.template import Draft, draft_toml, read_public_zones
    from oneteam.cli.member import text_of, write_out
    from oneteam.cli.render import print_json
    from oneteam.core.errors import InputError
    from oneteam.privacy.agreements import agreement_id, check_agreement, parse_agreement

    if out.exists() and not force:
        raise InputError(f"{out}: stands there already", hint="Give another name with --out, or --force to replace it.")
    signed = Home.open(home).roster()

    def with_role(role: str) -> list[str]:
        return [member.id for member in signed.roster.members if role in member.roles]

    contributors = contributor if contributor is not None else with_role("contributor")
    helpers = helper if helper is not None else [m for m in with_role("helper") if m not in contributors]
    recipients = recipient if recipient is not None else [m for m in with_role("recipient") if m not in {*contributors, *helpers}]
    if not contributors or not recipients:
        raise InputError(
            "an Agreement needs contributors and recipients",
            hint="Name them with --contributor and --recipient, or give them roles in the roster.",
        )
    offered = tuple(_offered(name) for name in measure or ["od"])
    start, end = _period(first, until, timezone)
    draft = Draft(
        title=text_of(title, title_ko),
        roster=signed.id,
        contributors=tuple(contributors),
        recipients=tuple(recipients),
        measures=offered,
        zones=read_public_zones(zones) if zones else None,
        countries=_countries() if any("country" in info.keys for info in offered) else (),
        helpers=tuple(helpers),
        purpose=purpose,
        dataset=dataset,
        not_before=start,
        until=end,
        rho_per_release=rho,
        rho_total=max(rho, rho_total),
        single=single,
    )
    text = draft_toml(draft)
    # A draft that could not be signed as it stands would teach its reader nothing.
    agreement = parse_agreement(text, str(out))
    check_agreement(agreement, signed.roster.members, roster=signed.id, where=str(out))
    write_out(text, out, tell=not json)
    if json:
        print_json({"id": agreement_id(agreement), "file": str(out), "parties": list(agreement.parties)})


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A draft (.toml) or a signed Agreement (.json).")],
    home: HomeFolder = HOME,
    json: Json = False,
) -> None:
    """Check an Agreement: keys, parties and roles, levels, costs, threshold; for a signed one every signature."""
    from oneteam.alliance.home import Home
    from oneteam.app.agreeing import check_against_home, read_either
    from oneteam.cli.render import print_json, say
    from oneteam.privacy.agreements import agreement_id

    member = Home.open(home)
    agreement, text = read_either(member, file)
    signers = check_against_home(member, agreement, text, str(file))
    missing = [party for party in agreement.parties if party not in signers]
    if json:
        print_json({"id": agreement_id(agreement), "ok": True, "signed_by": signers, "missing": missing, "threshold": agreement.threshold})
        return
    say(f"{file}: in order, id {agreement_id(agreement)}")
    say(f"signed by: {', '.join(signers) or 'nobody yet'}")
    if missing:
        say(f"still to sign: {', '.join(missing)}")


@app.command()
def sign(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A draft (.toml), or what other parties have signed (.json).")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; FILE with .json without it.")] = None,
    home: HomeFolder = HOME,
    json: Json = False,
) -> None:
    """Sign an Agreement as this member, and keep it. Read it first: `oneteam agreement show FILE`.

    Next: hand the written file to the next party. When all have signed, each runs `oneteam agreement keep FILE`.
    """
    from datetime import UTC

    from oneteam.alliance.home import Home
    from oneteam.app.agreeing import sign_agreement
    from oneteam.cli.member import write_out
    from oneteam.cli.render import print_json, say
    from oneteam.privacy.agreements import agreement_id
    from oneteam.store.tables import write_atomically

    target = out or file.with_suffix(".json")
    agreement, signed, missing = sign_agreement(Home.open(home), file, target, datetime.now(UTC))
    if json:
        write_atomically(target, f"{signed}\n".encode())
        print_json({"id": agreement_id(agreement), "file": str(target), "missing": missing})
        return
    write_out(signed, target)
    say(f"id {agreement_id(agreement)}")
    say(
        f"still to sign: {', '.join(missing)}"
        if missing
        else "signed by all, and in the book here; the others run `oneteam agreement keep FILE`"
    )


@app.command()
def keep(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A signed Agreement (.json), or another party's revocation (.jws).")],
    home: HomeFolder = HOME,
    json: Json = False,
) -> None:
    """Keep what another party has sent: an Agreement that all have signed, or a revocation."""
    from datetime import UTC

    from oneteam.alliance.home import Home, read_text_file
    from oneteam.app.agreeing import keep_agreement, keep_revocation
    from oneteam.cli.render import print_json, say
    from oneteam.privacy.agreements import agreement_id

    member = Home.open(home)
    text = read_text_file(file).strip()
    if not text.startswith("{"):
        revocation = keep_revocation(member, text, datetime.now(UTC))
        body = {"revoked": revocation.agreement, "by": revocation.member}
    else:
        agreement = keep_agreement(member, file)
        body = {"kept": agreement_id(agreement), "parties": ", ".join(agreement.parties)}
    print_json(body) if json else say("; ".join(f"{key}: {value}" for key, value in body.items()))


@app.command()
def show(
    which: Annotated[
        str | None,
        typer.Argument(
            metavar="ID|FILE", help="An Agreement's id, or a file; without: the list of all kept.", autocompletion=agreement_ids
        ),
    ] = None,
    lang: Annotated[str, typer.Option(help="en, ko or both.")] = "both",
    form: Annotated[str, typer.Option("--format", help="text, markdown or html.")] = "text",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; standard output without it.")] = None,
    home: HomeFolder = HOME,
    json: Json = False,
) -> None:
    """Show what an Agreement allows and what it costs a person over a year; without a name, list those that are kept."""
    from oneteam.alliance.home import Home
    from oneteam.alliance.reading import read
    from oneteam.alliance.setting import to_html, to_markdown, to_text
    from oneteam.app.agreeing import find_agreement, measure_titles, offered_actions
    from oneteam.cli.member import write_out
    from oneteam.cli.render import out as console
    from oneteam.cli.render import print_json
    from oneteam.core.errors import UnknownValueError

    if lang not in {"en", "ko", "both"} or form not in {"text", "markdown", "html"}:
        raise UnknownValueError("--lang must be en, ko or both; --format must be text, markdown or html")
    member = Home.open(home)
    if which is None:
        _list(member, as_json=json)
        return
    kept = find_agreement(member, which)
    if json:
        print_json(
            {
                "id": kept.id,
                "signed_by": list(kept.signed_by),
                "revoked": kept.revoked.model_dump(mode="json") if kept.revoked else None,
                "agreement": kept.agreement.model_dump(mode="json"),
            }
        )
        return
    by_id = {m.id: m for m in member.roster().roster.members}
    pages = [
        read(
            kept.agreement,
            language,
            members=by_id,
            signed_by=kept.signed_by,
            revoked=kept.revoked,
            actions=offered_actions(),
            titles=measure_titles(),
        )
        for language in ("en", "ko")
        if lang in {language, "both"}
    ]
    width = min(100, console.width) if out is None else 100
    texts = {
        "html": lambda: to_html(pages),
        "markdown": lambda: "\n".join(to_markdown(page) for page in pages),
        "text": lambda: "\n\n".join(to_text(page, width) for page in pages),
    }
    write_out(texts[form](), out)


@app.command()
def revoke(
    which: Which,
    reason: Annotated[str, typer.Option(help="One line for the other parties.")] = "",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to hand to the other parties; <id>.revoked.jws without it.")] = None,
    home: HomeFolder = HOME,
    json: Json = False,
) -> None:
    """Revoke an Agreement, at once and for good: this member answers nothing under it from now on.

    When this member's node runs, it tells the others. Whoever it did not reach, and everyone when it does not run, keeps the written file
    (`oneteam agreement keep FILE`).
    """
    import asyncio
    from datetime import UTC

    from pydantic import ValidationError

    from oneteam.alliance.home import Home
    from oneteam.app.agreeing import find_agreement, keep_revocation, tell_of_revocation
    from oneteam.cli.render import print_json, say
    from oneteam.core.errors import UnknownValueError, WrongTypeError
    from oneteam.privacy.agreements import Revocation, sign_revocation
    from oneteam.privacy.signing import complaints
    from oneteam.store.tables import write_atomically

    member = Home.open(home)
    kept = find_agreement(member, which)
    if member.id not in kept.agreement.parties:
        raise UnknownValueError(f"'{member.id}' is no party of {kept.id[:12]}… and cannot revoke it")
    try:
        revocation = Revocation(agreement=kept.id, member=member.id, reason=reason, at=datetime.now(UTC))
    except ValidationError as err:
        raise WrongTypeError(f"--reason: {complaints(err)}") from err
    text = sign_revocation(revocation, member.keys)
    # Before anything that can fail or take its time.
    keep_revocation(member, text, revocation.at)
    target = out or Path(f"{kept.id[:16]}.revoked.jws")
    write_atomically(target, f"{text}\n".encode())
    to_tell = [party for party in kept.agreement.parties if party != member.id]
    not_told = asyncio.run(tell_of_revocation(member, text, to_tell))
    if json:
        print_json({"revoked": kept.id, "by": member.id, "file": str(target), "not_told": not_told})
        return
    say(f"revoked {kept.id}")
    told = [party for party in to_tell if party not in not_told]
    if told:
        say(f"told {', '.join(told)}")
    say(f"wrote {target}" + (f"; {', '.join(not_told)}: run `oneteam agreement keep {target}`" if not_told else ""))


@app.command()
def export(
    which: Which,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; standard output without it.")] = None,
    home: HomeFolder = HOME,
) -> None:
    """Export as an ODRL 2.2 Agreement in JSON-LD with purposes of the Data Privacy Vocabulary. Only the signed Agreement binds."""
    import json as json_library

    from oneteam.alliance.home import Home
    from oneteam.alliance.odrl import to_odrl
    from oneteam.app.agreeing import find_agreement
    from oneteam.cli.member import write_out

    write_out(json_library.dumps(to_odrl(find_agreement(Home.open(home), which).agreement), ensure_ascii=False, indent=2), out)


def _list(member: Home, *, as_json: bool) -> None:
    from datetime import UTC

    from oneteam.app.agreeing import kept_agreements
    from oneteam.cli.render import print_json, print_rows, say

    now = datetime.now(UTC)
    rows = [
        {
            "id": kept.id if as_json else kept.id[:16],
            "title": kept.agreement.title.en,
            "state": _standing(kept, now),
            "purpose": kept.agreement.purpose,
            "measures": ", ".join(measure.name for measure in kept.agreement.measures),
            "until": f"{kept.agreement.until:%Y-%m-%d}",
        }
        for kept in kept_agreements(member)
    ]
    if as_json:
        print_json(rows)
    elif rows:
        print_rows("Agreements", rows)
    else:
        say("no Agreement yet: `oneteam agreement new` writes a draft")


def _standing(kept: Kept, now: datetime) -> str:
    if kept.revoked:
        return f"revoked by {kept.revoked.member}"
    state = kept.state(now)
    return f"not signed by {', '.join(kept.missing)}" if state == "unsigned" else state


def _period(first: datetime | None, until: datetime | None, timezone: str) -> tuple[datetime, datetime]:
    """From when until when: midnights of a place; a year from today without."""
    from datetime import timedelta
    from zoneinfo import ZoneInfo

    from oneteam.core.errors import UnknownValueError

    try:
        zone = ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as err:
        raise UnknownValueError(f"--timezone {timezone}: no such time zone", hint="As Asia/Seoul.") from err

    def midnight(day: datetime) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=zone)

    start = midnight(first or datetime.now(zone))
    end = midnight(until) if until else midnight(start + timedelta(days=365))
    if end <= start:
        raise UnknownValueError(f"--until {end:%Y-%m-%d}: must be after --from {start:%Y-%m-%d}")
    return start, end


def _offered(name: str) -> MeasureInfo:
    """A measure of an installed part."""
    from oneteam.app.agreeing import offered_measures
    from oneteam.core.errors import UnknownValueError

    offered = offered_measures()
    if name not in offered:
        raise UnknownValueError(f"--measure {name}: no such measure; there are {', '.join(offered)}", hint="`oneteam parts` lists them.")
    return offered[name]


def _countries() -> tuple[str, ...]:
    from oneteam.telecom.ingestion.mcc import COUNTRY_OF_MCC
    from oneteam.telecom.measures.roaming import UNKNOWN_COUNTRY

    return (*sorted(set(COUNTRY_OF_MCC.values())), UNKNOWN_COUNTRY)
