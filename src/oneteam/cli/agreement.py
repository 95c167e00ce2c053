"""``oneteam agreement``: what members allow, signed by every party."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from oneteam.cli.member import HOME, HomeFolder, Json

if TYPE_CHECKING:
    from oneteam.alliance.home import Home
    from oneteam.core.model import Agreement
    from oneteam.core.part import MeasureInfo
    from oneteam.privacy.agreements import Revocation
    from oneteam.privacy.policy import Kept
    from oneteam.store.audit_log import AuditEntry, AuditLog
    from oneteam.store.registry import Registry

app = typer.Typer(
    help="Agreements: what may be learned, by whom, for what, at which cost. 합의서: 무엇을, 누가, 무슨 목적으로, 어떤 비용으로.",
    no_args_is_help=True,
)
Which = Annotated[
    str, typer.Argument(metavar="ID|FILE", help="An Agreement's id (its first digits do), or a file: .toml draft or signed .json.")
]
DAY = ["%Y-%m-%d"]


@app.command()
def new(
    out: Annotated[Path, typer.Option("--out", "-o", help="The draft to write.")] = Path("agreement.toml"),
    zones: Annotated[Path | None, typer.Option(help="CSV with the zones' codes and regions, as `oneteam synth` writes zones.csv.")] = None,
    measure: Annotated[list[str] | None, typer.Option("--measure", "-m", help="A measure of `oneteam parts`; may be repeated.")] = None,
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
) -> None:
    """Write a draft to edit: every key explained, parties from the roster, zones and regions filled in.

    Next: edit it, `oneteam agreement check FILE`, `oneteam agreement show FILE`, `oneteam agreement sign FILE`.
    """
    from oneteam.alliance.home import Home
    from oneteam.alliance.template import Draft, draft_toml, read_public_zones
    from oneteam.cli.member import text_of, write_out
    from oneteam.core.errors import InputError
    from oneteam.privacy.agreements import check_agreement, parse_agreement

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
    check_agreement(parse_agreement(text, str(out)), signed.roster.members, roster=signed.id, where=str(out))
    write_out(text, out)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A draft (.toml) or a signed Agreement (.json).")],
    home: HomeFolder = HOME,
    json: Json = False,
) -> None:
    """Check an Agreement: keys, parties and roles, levels, costs, threshold; for a signed one every signature."""
    from oneteam.alliance.home import Home
    from oneteam.cli.render import print_json, say
    from oneteam.privacy.agreements import agreement_id

    member = Home.open(home)
    agreement, text = _read(member, file)
    signers = _checked(member, agreement, text, str(file))
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
    file: Annotated[Path, typer.Argument(help="A draft (.toml), or what other parties have signed (.json).")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; FILE with .json without it.")] = None,
    home: HomeFolder = HOME,
    json: Json = False,
) -> None:
    """Sign an Agreement as this member, and keep it. Read it first: `oneteam agreement show FILE`.

    Next: hand the written file to the next party. When all have signed, each runs `oneteam agreement keep FILE`.
    """
    from hashlib import sha256

    from oneteam.alliance.home import Home, read_text_file
    from oneteam.cli.member import write_out
    from oneteam.cli.render import print_json, say
    from oneteam.core.errors import UnknownValueError
    from oneteam.privacy.agreements import agreement_id
    from oneteam.privacy.signing import merge_signed, payload_of, sign_document
    from oneteam.store.tables import write_atomically

    member = Home.open(home)
    agreement, text = _read(member, file)
    if member.id not in agreement.parties:
        raise UnknownValueError(f"{file}: '{member.id}' is no party of it", hint=f"Its parties are {', '.join(agreement.parties)}.")
    target = out or file.with_suffix(".json")
    for before in (member.agreement_texts().get(agreement_id(agreement)), read_text_file(target) if target.is_file() else None):
        # A draft that others have signed meanwhile: their signatures are kept.
        if before is not None and agreement_id(agreement) == sha256(payload_of(before).payload).hexdigest():
            text = merge_signed(text, before) if text else before
    _checked(member, agreement, text, str(file))
    signed = sign_document(agreement, member.id, member.keys, text)
    missing = _keep(member, agreement, signed, signing=True)
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
    file: Annotated[Path, typer.Argument(help="A signed Agreement (.json), or another party's revocation (.jws).")],
    home: HomeFolder = HOME,
    json: Json = False,
) -> None:
    """Keep what another party has sent: an Agreement that all have signed, or a revocation."""
    from oneteam.alliance.home import Home, read_text_file
    from oneteam.cli.render import print_json, say
    from oneteam.core.errors import BadSignatureError
    from oneteam.privacy.agreements import agreement_id

    member = Home.open(home)
    text = read_text_file(file).strip()
    if not text.startswith("{"):
        revocation = _revoke(member, text)
        body = {"revoked": revocation.agreement, "by": revocation.member}
    else:
        agreement, signed = _read(member, file)
        signers = _checked(member, agreement, signed, str(file))
        missing = [party for party in agreement.parties if party not in signers]
        if missing or signed is None:
            raise BadSignatureError(f"{file}: not signed by {', '.join(missing)}", hint="Every party signs: `oneteam agreement sign FILE`.")
        _keep(member, agreement, signed, signing=False)
        body = {"kept": agreement_id(agreement), "parties": ", ".join(agreement.parties)}
    print_json(body) if json else say("; ".join(f"{key}: {value}" for key, value in body.items()))


@app.command()
def show(
    which: Annotated[
        str | None, typer.Argument(metavar="ID|FILE", help="An Agreement's id, or a file; without: the list of all kept.")
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
    kept = _find(member, which)
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
        read(kept.agreement, language, members=by_id, signed_by=kept.signed_by, revoked=kept.revoked)
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
    from oneteam.cli.render import print_json, say
    from oneteam.core.errors import UnknownValueError, WrongTypeError
    from oneteam.privacy.agreements import Revocation, sign_revocation
    from oneteam.privacy.signing import complaints
    from oneteam.store.tables import write_atomically

    member = Home.open(home)
    kept = _find(member, which)
    if member.id not in kept.agreement.parties:
        raise UnknownValueError(f"'{member.id}' is no party of {kept.id[:12]}… and cannot revoke it")
    try:
        revocation = Revocation(agreement=kept.id, member=member.id, reason=reason, at=datetime.now(UTC))
    except ValidationError as err:
        raise WrongTypeError(f"--reason: {complaints(err)}") from err
    text = sign_revocation(revocation, member.keys)
    # Before anything that can fail or take its time.
    _revoke(member, text)
    target = out or Path(f"{kept.id[:16]}.revoked.jws")
    write_atomically(target, f"{text}\n".encode())
    to_tell = [party for party in kept.agreement.parties if party != member.id]
    not_told = asyncio.run(_not_told(member, text, to_tell))
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
    from oneteam.cli.member import write_out

    write_out(json_library.dumps(to_odrl(_find(Home.open(home), which).agreement), ensure_ascii=False, indent=2), out)


def _read(member: Home, path: Path) -> tuple[Agreement, str | None]:
    """An Agreement from a draft or a signed text, and the signed text if it is one."""
    from oneteam.alliance.home import read_text_file
    from oneteam.privacy.agreements import read_agreement
    from oneteam.privacy.book import read_signed_agreement

    if path.suffix == ".toml":
        return read_agreement(path), None
    text = read_text_file(path).strip()
    return read_signed_agreement(text, member.lookup())[0], text


def _checked(member: Home, agreement: Agreement, text: str | None, where: str) -> list[str]:
    """Refuse what cannot be agreed; who has signed."""
    from oneteam.core.part import installed_parts
    from oneteam.privacy.agreements import check_agreement
    from oneteam.privacy.book import read_signed_agreement

    signed = member.roster()
    offered = {info.name: info.keys for part in installed_parts().values() for info in part.measures().values()}
    check_agreement(agreement, signed.roster.members, roster=signed.id, measures=offered, where=where)
    return list(read_signed_agreement(text, member.lookup())[1]) if text else []


def _keep(member: Home, agreement: Agreement, text: str, *, signing: bool) -> list[str]:
    """Keep the file, log a signature of this member's, and put the Agreement into the book when all have signed; who is missing."""
    from oneteam.privacy.agreements import agreement_id
    from oneteam.privacy.book import BOOK_SCHEMA, read_signed_agreement

    missing = [party for party in agreement.parties if party not in read_signed_agreement(text, member.lookup())[1]]
    registry = member.open_registry((BOOK_SCHEMA,))
    try:
        book, log = member.book(registry), _audit_log(member, registry)
        with registry.transaction() as db:
            if signing:
                log.append(db, _entry("sign", agreement_id(agreement), text))
            if not missing:
                book.add(text, db=db)
    finally:
        registry.close()
    member.keep_agreement(text)
    return missing


