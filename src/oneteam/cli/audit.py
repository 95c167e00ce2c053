"""``oneteam audit``: what was decided, and the proof that nothing of it was changed since."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oneteam.core.errors import UnknownValueError
    from oneteam.core.keys import PublicKeys
    from oneteam.core.progress import Progress
    from oneteam.privacy.ledger import Ledger
    from oneteam.store.audit_log import AuditLog
    from oneteam.store.log_reader import LogReader
    from oneteam.store.registry import Registry

app = typer.Typer(
    help="Show, verify and prove the audit log. 감사 기록을 보고, 검증하고, 증명합니다.",
    no_args_is_help=True,
)
Home = Annotated[
    Path, typer.Option("--home", envvar="ONETEAM_HOME", help="The member's home; its log is in HOME/registry.db.", show_default=".oneteam")
]
HOME = Path(".oneteam")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Witnessed = Annotated[
    list[Path] | None,
    typer.Option(
        "--witnessed",
        "-w",
        help="Checkpoints of this log that others hold: notes, or what `oneteam audit show --held --json` printed there. May be repeated.",
    ),
]
INVALID = 1
"""Exit code of `verify-proof` for a proof that does not hold."""


@app.command()
def show(
    home: Home = HOME,
    first: Annotated[int | None, typer.Option(help="Index of the first entry; the last 20 without it.", min=0)] = None,
    count: Annotated[int, typer.Option(help="How many entries.", min=1)] = 20,
    held: Annotated[bool, typer.Option("--held", help="Checkpoints of other members' logs that are held here.")] = False,
    evidence: Annotated[bool, typer.Option("--evidence", help="What was found against other members' logs.")] = False,
    json: Json = False,
) -> None:
    """Show the latest decisions, or what is held of others' logs."""
    from datetime import UTC

    from oneteam.cli.render import print_json, print_rows, say

    with _opened(home) as (registry, log):
        if held or evidence:
            rows = _held_rows(log) if held else _evidence_rows(log)
            if json:
                print_json(rows)
            else:
                # The notes are for programs and for --json; a person wants to see who and when.
                print_rows("Held" if held else "Evidence", [{k: v for k, v in row.items() if k not in {"note", "shown"}} for row in rows])
                say("nothing" if not rows else "the signed notes are in --json", style="dim")
            return
        size = log.size
        start = max(0, size - count) if first is None else first
        entries = list(log.entries(start, count))
        if json:
            rows = [{"index": i, **entry.model_dump(mode="json", exclude_defaults=True), "kind": entry.kind} for i, entry in entries]
            print_json({"origin": log.origin, "size": size, "checkpoint": log.latest_checkpoint(), "entries": rows})
            return
        say(f"{log.origin}: {size:,} entries in {registry.path}")
        # What fits on a terminal: seconds, and the beginning of an id. --json has all of it.
        people = [
            {
                "#": index,
                "UTC": f"{entry.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
                "kind": entry.kind,
                "who asked": entry.requester,
                "query": entry.query[:8] if entry.query else None,
                "rho": entry.nano_rho * 1e-9 if entry.nano_rho else None,
                "reasons": ", ".join(entry.reasons),
            }
            for index, entry in entries
        ]
        print_rows("Entries", people)


