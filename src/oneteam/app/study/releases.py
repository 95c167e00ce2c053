"""The study asks: every Query becomes a Release that is kept in the study, or a refusal that is kept as well."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, Self

from oneteam.alliance.home import Home, read_bytes
from oneteam.app.agreeing import kept_agreements
from oneteam.app.asking import QueryFile, complete
from oneteam.app.desk import Desk, NodeDesk, at_desk, release_of
from oneteam.app.embedded import in_one_process
from oneteam.app.study.contexts import Chain
from oneteam.app.study.folder import StudyFolder, read_json
from oneteam.app.study.settings import Ask, StudyFile, Who, periods
from oneteam.core.canonical import canonical, content_id
from oneteam.core.errors import BadSignatureError, InputError, OneteamError, RefusedError, StorageError, UnreachableError, WireError
from oneteam.core.model import Agreement, Context, Query, Release
from oneteam.core.progress import Progress
from oneteam.privacy.combine import read_release
from oneteam.privacy.policy import Kept
from oneteam.store.tables import write_atomically

RELEASES: Final = "releases"
AGREEMENTS: Final = "agreements"
REFUSALS_FILE: Final = "refusals.json"
FINAL: Final = RefusedError.code
"""Of what the same question would meet again; others, such as a member that does not answer, are asked again."""


@dataclass(frozen=True)
class Asked:
    """One question of the study, and the Release that answers it.

    Args:
        query: the question.
        release: the answer.
        agreement: that it rests on.
        file: where it is kept, below the study.
    """

    query: Query
    release: Release
    agreement: Agreement
    file: str

    @property
    def id(self) -> str:
        """Of the query."""
        return content_id(self.query)


@dataclass(frozen=True)
class Refusal:
    """A question without an answer.

    Args:
        measure: that was asked for.
        first_day: of the period.
        last_day: of the period.
        members: whose data.
        code: of the refusal; of RefusedError every reason's code.
        message: public.
        at: when it was refused first.
        query: id of the query; None where no Agreement allows to write one.
    """

    measure: str
    first_day: date
    last_day: date
    members: tuple[str, ...]
    code: str
    message: str
    at: datetime
    query: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For ``refusals.json``."""
        return {
            "measure": self.measure,
            "first_day": self.first_day.isoformat(),
            "last_day": self.last_day.isoformat(),
            "members": list(self.members),
            "code": self.code,
            "message": self.message,
            "at": self.at.isoformat(),
            "query": self.query,
        }

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Refusal:
        """From ``refusals.json``."""
        first, last = (date.fromisoformat(raw[name]) for name in ("first_day", "last_day"))
        at = datetime.fromisoformat(raw["at"])
        return cls(raw["measure"], first, last, tuple(raw["members"]), raw["code"], raw["message"], at, raw["query"])


@dataclass
class Answers:
    """What came back.

    Args:
        asked: Releases in the order of the study file.
        refusals: what was refused.
        new: how many were asked for now.
        kept: how many a member's ledger had kept.
        spent: rho that was spent now.
        away: whether too few members were there for the last question.
    """

    asked: list[Asked] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    new: int = 0
    kept: int = 0
    spent: float = 0.0
    away: bool = False

    def of(self, measure: str) -> list[Asked]:
        """Releases of one measure, by first day."""
        return sorted((one for one in self.asked if one.query.measure == measure), key=lambda one: (one.query.first_day, one.id))


class Members:
    """The way to the members: opened when the first question needs it, so that a re-run needs nobody.

    Args:
        who: of the study file.
        root: what its paths are relative to.
    """

    def __init__(self, who: Who, root: Path) -> None:
        self.who = who
        self.home = Home.open(root / who.home)
        self._beside = [root / name for name in who.beside]
        self._stack = AsyncExitStack()
        self._desk: Desk | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def desk(self) -> Desk:
        """The recipient's desk: in this process, at its running node, or at one opened for the study."""
        if self._desk is None:
            self._desk = await self._stack.enter_async_context(self._opened())
        return self._desk

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Desk]:
        if self._beside:
            async with in_one_process([self.home, *map(Home.open, self._beside)]) as nodes:
                yield NodeDesk(nodes[self.home.id])
        else:
            async with at_desk(self.home) as desk:
                yield desk


@dataclass(frozen=True)
class _Question:
    ask: Ask
    first: date
    last: date
    query: Query | None
    kept: Kept | None
    error: OneteamError | None = None


