"""Thousands of bodies that nobody should send: each is refused in the envelope of its
plane, nothing is stored, and memory stays where it was."""

from __future__ import annotations

import http.client
import random
from collections import Counter
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest

from dwserver.http.route import Route
from dwserver.http.routes import CONTROL_PLANE_ROUTES, WORKER_ROUTES
from dwserver.protocol.reasons import Plane
from tests.http.broken_bodies import LARGE_MAKERS, MAKERS, Body, bodies
from tests.http.inhabited import Targets, inhabited
from tests.support.api_description import whole_api
from tests.support.json_http import ANSWER_SECONDS, CONTROL_PLANE_HEADER, WORKER_HEADER
from tests.support.ports import LOOPBACK
from tests.support.processes import TEST_TOKEN, StartServer

FEW = 1_000
MANY = 10_000
SEED = 20_260_413
# What allocators keep for themselves, a few bodies of 2 MiB among it.
MEMORY_SLACK = 24 * 1024 * 1024
ROUTES = [
    route
    for route in (*CONTROL_PLANE_ROUTES, *WORKER_ROUTES)
    if route.shape is not None and route.shape.body
]


class Sender:
    """One connection that is kept, unless the server closes it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(
            LOOPBACK, port, timeout=ANSWER_SECONDS
        )

    def problems(self, route: Route, path: str, body: Body) -> list[str]:
        """What is wrong with the answer."""
        where = f"{route.label}: {body.kind}: {body.raw[:120]!r}"
        status, headers, answer = self._send(route, path, body.raw)
        problems = whole_api().problems(
            route.method.value, path, status=status, headers=headers, body=answer
        )
        if status not in body.statuses:
            problems.append(f"status {status}, not {sorted(body.statuses)}: {answer}")
        return [f"{where}: {problem}" for problem in problems]

    def _send(
        self, route: Route, path: str, raw: bytes
    ) -> tuple[int, dict[str, str], Any]:
        is_worker = route.plane is Plane.WORKER
        headers = {
            "Authorization": f"Bearer {TEST_TOKEN}",
            "Content-Type": "application/json",
            WORKER_HEADER if is_worker else CONTROL_PLANE_HEADER: (
                "1.20" if is_worker else "2"
            ),
        }
        # The answer to a body that is too large does not wait for all of it.
        with suppress(ConnectionError):
            self._connection.request(route.method.value, path, raw, headers)
        response = self._connection.getresponse()
        text = response.read()
        received = {name.lower(): value for name, value in response.getheaders()}
        return response.status, received, orjson.loads(text)

    def close(self) -> None:
        self._connection.close()


def path_of(route: Route, targets: Targets) -> str:
    known = targets.on(route.path)
    return route.path.format(
        **{name: known.get(name, "some-name") for name in route.parameters}
    )


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def check_all(start_server: StartServer, database_url: str, *, count: int) -> None:
    server = inhabited(start_server, database_url)
    targets = server.settle()
    sender = Sender(server.server.port)
    dice = random.Random(SEED)
    endless = [(route, bodies(route, dice)) for route in ROUTES]
    kinds: Counter[str] = Counter()
    problems: list[str] = []

    def send_round(rounds: int) -> None:
        for route, broken in endless:
            path = path_of(route, targets)
            for body in islice(broken, rounds):
                problems.extend(sender.problems(route, path, body))
                kinds[body.kind] += 1
            for large in LARGE_MAKERS:
                problems.extend(sender.problems(route, path, large(route, dice)))

    before = server.state(database_url)
    # Once for every kind, which warms what is allocated once.
    send_round(len(MAKERS))
    warm = resident_bytes(server.server.pid)
    while sum(kinds.values()) < count:
        send_round(len(MAKERS))
    sender.close()
    assert not problems, "\n".join(problems[:10])
    assert len(kinds) == len(MAKERS)
    assert resident_bytes(server.server.pid) - warm < MEMORY_SLACK
    assert server.state(database_url) == before
    assert server.control.request("GET", "/api/ready").status == 200
    assert "http_request_failed" not in server.server.log_text()


def test_broken_bodies(start_server: StartServer, store_url: str) -> None:
    check_all(start_server, store_url, count=FEW)


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_many_broken_bodies(start_server: StartServer, store_url: str) -> None:
    check_all(start_server, store_url, count=MANY)