@app.command()
def verify(
    home: Home = HOME,
    witnessed: Witnessed = None,
    export: Annotated[
        Path | None,
        typer.Option("--file", help="Check an export instead of a home: one entry per line."),
    ] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="The checkpoint of --file; FILE.checkpoint without it.")] = None,
    key: Annotated[str | None, typer.Option(help="The log's verifier key, name+id+base64, from a source you trust.")] = None,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Recompute every hash from the entries and compare it with every signed checkpoint.

    Ends with 0 when nothing was changed, and with 77 and the place otherwise. What an owner changes and signs anew is found only with the
    checkpoints that others hold: --witnessed.
    """
    from oneteam.cli.render import print_json, progress_bar, say

    with progress_bar(show=not (quiet or json)) as progress:
        if export is not None:
            found = _verify_export(export, checkpoint or export.with_name(f"{export.name}.checkpoint"), key, _notes(witnessed), progress)
        else:
            found = _verify_home(home, _notes(witnessed), progress)
    if json:
        print_json({"valid": True, **found})
        return
    say(f"{found['origin']}: {found['entries']:,} entries are what they were when they were written")
    for name, value in found.items():
        if name not in {"origin", "entries"}:
            say(f"  {name.replace('_', ' ')}: {value}")


@app.command()
def prove(
    index: Annotated[int | None, typer.Argument(metavar="INDEX", help="The entry that is proved to stand in the log.", min=0)] = None,
    home: Home = HOME,
    size: Annotated[int | None, typer.Option(help="Of the tree: entries. The latest signed checkpoint's without it.", min=0)] = None,
    since: Annotated[int | None, typer.Option(help="Prove instead that the tree of this size is the beginning of it.", min=0)] = None,
) -> None:
    """Print a proof that an entry stands in the log, or that the log only grew, with the entry and the signed checkpoint."""
    from oneteam.cli.render import print_json
    from oneteam.core.errors import UnknownValueError
    from oneteam.store import log_tables

    if (index is None) == (since is None):
        raise UnknownValueError("give either an entry's INDEX or --since SIZE", hint="As `oneteam audit prove 17`.")
    with _opened(home) as (registry, log):
        if size is None and _public_keys(home) is not None:
            _own_log(home, registry).checkpoint()
        with registry.read() as db:
            signed = log_tables.newest_notes(db, 1)
            whole = size if size is not None else signed[0][0] if signed else log_tables.size(db)
            note = log_tables.note_at(db, whole)
        body: dict[str, object]
        if index is not None:
            body = log.prove_inclusion(index, whole).model_dump(mode="json")
            body["entry"] = next(leaf for _, leaf in log.bodies(index, 1)).decode()
        else:
            body = log.prove_consistency(since or 0, whole).model_dump(mode="json")
        print_json({**body, "checkpoint": note})


@app.command("verify-proof")
def verify_proof(
    file: Annotated[Path, typer.Argument(help="A JSON object; - reads standard input.", metavar="FILE", allow_dash=True)],
    kind: Annotated[str, typer.Option(help="inclusion or consistency.")],
    json: Json = False,
) -> None:
    """Check a bare RFC 6962 proof of any log.

    Fields go by the names in common use (leafIdx or leaf_index, treeSize, leafHash, root; size1, size2, root1, root2; proof), hashes are
    base64, base64url or hex. Ends with 0 when the proof holds, with 1 when it does not, with 2 when the file cannot be read as one.
    """
    from oneteam.cli.render import print_json, say
    from oneteam.core.errors import UnknownValueError
    from oneteam.store.proof_file import check_proof, read_object

    if kind not in {"inclusion", "consistency"}:
        raise UnknownValueError(f"--kind {kind}: must be inclusion or consistency")
    reason = check_proof("inclusion" if kind == "inclusion" else "consistency", read_object(_read(file), str(file)))
    if json:
        print_json({"valid": not reason, "reason": reason or None})
    else:
        say(f"not valid: {reason}" if reason else f"valid: the {kind} proof holds")
    raise typer.Exit(INVALID if reason else 0)


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", "-o", help="FILE.jsonl; beside it FILE.jsonl.checkpoint and FILE.jsonl.key.")],
    home: Home = HOME,
    json: Json = False,
) -> None:
    """Write all entries, one per line, with the latest checkpoint and the key to check it.

    Keep exports somewhere else than backups: together with a checkpoint that another member holds, one makes a lost log whole again.
    """
    from oneteam.cli.render import print_json, say
    from oneteam.store.notes import verifier_key
    from oneteam.store.tables import disk_errors, write_atomically

    with _opened(home) as (registry, log):
        keys = _public_keys(home)
        note = _own_log(home, registry).checkpoint() if keys else log.latest_checkpoint()
        size = log.size
        part = out.with_name(f".{out.name}.tmp")
        try:
            with disk_errors(out.name), part.open("wb") as file:
                for _, body in log.bodies(0, size):
                    file.write(body + b"\n")
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)
        if note is not None:
            write_atomically(out.with_name(f"{out.name}.checkpoint"), note.encode())
        if keys is not None:
            write_atomically(out.with_name(f"{out.name}.key"), f"{verifier_key(log.origin, keys)}\n".encode())
    if json:
        print_json({"entries": size, "file": str(out), "checkpoint": note})
    else:
        say(f"{out}: {size:,} entries")


@app.command()
def restore(
    home: Home = HOME,
    witnessed: Witnessed = None,
    entries: Annotated[Path | None, typer.Option("--from", help="An export of this log, as `audit export` wrote it.")] = None,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Without an export: no budget of before is charged again, and the log begins anew.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a member that came back from a backup level with what others witnessed; until then it refuses every request.

    With --from the missing entries are put back and their charges made good, if they have the root that others hold. With --give-up
    everything that was left of every budget is gone; `audit admit` opens agreements signed since.
    """
    from oneteam.cli.render import print_json, say
    from oneteam.core.errors import UnknownValueError
    from oneteam.store.audit_log import utc_now

    if (entries is None) == (not give_up):
        raise UnknownValueError("give either --from EXPORT or --give-up", hint="Look for an export first: giving up cannot be undone.")
    with _opened(home) as (registry, _):
        log, ledger, notes = _own_log(home, registry), _ledger(registry), _notes(witnessed)
        if entries is None:
            done = ledger.recover(log, notes, utc_now())
        else:
            with entries.open("rb") as file:
                done = ledger.recover(log, notes, utc_now(), (line.rstrip(b"\n") for line in file))
    if json:
        print_json({"entries": done.entries, "charges": done.charges, "origin": done.origin, "given_up": done.given_up})
    elif done.given_up:
        say(f"everything that was left is given up; the log goes on as {done.origin}, which the other members must accept")
    else:
        say(f"{done.origin}: {done.entries:,} entries put back, {done.charges:,} charges made good")