def _revoke(member: Home, text: str) -> Revocation:
    """Keep a revocation, and log it."""
    from oneteam.privacy.book import BOOK_SCHEMA

    registry = member.open_registry((BOOK_SCHEMA,))
    try:
        book, log = member.book(registry), _audit_log(member, registry)
        member.fill_book(book)
        with registry.transaction() as db:
            revocation, new = book.take_revocation(text, db=db)
            if new:
                log.append(db, _entry("revoke", revocation.agreement, text))
    finally:
        registry.close()
    return revocation


async def _not_told(member: Home, text: str, parties: list[str]) -> list[str]:
    """Have the running node send a revocation; parties that it did not reach, all when no node runs."""
    from oneteam.app.desk import running_desk
    from oneteam.core.errors import OneteamError

    desk = await running_desk(member)
    if desk is None:
        return parties
    try:
        answer = await desk.do("revoke", {"revocation": text})
    except OneteamError:
        return parties
    return [party for party in parties if party in answer["not_reached"]]


def _audit_log(member: Home, registry: Registry) -> AuditLog:
    from oneteam.store.audit_log import AuditLog, origin_of

    return AuditLog(registry, origin_of(member.id), member.keys)


def _entry(kind: Literal["sign", "revoke"], agreement: str, text: str) -> AuditEntry:
    from datetime import UTC
    from hashlib import sha256

    from oneteam.store.audit_log import AuditEntry

    return AuditEntry(at=datetime.now(UTC), kind=kind, agreement=agreement, document=sha256(text.encode()).hexdigest())


