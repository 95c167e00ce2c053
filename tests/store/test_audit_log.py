"""The audit log against its own owner: whatever is changed afterwards is found, by the log itself or by those who watch it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from oneteam.core.errors import BadSignatureError, LogError, NothingFoundError, OneteamError, WrongTypeError
from oneteam.core.keys import Keys
from oneteam.store import log_check, log_tables, merkle, notes
from oneteam.store.audit_entry import AuditEntry
from oneteam.store.audit_log import AuditLog, origin_of
from oneteam.store.registry import Registry

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KT, SKT, LGU = Keys.generate(), Keys.generate(), Keys.generate()


def entry(number: int, kind: str = "permit") -> AuditEntry:
    return AuditEntry(at=NOW + timedelta(seconds=number), kind=kind, query=sha256(str(number).encode()).hexdigest(), nano_rho=1)


def add(log: AuditLog, first: int, end: int) -> None:
    with log.registry.transaction() as db:
        for number in range(first, end):
            assert log.append(db, entry(number)) == log_tables.size(db) - 1


@pytest.fixture
def make(tmp_path: Path):
    opened = []

    def build(name: str, keys: Keys, path: Path | None = None) -> AuditLog:
        registry = Registry.open(path or tmp_path / name / "registry.db")
        opened.append(registry)
        return AuditLog(registry, origin_of(name), keys, now=lambda: NOW)

    yield build
    for registry in opened:
        registry.close()


@pytest.fixture
def log(make) -> AuditLog:
    """37 entries, checkpoints at 0, 10, 20 and 37."""
    made = make("kt", KT)
    made.checkpoint()
    for first, end in ((0, 10), (10, 20), (20, 37)):
        add(made, first, end)
        made.checkpoint()
    return made


def tamper(log: AuditLog, script: str, *arguments: object) -> None:
    with log.registry.transaction() as db:
        for statement in script.split(";"):
            db.execute(statement, arguments if "?" in statement else ())


def rebuild(log: AuditLog, bodies: list[bytes], *, checkpoints: bool = False) -> None:
    """What an owner can do who knows the format: a tree that fits the new entries and, with its key, checkpoints that fit the tree."""
    with log.registry.transaction() as db:
        sizes = [size for (size,) in db.execute("SELECT size FROM audit_checkpoint")]
        db.execute("DELETE FROM audit_entry")
        db.execute("DELETE FROM audit_node")
        if checkpoints:
            db.execute("DELETE FROM audit_checkpoint")
        for index, body in enumerate(bodies):
            if checkpoints and index in sizes:
                log.checkpoint(db)
            log_tables.append(db, body)
        if checkpoints:
            log.checkpoint(db)


def leaves(log: AuditLog) -> list[bytes]:
    return [body for _, body in log.bodies()]


def test_an_honest_log(log: AuditLog) -> None:
    found = log.verify([log.checkpoint()])
    assert (found.origin, found.entries, found.checkpoints) == ("oneteam.log/kt", 37, 4)
    assert found.root == merkle.root_of(merkle.leaf_hash(body) for body in leaves(log)).hex()
    assert [number for number, _ in log.entries(35)] == [35, 36]
    assert next(log.entries(3))[1] == entry(3)


def test_a_failed_decision_leaves_no_entry(log: AuditLog) -> None:
    def fails() -> None:
        with log.registry.transaction() as db:
            log.append(db, entry(99))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert log.size == 37
    assert log.verify().entries == 37


def test_the_same_size_has_the_same_note(log: AuditLog) -> None:
    assert log.checkpoint() == log.checkpoint() == log.latest_checkpoint()


def test_checks_work_across_the_borders_of_chunks(make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every size up to some chunks of four: with other chunks the same verdict, and a change at any place found."""
    monkeypatch.setattr(log_check, "CHUNK_LEVEL", 2)
    log = make("kt", KT)
    for size in range(27):
        assert log.verify().entries == size
        add(log, size, size + 1)
    for level, position in [(i, j) for i in range(5) for j in range(27 >> i)]:
        with log.registry.read() as db:
            good = log_tables.node(db)(level, position)
        tamper(log, f"UPDATE audit_node SET hash = zeroblob(32) WHERE level = {level} AND position = {position}")
        with pytest.raises(LogError, match=f"entry {position} is not" if level == 0 else f"level {level}, position {position}"):
            log.verify()
        tamper(log, f"UPDATE audit_node SET hash = ? WHERE level = {level} AND position = {position}", good)
    assert log.verify().entries == 27