@app.command()
def admit(
    home: Home = HOME,
    agreement: Annotated[str | None, typer.Option(help="Id of an agreement that was signed after the loss.")] = None,
    dataset: Annotated[str | None, typer.Option(help="A dataset, once its cap was thought over.")] = None,
    json: Json = False,
) -> None:
    """After `restore --give-up`: let an agreement or a dataset be charged."""
    from oneteam.cli.render import print_json, say
    from oneteam.core.errors import UnknownValueError

    if agreement is None and dataset is None:
        raise UnknownValueError("give --agreement ID or --dataset ID")
    with _opened(home) as (registry, _):
        _ledger(registry).admit(agreement=agreement, dataset=dataset)
    admitted = {name: value for name, value in (("agreement", agreement), ("dataset", dataset)) if value is not None}
    print_json({"admitted": admitted}) if json else say("; ".join(f"{name} {value} may be charged" for name, value in admitted.items()))


@app.command("accept-restart")
def accept_restart(
    origin: Annotated[str, typer.Argument(metavar="ORIGIN", help="As oneteam.log/kt/restart-2.")],
    home: Home = HOME,
    json: Json = False,
) -> None:
    """Agree that another member's log begins anew, after its owner has explained why."""
    from oneteam.cli.render import print_json, say

    with _opened(home) as (registry, _):
        _own_log(home, registry).accept_restart(origin)
    print_json({"accepted": origin}) if json else say(f"{origin}: its checkpoints are taken from now on")


@contextmanager
def _opened(home: Path) -> Iterator[tuple[Registry, LogReader]]:
    from oneteam.core.errors import FileUnreadableError, NothingFoundError
    from oneteam.store.log_reader import LogReader
    from oneteam.store.registry import Registry

    path = home / "registry.db"
    if not path.is_file():
        raise FileUnreadableError(f"{path}: no member has a log here", hint="Give the member's home with --home or ONETEAM_HOME.")
    registry = Registry.open(path)
    try:
        log = LogReader(registry)
        if not log.named:
            raise NothingFoundError(f"{path}: nothing was logged here yet", hint="A log begins when its node first starts.")
        yield registry, log
    finally:
        registry.close()


def _own_log(home: Path, registry: Registry) -> AuditLog:
    from oneteam.alliance.home import Home as MemberHome
    from oneteam.store.audit_log import AuditLog, origin_of

    member = MemberHome.open(home)
    return AuditLog(registry, origin_of(member.id), member.keys)