async def collect(
    study: StudyFile, folder: StudyFolder, members: Members, chain: Chain, context: Context, progress: Progress, *, again: bool = False
) -> Answers:
    """Ask for every Release of the study that it does not have yet.

    Args:
        study: what is asked.
        folder: keeps Releases in ``releases/`` and refusals in ``refusals.json``.
        members: who is asked.
        chain: gets the Releases' Contexts.
        context: of this step, the Releases' cause.
        progress: told of each question.
        again: also ask what was refused before.

    Raises:
        BadSignatureError: a kept Release is not as it was signed, or one answers another query.
    """
    questions = _questions(study, kept_agreements(members.home))
    earlier = {(r.measure, r.first_day, r.last_day, r.query): r for r in read_refusals(folder)}
    answers = Answers()
    for number, question in enumerate(questions):
        what = f"{question.ask.measure} {question.first} to {question.last}"
        progress(what, number, len(questions))
        before = earlier.get((question.ask.measure, question.first, question.last, content_id(question.query) if question.query else None))
        refusal = _refusal(question, question.error) if question.error else None
        if refusal is None:
            known = stored(folder, members.home, question.query, question.kept)
            if known is None and before is not None and before.code.startswith(FINAL) and not again:
                refusal = before
            elif known is None:
                known, refusal = await _ask(question, folder, members, context, study, answers, progress)
            if known is not None:
                answers.asked.append(known)
                chain.release(known.release, known.id, context)
        if refusal is not None:
            if before is not None and (before.code, before.message) == (refusal.code, refusal.message):
                refusal = before
            answers.refusals.append(refusal)
            progress(f"{what}: refused, {refusal.message}", number, len(questions))
        folder.write_json(folder.path(RELEASES, REFUSALS_FILE), [each.as_dict() for each in answers.refusals])
    progress("all asked", len(questions), len(questions))
    return answers


def _questions(study: StudyFile, kept: Sequence[Kept]) -> list[_Question]:
    found = []
    for ask in study.ask:
        for first, last in periods(ask, study.known_on):
            told = ask.model_dump(exclude={"first_day", "last_day", "every"}, exclude_none=True)
            try:
                query, under = complete(QueryFile.model_validate(told | {"first_day": first, "last_day": last}), kept)
            except InputError as err:
                found.append(_Question(ask, first, last, None, None, err))
            else:
                found.append(_Question(ask, first, last, query, under))
    return found


async def _ask(
    question: _Question, folder: StudyFolder, members: Members, context: Context, study: StudyFile, answers: Answers, progress: Progress
) -> tuple[Asked | None, Refusal | None]:
    assert question.query is not None
    assert question.kept is not None
    what = f"{question.ask.measure} {question.first}"
    words = {
        "query": question.query.model_dump(mode="json"),
        "attempts": members.who.attempts,
        # Who has been waited for in vain is looked for once more at each further question.
        "present_within_s": 0.0 if answers.away else members.who.wait_s,
        "reason": f"study: {study.title.en}",
        "parent": context.id,
    }
    try:
        desk = await members.desk()
        answer = await desk.do("query", words, lambda step, done, total: progress(f"{what}: {step}", done, total))
    except StorageError:
        raise
    except OneteamError as err:
        answers.away = answers.away or isinstance(err, UnreachableError)
        return None, _refusal(question, err)
    answers.away = False
    release = release_of(answer)
    if release.query != question.query:
        raise BadSignatureError(f"{what}: the desk gave a Release of another query")
    answers.new += 1
    answers.kept += bool(answer["kept"])
    answers.spent += 0.0 if answer["kept"] else release.rho
    return keep(folder, release, question.kept.agreement), None


def keep(folder: StudyFolder, release: Release, agreement: Agreement) -> Asked:
    """Keep a Release and its Agreement in the study, each in its one form."""
    path = folder.path(RELEASES, f"{content_id(release.query)}.json")
    _keep_agreement(folder, release.query.agreement, agreement)
    write_atomically(path, canonical(release))
    return Asked(release.query, release, agreement, folder.relative(path))


def _keep_agreement(folder: StudyFolder, identity: str, agreement: Agreement) -> None:
    """What anyone needs beside a Release to read it."""
    path = folder.path(AGREEMENTS, f"{identity}.json")
    if not path.is_file():
        write_atomically(path, canonical(agreement))


def stored(folder: StudyFolder, home: Home, query: Query | None, kept: Kept | None) -> Asked | None:
    """The Release that the study keeps for a query.

    Raises:
        BadSignatureError: it is not as it was signed, or it answers another query.
    """
    if query is None or kept is None:
        return None
    path = folder.path(RELEASES, f"{content_id(query)}.json")
    if not path.is_file():
        return None
    release = read_release(read_bytes(path), home.lookup())
    if release.query != query:
        raise BadSignatureError(f"{path}: answers another query than its name says", hint="Remove the file; it is asked for again.")
    _keep_agreement(folder, kept.id, kept.agreement)
    return Asked(query, release, kept.agreement, folder.relative(path))


def read_refusals(folder: StudyFolder) -> list[Refusal]:
    """What was refused before."""
    path = folder.path(RELEASES, REFUSALS_FILE)
    return [Refusal.from_dict(raw) for raw in read_json(path)] if path.is_file() else []


def _refusal(question: _Question, err: OneteamError) -> Refusal:
    code = err.code if not isinstance(err, RefusedError) else ", ".join((err.code, *err.reasons))
    query = question.query
    owners = query.owners if query else question.ask.owners or ()
    message = f"{err.message} {err.hint}".strip() if isinstance(err, WireError) else err.message
    identity = content_id(query) if query else None
    return Refusal(question.ask.measure, question.first, question.last, owners, code, message, datetime.now(UTC), identity)


def content_of(answers: Answers) -> str:
    """One hash of everything that came back, for the keys of later steps."""
    told = [hashlib.sha256(canonical(one.release)).hexdigest() for one in answers.asked]
    return content_id({"releases": told, "refusals": [{**r.as_dict(), "at": None} for r in answers.refusals]})