CHANGE = "UPDATE audit_entry SET body = CAST(replace(body, 'permit', 'refuse') AS BLOB) WHERE position = 12"
SWAP = "UPDATE audit_entry SET position = -1 WHERE position = 4; UPDATE audit_entry SET position = 4 WHERE position = 5; "
SWAP += "UPDATE audit_entry SET position = 5 WHERE position = -1"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (CHANGE, "entry 12 is not what it was"),
        ("DELETE FROM audit_entry WHERE position = 12", "entry 12 is missing"),
        ("DELETE FROM audit_entry WHERE position = 0", "entry 0 is missing"),
        (SWAP, "entry 4 is not what it was"),
        ("DELETE FROM audit_entry WHERE position > 30", "entries were deleted"),
        ("DELETE FROM audit_entry", "entries were deleted"),
        ("INSERT INTO audit_entry VALUES (37, x'7b7d')", "for 38 entries"),
        ("DELETE FROM audit_node WHERE level = 0 AND position = 36", "37 entries"),
        ("INSERT INTO audit_node VALUES (9, 0, zeroblob(32))", "level 9"),
        ("UPDATE audit_checkpoint SET size = 11 WHERE size = 10", "kept for 11 entries"),
        ("UPDATE audit_checkpoint SET note = replace(note, '10', '11') WHERE size = 10", "not its own"),
    ],
)
def test_what_a_clumsy_owner_does_is_found(log: AuditLog, script: str, said: str) -> None:
    tamper(log, script)
    with pytest.raises(LogError, match=said):
        log.verify()


ATTACKS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "changed": lambda found: [*found[:12], entry(12, "refuse").to_bytes(), *found[13:]],
    "deleted": lambda found: found[:12] + found[13:],
    "reordered": lambda found: [*found[:12], found[13], found[12], *found[14:]],
    "inserted": lambda found: [*found[:12], entry(500).to_bytes(), *found[12:]],
    "truncated": lambda found: found[:30],
    "rolled back and gone on": lambda found: [*found[:30], *(entry(600 + i).to_bytes() for i in range(20))],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_rebuilt_tree_does_not_fit_the_signed_checkpoints(log: AuditLog, attack: str) -> None:
    rebuild(log, ATTACKS[attack](leaves(log)))
    with pytest.raises(LogError, match="signed"):
        log.verify()


@pytest.mark.parametrize("attack", ATTACKS)
def test_signed_anew_it_does_not_fit_what_others_hold(make, log: AuditLog, attack: str) -> None:
    """The owner has the key and hides everything at home; the checkpoint that another member holds remains."""
    other = make("skt", SKT)
    seen = log.checkpoint()
    assert other.witness(seen, None, KT.public).accepted
    rebuild(log, ATTACKS[attack](leaves(log)), checkpoints=True)
    log.verify()
    with pytest.raises(LogError, match="signed"):
        log.verify([other.held("oneteam.log/kt").note])
    add(log, 700, 710)
    proof = log.prove_consistency(37)
    with pytest.raises(LogError, match="does not continue"):
        other.witness(log.checkpoint(), proof, KT.public)
    (found,) = other.evidence()
    assert (found.fault, found.held) == ("inconsistent", seen)
    for note in (found.held, found.shown):
        notes.open_checkpoint(note, KT.public.verify)
    assert other.held("oneteam.log/kt").note == seen


def test_a_cut_log_is_not_grown_over(log: AuditLog) -> None:
    tamper(log, "DELETE FROM audit_entry WHERE position >= 36")
    with pytest.raises(LogError, match="entries were deleted"):
        add(log, 36, 37)


def test_nothing_is_signed_that_contradicts_what_was_signed(log: AuditLog) -> None:
    found = leaves(log)
    rebuild(log, [*found[:12], entry(12, "refuse").to_bytes(), *found[13:], entry(80).to_bytes()])
    with pytest.raises(LogError, match="one of the first 37 entries"):
        log.checkpoint()
    rebuild(log, found[:30])
    with pytest.raises(LogError, match="cut or rolled back"):
        log.checkpoint()


