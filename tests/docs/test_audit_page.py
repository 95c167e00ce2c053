"""The audit page's own few lines of Python, run against a real export."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from oneteam.core.keys import Keys
from oneteam.store.audit_entry import AuditEntry
from oneteam.store.audit_log import AuditLog, origin_of
from oneteam.store.registry import Registry

PAGE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("count", [1, 2, 7, 8, 13])
def test_the_page_s_check(tmp_path: Path, count: int) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict = {}
    exec(program, names)  # the page's own text
    registry = Registry.open(tmp_path / "registry.db")
    log = AuditLog(registry, origin_of("kt"), Keys.generate())
    with registry.transaction() as db:
        for i in range(count):
            log.append(db, AuditEntry(at=datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=i), kind="start"))
    lines = [body for _, body in log.bodies()]
    note = log.checkpoint()
    registry.close()
    assert names["fits"](b"\n".join(lines) + b"\n", note)
    assert not names["fits"](b"\n".join([*lines[:-1], lines[-1].replace(b"start", b"permit")]), note)
    assert not names["fits"](b"\n".join(lines[:-1]), note)


def test_every_field_of_an_entry_is_documented() -> None:
    section = PAGE.split("## What an entry says")[1].split("\n## ")[0]
    assert set(AuditEntry.model_fields) <= set(re.findall(r"`([a-z_]+)`", section))
