"""A browser that is enough for tests: cookies, forms with their token, redirects; straight into the application."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
from argon2 import PasswordHasher
from fastapi import FastAPI

from oneteam.store.registry import Registry
from oneteam.web.accounts import Accounts

PASSWORD = "four quiet blue herons"
ADDRESS = "http://127.0.0.1:8450"


def cheap_accounts(registry: Registry) -> Accounts:
    """Hashes that cost next to nothing; what Argon2id costs in earnest is its own test's subject."""
    return Accounts(registry, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


class Browser:
    """One visitor."""

    def __init__(self, app: FastAPI, address: str = ADDRESS, language: str = "en") -> None:
        self.app, self.address = app, address
        self.cookies = httpx.Cookies()
        self.headers = {"accept-language": language}

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            headers = {**self.headers, **more.pop("headers", {})}
            async with httpx.AsyncClient(transport=transport, base_url=self.address, cookies=self.cookies, headers=headers) as client:
                answer = await client.request(method, path, **more)
                self.cookies = client.cookies
                return answer

        return asyncio.run(once())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def token(self, path: str = "/account") -> str:
        """The token of a page's form."""
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.get(path).text)
        assert found, f"{path} has no form"
        return found[1]

    def post(self, path: str, data: dict[str, Any] | None = None, page: str = "/account", **more: Any) -> httpx.Response:
        """Send a form as a page of this node would."""
        return self.ask("POST", path, data={"csrf": self.token(page), **(data or {})}, **more)

    def sign_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        return self.post("/account/sign-in", {"name": name, "password": password}, page="/account/sign-in")