def test_a_registry_holds_one_log(make, log: AuditLog) -> None:
    with pytest.raises(LogError, match=r"holds the log 'oneteam.log/kt'"):
        make("skt", SKT, log.registry.path)


def test_witnesses_follow_a_growing_log(make, log: AuditLog) -> None:
    other = make("skt", SKT)
    first = other.witness(log.checkpoint(), None, KT.public)
    assert (first.accepted, first.held_size) == (True, 37)
    for end in (38, 50, 64, 65):
        add(log, log.size, end)
        seen = other.witness(log.checkpoint(), log.prove_consistency(first.held_size), KT.public)
        assert (seen.accepted, seen.held_size) == (True, end)
        assert log.keep_cosignature(seen.cosignature, "oneteam.log/skt", SKT.public)
        opened = notes.open_checkpoint(log.checkpoint(), KT.public.verify, {"oneteam.log/skt": SKT.public.verify})
        assert opened.cosigned == {"oneteam.log/skt": NOW}
        first = seen
    again = other.witness(log.checkpoint(), None, KT.public)
    assert again.accepted
    assert again.cosignature is not None
    assert other.evidence() == []
    assert other.size == 0
    assert log.verify().entries == 65


def test_a_proof_from_another_size_is_no_fault(make, log: AuditLog) -> None:
    other = make("skt", SKT)
    add(other, 0, 1)
    other.witness(log.checkpoint(), None, KT.public)
    add(log, 37, 45)
    for proof in (None, log.prove_consistency(20), log.prove_consistency(37, 40)):
        seen = other.witness(log.checkpoint(), proof, KT.public)
        assert (seen.accepted, seen.held_size, seen.cosignature) == (False, 37, None)
    assert other.evidence() == []


def test_split_view(make, log: AuditLog) -> None:
    """Two members are shown different histories of the same length; as soon as they compare notes, both can prove it."""
    skt, lgu = make("skt", SKT), make("lgu", LGU)
    skt.witness(log.checkpoint(), None, KT.public)
    rebuild(log, [entry(12, "refuse").to_bytes() for _ in range(37)], checkpoints=True)
    lgu.witness(log.checkpoint(), None, KT.public)
    for one, other in ((skt, lgu), (lgu, skt)):
        with pytest.raises(LogError, match="two different histories of the same length") as caught:
            one.witness(other.held("oneteam.log/kt").note, None, KT.public, fresh=False)
        (found,) = one.evidence()
        assert found.fault == "split"
        pair = [notes.open_checkpoint(note, KT.public.verify).checkpoint for note in (found.held, found.shown)]
        assert pair[0].size == pair[1].size
        assert pair[0].root != pair[1].root
        assert found.held in caught.value.detail
        assert found.held not in caught.value.message
        assert next(one.entries())[1].reasons == ("log.split",)


def test_the_same_evidence_again_does_not_fill_the_log(make, log: AuditLog) -> None:
    watcher = make("skt", SKT)
    shown = [
        str(notes.sign_checkpoint(notes.Checkpoint(origin_of("kt"), 5, root), KT)) for root in (bytes(32), bytes([1]) * 32, bytes([2]) * 32)
    ]
    watcher.witness(shown[0], None, KT.public)
    for note in (shown[1], shown[1], shown[2], shown[1]):
        with pytest.raises(LogError, match="two different histories"):
            watcher.witness(note, None, KT.public)
    assert [one.document for _, one in watcher.entries()] == [sha256(note.encode()).hexdigest() for note in shown[1:]]
    assert len(watcher.evidence()) == 2


def test_split_view_at_different_lengths(make, log: AuditLog) -> None:
    """Their notes have other sizes; the owner must give the proof that joins them, and cannot."""
    skt, lgu = make("skt", SKT), make("lgu", LGU)
    honest = leaves(log)
    skt.witness(log.checkpoint(), None, KT.public)
    rebuild(log, [entry(12, "refuse").to_bytes(), *honest[1:], *honest[:5]], checkpoints=True)
    lgu.witness(log.checkpoint(), None, KT.public)
    proof = log.prove_consistency(37, 42)
    with pytest.raises(LogError, match="does not continue"):
        skt.witness(lgu.held("oneteam.log/kt").note, proof, KT.public, fresh=False)
    with pytest.raises(LogError, match="does not continue"):
        lgu.witness(skt.held("oneteam.log/kt").note, proof, KT.public, fresh=False)