def _kept(member: Home) -> list[Kept]:
    """Every Agreement here, in force or not: those in the book, then files that are not signed by all."""
    from oneteam.privacy.agreements import agreement_id
    from oneteam.privacy.book import BOOK_SCHEMA, read_signed_agreement
    from oneteam.privacy.policy import Kept

    registry = member.open_registry((BOOK_SCHEMA,))
    try:
        found = {kept.id: kept for kept in member.book(registry).all()}
    finally:
        registry.close()
    lookup = member.lookup()
    for name, text in member.agreement_texts().items():
        if name not in found:
            agreement, signers = read_signed_agreement(text, lookup)
            found[name] = Kept(agreement, agreement_id(agreement), signers)
    return list(found.values())


def _find(member: Home, which: str) -> Kept:
    """An Agreement by its id or the first digits of it, or from a file."""
    from oneteam.core.errors import NothingFoundError, UnknownValueError
    from oneteam.privacy.agreements import agreement_id
    from oneteam.privacy.book import read_signed_agreement
    from oneteam.privacy.policy import Kept

    known = _kept(member)
    path = Path(which)
    if path.suffix in {".toml", ".json"}:
        agreement, text = _read(member, path)
        identity = agreement_id(agreement)
        signers = read_signed_agreement(text, member.lookup())[1] if text else ()
        return next((kept for kept in known if kept.id == identity), Kept(agreement, identity, signers))
    found = [kept for kept in known if len(which) >= 4 and kept.id.startswith(which)]
    if len(found) > 1:
        raise UnknownValueError(f"{which}: stands for {len(found)} Agreements", hint="Give more digits of the id.")
    if not found:
        ids = ", ".join(f"{kept.id[:12]}…" for kept in known) or "none"
        raise NothingFoundError(
            f"{which}: no such Agreement is kept here; there are: {ids}", hint="Give the id's first four digits or more."
        )
    return found[0]


def _list(member: Home, *, as_json: bool) -> None:
    from datetime import UTC

    from oneteam.cli.render import print_json, print_rows, say

    now = datetime.now(UTC)
    rows = [
        {
            "id": kept.id if as_json else kept.id[:16],
            "title": kept.agreement.title.en,
            "state": _state(kept, now),
            "purpose": kept.agreement.purpose,
            "measures": ", ".join(measure.name for measure in kept.agreement.measures),
            "until": f"{kept.agreement.until:%Y-%m-%d}",
        }
        for kept in _kept(member)
    ]
    if as_json:
        print_json(rows)
    elif rows:
        print_rows("Agreements", rows)
    else:
        say("no Agreement yet: `oneteam agreement new` writes a draft")


def _state(kept: Kept, now: datetime) -> str:
    missing = [party for party in kept.agreement.parties if party not in kept.signed_by]
    if kept.revoked:
        return f"revoked by {kept.revoked.member}"
    if missing:
        return f"not signed by {', '.join(missing)}"
    if now < kept.agreement.not_before:
        return "not yet in force"
    return "in force" if now < kept.agreement.until else "ended"


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
    from oneteam.core.errors import UnknownValueError
    from oneteam.core.part import installed_parts

    offered = {info.name: info for part in installed_parts().values() for info in part.measures().values()}
    if name not in offered:
        raise UnknownValueError(f"--measure {name}: no such measure; there are {', '.join(offered)}", hint="`oneteam parts` lists them.")
    return offered[name]


def _countries() -> tuple[str, ...]:
    from oneteam.telecom.ingestion.mcc import COUNTRY_OF_MCC
    from oneteam.telecom.measures.roaming import UNKNOWN_COUNTRY

    return (*sorted(set(COUNTRY_OF_MCC.values())), UNKNOWN_COUNTRY)
