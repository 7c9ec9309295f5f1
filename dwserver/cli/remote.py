"""Requests of commands to a running server."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

import aiohttp
import orjson

from dwserver.config.groups import AuthSettings
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.versions import CONTROL_PLANE_HEADER, CONTROL_PLANE_VERSION

TIMEOUT_SECONDS: Final = 60.0
MAX_SHOWN: Final = 300


class RemoteError(Exception):
    """The server did not answer, or refused."""


class RemoteServer:
    """A server by its address; administers with the token of these settings."""

    def __init__(self, url: str, auth: AuthSettings) -> None:
        self._url = url.rstrip("/")
        token = auth.admin_token or auth.shared_token
        self._headers = {
            CONTROL_PLANE_HEADER: CONTROL_PLANE_VERSION,
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {token}"} if token else {}),
        }

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers, timeout=aiohttp.ClientTimeout(TIMEOUT_SECONDS)
        )
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def get(self, path: str, *, namespace: str) -> JsonObject:
        """The members of a successful answer; RemoteError for any other."""
        return await self._ask("GET", path, namespace, None)

    async def post(self, path: str, body: JsonObject, *, namespace: str) -> JsonObject:
        """As :meth:`get`."""
        return await self._ask("POST", path, namespace, orjson.dumps(body))

    async def _ask(
        self, method: str, path: str, namespace: str, body: bytes | None
    ) -> JsonObject:
        headers = {"X-Namespace": namespace}
        try:
            async with self._session.request(
                method, self._url + path, data=body, headers=headers
            ) as answer:
                text = await answer.read()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            why = str(error) or type(error).__name__
            raise RemoteError(f"{self._url} does not answer: {why}") from error
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            found = None
        if answer.ok and isinstance(found, dict):
            return found
        told = found.get("message") if isinstance(found, dict) else None
        raise RemoteError(
            f"{self._url}{path} answered {answer.status}: {str(told)[:MAX_SHOWN]}"
        )