def test_third_parties_older_notes(make, log: AuditLog) -> None:
    skt, lgu = make("skt", SKT), make("lgu", LGU)
    lgu.witness(log.checkpoint(), None, KT.public)
    add(log, 37, 52)
    skt.witness(log.checkpoint(), None, KT.public)
    older = lgu.held("oneteam.log/kt").note
    assert not skt.witness(older, None, KT.public, fresh=False).accepted
    seen = skt.witness(older, log.prove_consistency(37, 52), KT.public, fresh=False)
    assert (seen.accepted, seen.held_size, seen.cosignature) == (True, 52, None)
    assert skt.evidence() == []


def test_rollback(make, log: AuditLog, tmp_path: Path) -> None:
    """A log that came back from a backup shows less than it showed."""
    skt = make("skt", SKT)
    log.registry.close()
    backup = tmp_path / "backup.db"
    shutil.copy(log.registry.path, backup)
    add(log, 37, 50)
    skt.witness(log.checkpoint(), None, KT.public)
    restored = make("kt", KT, backup)
    with pytest.raises(LogError, match="shorter"):
        skt.witness(restored.checkpoint(), None, KT.public)
    assert [found.fault for found in skt.evidence()] == ["rollback"]
    with pytest.raises(LogError, match="shorter"):
        skt.witness(restored.checkpoint(), None, KT.public)
    assert len(skt.evidence()) == 1
    outside = restored.compare_with([skt.held("oneteam.log/kt").note])
    assert (outside.level, outside.highest) == (False, 50)


def test_forged_notes_are_neither_held_nor_evidence(make, log: AuditLog) -> None:
    skt = make("skt", SKT)
    skt.witness(log.checkpoint(), None, KT.public)
    root = notes.Checkpoint(log.origin, 37, bytes(32))
    for forged in (str(notes.sign_checkpoint(root, LGU)), log.checkpoint().replace("\n37\n", "\n99\n")):
        with pytest.raises(BadSignatureError):
            skt.witness(forged, None, KT.public)
    assert skt.evidence() == []
    assert skt.held("oneteam.log/kt").checkpoint.size == 37
    assert log.compare_with([str(notes.sign_checkpoint(root, LGU)), "no note"]).ignored == 2
    with pytest.raises(WrongTypeError, match="own log"):
        log.witness(log.checkpoint(), None, KT.public)


def test_cosignatures_that_are_not(make, log: AuditLog) -> None:
    skt = make("skt", SKT)
    line = skt.witness(log.checkpoint(), None, KT.public).cosignature
    assert not log.keep_cosignature(line, "oneteam.log/lgu", LGU.public)
    assert not log.keep_cosignature(line, "oneteam.log/skt", LGU.public)
    foreign = str(notes.cosign(notes.Checkpoint("oneteam.log/x", 37, bytes(32)), "oneteam.log/skt", SKT, NOW))
    assert not log.keep_cosignature(foreign, "oneteam.log/skt", SKT.public)
    with pytest.raises(WrongTypeError):
        log.keep_cosignature("no signature", "oneteam.log/skt", SKT.public)
    assert notes.open_checkpoint(log.checkpoint(), KT.public.verify, {"oneteam.log/skt": SKT.public.verify}).cosigned == {}


def test_a_new_history_must_be_accepted(make, log: AuditLog) -> None:
    skt = make("skt", SKT)
    skt.witness(log.checkpoint(), None, KT.public)
    with log.registry.transaction() as db:
        assert log.begin_anew(db) == "oneteam.log/kt/restart-2"
    add(log, 0, 3)
    assert log.verify().entries == 3
    with pytest.raises(LogError, match="begun a new history"):
        skt.witness(log.checkpoint(), None, KT.public)
    skt.accept_restart("oneteam.log/kt/restart-2")
    assert skt.witness(log.checkpoint(), None, KT.public).accepted
    # going back to the old history, as a backup of before would, is a rollback
    old = skt.evidence()[0].held
    with pytest.raises(LogError, match="shorter"):
        skt.witness(old, None, KT.public)
    with pytest.raises(WrongTypeError):
        skt.accept_restart("oneteam.log/kt")


