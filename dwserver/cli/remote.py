"""Requests of commands to a running server."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import aiohttp
import orjson

from dwserver.config.groups import AuthSettings, HttpSettings
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.versions import CONTROL_PLANE_HEADER, CONTROL_PLANE_VERSION

TIMEOUT_SECONDS: Final = 60.0
MAX_SHOWN: Final = 300


class RemoteError(Exception):
    """The server did not answer, or refused."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    text: bytes

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def members(self) -> JsonObject | None:
        """None for everything but a JSON object."""
        try:
            found = orjson.loads(self.text)
        except orjson.JSONDecodeError:
            return None
        return found if isinstance(found, dict) else None


def address_of(http: HttpSettings) -> str:
    """Where the server with these settings listens."""
    host = f"[{http.host}]" if ":" in http.host else http.host
    return f"http://{host}:{http.port}"


class RemoteServer:
    """A server by its address; the most powerful token of these settings is used."""

    def __init__(
        self, url: str, auth: AuthSettings, *, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        token = auth.admin_token or auth.shared_token or auth.operator_token
        self._headers = {
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

    async def get(self, path: str, *, namespace: str) -> JsonObject:
        """The members of a successful answer; RemoteError for any other."""
        return self._members(path, await self._asked("GET", path, namespace))

    async def get_text(self, path: str, *, namespace: str) -> bytes:
        """A successful answer as it came."""
        return (await self._asked("GET", path, namespace)).text

    async def post(
        self,
        path: str,
        body: JsonObject,
        *,
        namespace: str,
        also: int | None = None,
    ) -> JsonObject:
        """As :meth:`get`, or with the status ``also``."""
        answer = await self._asked("POST", path, namespace, body, also=also)
        return self._members(path, answer)

    async def _asked(
        self,
        method: str,
        path: str,
        namespace: str,
        body: JsonObject | None = None,
        *,
        also: int | None = None,
    ) -> _Answer:
        try:
            async with self._session.request(
                method,
                self._url + path,
                data=None if body is None else orjson.dumps(body),
                headers={"X-Namespace": namespace},
            ) as answer:
                found = _Answer(answer.status, await answer.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            why = str(error) or type(error).__name__
            raise RemoteError(f"{self._url} does not answer: {why}") from error
        if found.is_ok or found.status == also:
            return found
        raise self._refused(path, found)

    def _members(self, path: str, answer: _Answer) -> JsonObject:
        members = answer.members
        if members is None:
            raise self._refused(path, answer)
        return members

    def _refused(self, path: str, answer: _Answer) -> RemoteError:
        told = (answer.members or {}).get("message")
        return RemoteError(
            f"{self._url}{path} answered {answer.status}: {str(told)[:MAX_SHOWN]}"
        )