def _public_keys(home: Path) -> PublicKeys | None:
    """The member's own, where this is its home and not a copy of the registry alone."""
    from oneteam.alliance.home import Home as MemberHome

    return MemberHome.open(home).keys.public if (home / "member.toml").is_file() else None


def _ledger(registry: Registry) -> Ledger:
    from oneteam.privacy.ledger import Ledger

    return Ledger(registry)


def _verify_home(home: Path, witnessed: list[str], progress: Progress) -> dict[str, object]:
    from oneteam.store.log_check import verify_log

    with _opened(home) as (registry, _):
        keys = _public_keys(home)
        with registry.read() as db:
            found = verify_log(db, keys.verify if keys else None, progress)
        log = _own_log(home, registry) if keys else None
        if log is not None:
            ours = [note for note in witnessed if note.startswith(log.base_origin)]
            log.verify_against(ours)
        elif witnessed:
            raise _needs_key()
        body: dict[str, object] = {"origin": found.origin, "entries": found.entries, "root": found.root, "checkpoints": found.checkpoints}
        if log is not None:
            body |= {"witnessed": len(ours), "charges": _ledger(registry).check_against(log)}
        return body


def _verify_export(export: Path, checkpoint: Path, key: str | None, witnessed: list[str], progress: Progress) -> dict[str, object]:
    from oneteam.core.errors import LogError
    from oneteam.store.log_check import verify_lines
    from oneteam.store.notes import Checkpoint, Note, open_checkpoint, read_verifier_key

    texts = [_read(checkpoint).decode(errors="replace"), *witnessed]
    if key is not None:
        name, _, public = read_verifier_key(key)
        texts = [texts[0], *(text for text in witnessed if text.startswith(f"{name}\n"))]  # others' logs stand beside it
        opened = [open_checkpoint(text, public).checkpoint for text in texts]
        for one in opened:
            if one.origin != name:
                raise LogError(f"a checkpoint of '{one.origin}', the key is of '{name}'")
    elif witnessed:
        raise _needs_key()
    else:
        opened = [Checkpoint.parse(Note.parse(texts[0]).text)]
    beyond = 0
    for one in opened:
        with export.open("rb") as file:
            beyond = verify_lines((line.rstrip(b"\n") for line in file), one, progress)
    first = opened[0]
    signed = "checked" if key is not None else "not checked; give --key"
    return {
        "origin": first.origin,
        "entries": first.size,
        "root": first.root.hex(),
        "signature": signed,
        "witnessed": len(opened) - 1,
        "entries_after_the_last_checkpoint": beyond,
    }


def _needs_key() -> UnknownValueError:
    from oneteam.core.errors import UnknownValueError

    return UnknownValueError("--witnessed needs the log's key to be of use", hint="Give the member's home, or --key with --file.")


def _notes(files: list[Path] | None) -> list[str]:
    """The notes of files: each is a note, or JSON in which notes stand."""
    import json

    found: list[str] = []
    for path in files or ():
        text = _read(path).decode(errors="replace")
        try:
            document = json.loads(text)
        except ValueError:
            found.append(text)
        else:
            found.extend(_notes_in(document))
    return found


def _notes_in(document: object) -> Iterator[str]:
    if isinstance(document, str) and "\n\n— " in document:
        yield document
    elif isinstance(document, list):
        for one in document:
            yield from _notes_in(one)
    elif isinstance(document, dict):
        for one in document.values():
            yield from _notes_in(one)


def _read(path: Path) -> bytes:
    from oneteam.core.errors import FileUnreadableError

    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as err:
        raise FileUnreadableError(f"{path}: {err.strerror or err}") from err


def _held_rows(log: LogReader) -> list[dict[str, object]]:
    return [
        {"origin": one.checkpoint.origin, "size": one.checkpoint.size, "root": one.checkpoint.root.hex(), "at": one.at, "note": one.note}
        for one in log.all_held()
    ]


def _evidence_rows(log: LogReader) -> list[dict[str, object]]:
    return [{"origin": one.origin, "fault": one.fault, "at": one.at, "note": one.held, "shown": one.shown} for one in log.evidence()]