def test_entries_put_back_from_an_export(make, log: AuditLog, tmp_path: Path) -> None:
    skt = make("skt", SKT)
    log.registry.close()
    backup = tmp_path / "backup.db"
    shutil.copy(log.registry.path, backup)
    add(log, 37, 50)
    skt.witness(log.checkpoint(), None, KT.public)
    held, export = skt.held("oneteam.log/kt").note, leaves(log)
    restored = make("kt", KT, backup)

    def extend(bodies: list[bytes], witnessed: list[str]) -> int:
        with restored.registry.transaction() as db:
            return len(restored.extend(db, bodies, witnessed))

    for bad, said in (
        (export[:49], "others hold a checkpoint of 50"),
        (export[:30], "nothing to put back"),
        ([*export[:12], export[13], *export[13:]], "one of the first 50"),
        ([*export[:40], entry(40, "refuse").to_bytes(), *export[41:]], "one of the first 50"),
    ):
        with pytest.raises(LogError, match=said):
            extend(bad, [held])
        assert restored.size == 37
    with pytest.raises(NothingFoundError):
        extend(export, [])
    # what the restored member wrote before somebody noticed comes after what was lost
    add(restored, 900, 903)
    restored.checkpoint()
    assert extend(export, [held]) == 13
    assert restored.verify([held]).entries == 53
    assert leaves(restored) == [*export, *(entry(900 + i).to_bytes() for i in range(3))]
    with pytest.raises(LogError, match="nothing to put back"):
        extend(export, [held])


def test_proofs_that_others_check(log: AuditLog) -> None:
    proof = log.prove_inclusion(12, 20)
    body = leaves(log)[12]
    checkpoint = notes.Checkpoint.parse(notes.Note.parse(log.checkpoint()).text)
    assert proof.tree_size == 20
    whole = log.prove_inclusion(12)
    merkle.verify_inclusion(merkle.leaf_hash(body), 12, 37, [notes._decode(text) for text in whole.proof], checkpoint.root)
    for bad in (lambda: log.prove_inclusion(37), lambda: log.prove_inclusion(20, 20), lambda: log.prove_inclusion(0, 38)):
        with pytest.raises(WrongTypeError):
            bad()
    for old, new in ((38, None), (21, 20), (0, 38)):
        with pytest.raises(WrongTypeError):
            log.prove_consistency(old, new)


def test_entries_hold_nothing_else() -> None:
    with pytest.raises(OneteamError):
        AuditEntry.from_bytes(b'{"at":"2026-03-01T00:00:00Z","kind":"permit","value":17}')
    with pytest.raises(OneteamError):
        AuditEntry.from_bytes(b"\xff")


def test_an_export_is_checked_with_checkpoint_alone(log: AuditLog) -> None:
    checkpoint = notes.Checkpoint.parse(notes.Note.parse(log.checkpoint()).text)
    lines = leaves(log)
    assert log_check.verify_lines(lines, checkpoint) == 0
    assert log_check.verify_lines([*lines, b"{}"], checkpoint) == 1
    for attack in ATTACKS.values():
        with pytest.raises(LogError):
            log_check.verify_lines(attack(lines), checkpoint)


def test_held_history_is_bounded(make, log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneteam.store.witness.HISTORY", 3)
    skt = make("skt", SKT)
    size = 0
    for end in range(37, 45):
        add(log, log.size, end)
        size = skt.witness(log.checkpoint(), log.prove_consistency(size) if size else None, KT.public).held_size
    with skt.registry.read() as db:
        assert [row[0] for row in db.execute("SELECT size FROM audit_held ORDER BY size")] == [42, 43, 44]


def test_sqlite_itself_refuses_two_entries_at_one_place(log: AuditLog) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        tamper(log, "INSERT INTO audit_entry VALUES (3, x'00')")
