"""No input breaks the analysis pages' API."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings

from tests.web.outlook.conftest import signed_in

API = "/api/v1/outlook"
FEW = settings(
    max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate], database=None
)


def ask(operation: Any, headers: dict[str, str], cookies: dict[str, str], statuses: set[int]) -> None:
    """Ask one operation in many ways."""

    @FEW
    @given(case=operation.as_strategy())
    def once(case: Any) -> None:
        case.headers = {**(case.headers or {}), **headers}
        case.cookies = cookies
        statuses.add(case.call().status_code)

    once()


@pytest.mark.filterwarnings("ignore")  # of schemathesis and what it drives
def test_no_input_breaks_it(shown: FastAPI) -> None:
    import schemathesis

    viewer = signed_in(shown)
    own = {"host": "127.0.0.1:8450"}
    cookies = {cookie.name: cookie.value for cookie in viewer.cookies.jar}
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", shown, headers=own)
    statuses: dict[str, set[int]] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.startswith(API):
            ask(operation, own, cookies, statuses.setdefault(operation.label, set()))
    assert len(statuses) >= 5, sorted(statuses)
    assert not [(label, status) for label, found in statuses.items() for status in found if status >= 500]
    assert any(200 in found for found in statuses.values())
