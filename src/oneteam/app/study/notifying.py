"""Carriers are asked to tell their own travellers; what they answer and how many there are, noised, is kept in the study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from oneteam.alliance.home import read_bytes
from oneteam.app.desk import releases_of
from oneteam.app.study.contexts import Chain
from oneteam.app.study.folder import StudyFolder, read_json
from oneteam.app.study.releases import RELEASES, Asked, Members, keep
from oneteam.app.study.settings import StudyFile
from oneteam.core.canonical import content_id
from oneteam.core.errors import NothingFoundError
from oneteam.core.model import Agreement, Context
from oneteam.core.progress import Progress
from oneteam.privacy.combine import read_release

NOTICES: Final = "notices"
NOTICES_FILE: Final = "notices.json"
TERMS_FILE: Final = "terms.json"
CONTEXTS: Final = "contexts.json"
UNANSWERED: Final = "unanswered"


def terms_of(study: StudyFile, origins: Sequence[str], cause: Context) -> dict[str, Any]:
    """What the desk is asked.

    Raises:
        NothingFoundError: no country to name.
    """
    given = study.notices
    assert given is not None
    countries = list(given.countries or origins[: given.origins])
    if not countries:
        raise NothingFoundError("nobody is asked: the origins of imported cases cannot be told", hint="Name notices.countries.")
    return {
        "countries": countries,
        "within_days": given.within_days,
        "as_of": study.known_on.isoformat(),
        "text": given.message.model_dump(),
        "carriers": list(given.carriers),
        "cause": cause.model_dump(mode="json"),
        "rho": given.rho,
        "attempts": study.who.attempts if study.who else 1,
    }


async def ask_carriers(
    terms: dict[str, Any], folder: StudyFolder, members: Members, agreements: dict[str, Agreement], chain: Chain, progress: Progress
) -> tuple[dict[str, Any], list[Asked]]:
    """Ask carriers to notify; those that answered before are not asked again. What to tell, and Releases of the counts.

    Args:
        terms: as `terms_of`.
        folder: keeps ``notices/``.
        members: the way to them.
        agreements: kept at the recipient's, by id.
        chain: gets the Commands' and counts' Contexts.
        progress: told how far it is.
    """
    rows = _before(folder, terms)
    away = [row["member"] for row in rows if row["answered"] == UNANSWERED]
    new = not rows or bool(away)
    if new:
        desk = await members.desk()
        told = await desk.do("notify", terms | ({"carriers": away} if away else {}), progress)
        answered = {row["member"]: row for row in told["notices"]}
        rows = [answered.pop(row["member"], row) for row in rows] + list(answered.values())
        for release in releases_of(told):
            keep(folder, release, agreements[release.query.agreement])
        steps = [row["command"]["context"] for row in rows] + [raw["context"] for raw in told["releases"] if raw["context"]]
        known = {each["id"]: each for each in [*_contexts(folder), *steps]}
        folder.write_json(folder.path(NOTICES, CONTEXTS), list(known.values()))
        folder.write_json(folder.path(NOTICES, NOTICES_FILE), rows)
        folder.write_json(folder.path(NOTICES, TERMS_FILE), terms)
    chain.take(Context.model_validate(each) for each in _contexts(folder))
    counts = [_kept(folder, identity, members, agreements) for identity in _releases(rows)]
    accepted = sum(row["answered"] == "accepted" for row in rows)
    return {"asked": len(rows), "accepted": accepted, "new": new}, [one for one in counts if one is not None]


def _before(folder: StudyFolder, terms: dict[str, Any]) -> list[dict[str, Any]]:
    """What was answered to the same terms before."""
    path = folder.path(NOTICES, TERMS_FILE)
    if not path.is_file() or content_id(read_json(path)) != content_id(terms):
        return []
    rows: list[dict[str, Any]] = read_json(folder.path(NOTICES, NOTICES_FILE))
    return rows


def _contexts(folder: StudyFolder) -> list[dict[str, Any]]:
    path = folder.path(NOTICES, CONTEXTS)
    found: list[dict[str, Any]] = read_json(path) if path.is_file() else []
    return found


def _releases(rows: list[dict[str, Any]]) -> list[str]:
    """Ids of the counts' Releases, by the SHA-256 of the Release."""
    return list(dict.fromkeys(row["count"]["release"] for row in rows if row.get("count", {}).get("release")))


def _kept(folder: StudyFolder, identity: str, members: Members, agreements: dict[str, Agreement]) -> Asked | None:
    """The count's Release as the study keeps it."""
    for path in sorted(folder.path(RELEASES).glob("*.json")):
        if path.name == "refusals.json":
            continue
        release = read_release(read_bytes(path), members.home.lookup())
        if content_id(release) == identity:
            return Asked(release.query, release, agreements[release.query.agreement], folder.relative(path))
    return None
