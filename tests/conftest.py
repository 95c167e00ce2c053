"""For all tests."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

# The first call of a compiled function compiles it, which no deadline for single examples survives.
settings.register_profile("oneteam", deadline=None)
settings.load_profile("oneteam")

SYSTEM = "this system"
"""How the reason of a skip begins that no installation can mend."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything must be installed (CI=true), a test that is skipped for a missing part has failed."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr).removeprefix("Skipped: ")
        if not reason.startswith(SYSTEM):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped under CI=true: {reason}"
    return report
