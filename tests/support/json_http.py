"""A blocking JSON client for tests: one request per connection, nothing repeated.

Every answer must be as the API is described.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson

from tests.support.api_description import whole_api

CONTROL_PLANE_HEADER = "X-Durable-Workflow-Control-Plane-Version"
WORKER_HEADER = "X-Durable-Workflow-Protocol-Version"
ANSWER_SECONDS = 45.0


@dataclass(frozen=True, slots=True)
class Answer:
    """``headers`` have lower-case names; ``body`` is parsed JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any

    def expect(self, status: int) -> Any:
        """The body; AssertionError with it when the status is another one."""
        assert self.status == status, f"status {self.status}: {self.body}"
        return self.body


@dataclass(frozen=True, slots=True)
class JsonHttp:
    """Requests to one server. ``headers`` go with each of them."""

    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """``body``: a text goes out as it is, anything else as JSON."""
        address = urlsplit(self.base_url)
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=ANSWER_SECONDS
        )
        sent = {**self.headers, **(headers or {})}
        content = None
        if body is not None:
            content = body.encode() if isinstance(body, str) else orjson.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body=content, headers=sent)
            response = connection.getresponse()
            raw = response.read()
            received = {name.lower(): value for name, value in response.getheaders()}
        finally:
            connection.close()
        parsed = orjson.loads(raw) if raw else None
        problems = whole_api().problems(
            method, path, status=response.status, headers=received, body=parsed
        )
        assert not problems, "\n".join(problems)
        return Answer(response.status, received, parsed)


def operator(base_url: str, token: str, *, namespace: str = "default") -> JsonHttp:
    """A client of the control plane."""
    return JsonHttp(
        base_url,
        {
            "Authorization": f"Bearer {token}",
            "X-Namespace": namespace,
            CONTROL_PLANE_HEADER: "2",
        },
    )


def read_history(client: JsonHttp, workflow_id: str, run_id: str) -> list[Any]:
    """All events of a run over the operator's route, page by page."""
    events: list[Any] = []
    token: str | None = None
    while True:
        path = f"/api/workflows/{workflow_id}/runs/{run_id}/history?page_size=200"
        if token is not None:
            path += f"&next_page_token={token}"
        page = client.request("GET", path).expect(200)
        events += page["events"]
        token = page["next_page_token"]
        if token is None:
            return events
