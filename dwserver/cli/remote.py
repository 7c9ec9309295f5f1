"""Requests of commands to a running server."""

from __future__ import annotations

from collections.abc import Callable
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

    def __init__(
        self,
        url: str,
        auth: AuthSettings,
        *,
        namespace: str,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        token = auth.admin_token or auth.shared_token
        self._headers = {
            "X-Namespace": namespace,
            CONTROL_PLANE_HEADER: CONTROL_PLANE_VERSION,
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {token}"} if token else {}),
        }

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers, timeout=aiohttp.ClientTimeout(self._timeout_seconds)
        )
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def post(
        self,
        path: str,
        body: JsonObject,
        *,
        also: Callable[[JsonObject], bool] = lambda _: False,
    ) -> JsonObject:
        """The members of a successful answer, or of one that ``also`` takes;
        RemoteError for any other."""
        try:
            async with self._session.post(
                self._url + path, data=orjson.dumps(body)
            ) as answer:
                text = await answer.read()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            why = str(error) or type(error).__name__
            raise RemoteError(f"{self._url} does not answer: {why}") from error
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            found = None
        if isinstance(found, dict) and (answer.ok or also(found)):
            return found
        told = found.get("message") if isinstance(found, dict) else None
        raise RemoteError(
            f"{self._url}{path} answered {answer.status}: {str(told)[:MAX_SHOWN]}"
        )
