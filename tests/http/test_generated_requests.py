"""Requests made up from the description of the API, against a live server: whatever is
sent, the answer is one that the description has, and the database stays sound."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dwserver.http.routes import api_document
from tests.durability.checker import check_standing
from tests.http.inhabited import Inhabited, Targets, inhabited
from tests.support.processes import TEST_TOKEN, StartServer
from tests.support.stored_state import read_state


def no_failure(_context: Any, response: Any, _case: Any) -> None:
    """No 5xx, but for a query that no worker has answered: the contract's 504."""
    if response.status_code >= FAILURE:
        assert response.json()["reason"] == "query_worker_timeout", response.text


CHECKS = (
    no_failure,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
FAILURE = 500
FEW = 6
MANY = 50
# How often a made-up id gives way to one that exists.
AIMED = 0.7


def operations() -> Iterator[Any]:
    document = schemathesis.openapi.from_dict(api_document())
    for found in document.get_all_operations():
        yield found.ok()


def aim(case: Any, targets: Targets, dice: random.Random) -> None:
    """Point a made-up request at what exists, mostly, and let it wait for nothing."""

    def is_aimed() -> bool:
        return dice.random() < AIMED

    known = targets.on(case.path)
    if isinstance(case.path_parameters, dict):
        for name in case.path_parameters:
            if name in known and is_aimed():
                case.path_parameters[name] = known[name]
    if is_aimed():
        case.headers.pop("X-Namespace", None)
        if isinstance(case.query, dict):
            case.query.pop("namespace", None)
    if isinstance(case.query, dict):
        case.query.pop("wait_new_event", None)
    if isinstance(case.body, dict):
        for name in known:
            if name in case.body and is_aimed():
                case.body[name] = known[name]
        if isinstance(case.body.get("timeout_seconds"), int | float):
            case.body["timeout_seconds"] = 0
        if case.body.get("wait_for") == "completed":
            case.body["wait_for"] = "accepted"


def problems_of(operation: Any, mode: GenerationMode, site: Site) -> list[str]:
    """What is wrong with the answers to one kind of requests of one operation."""
    problems: list[str] = []

    @settings(
        max_examples=site.examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=site.examples == FEW,
    )
    @given(case=operation.as_strategy(generation_mode=mode), seed=st.integers(0, 2**32))
    def send(case: Any, seed: int) -> None:
        aim(case, site.targets, random.Random(seed))
        response = case.call(
            base_url=site.base_url,
            session=site.session,
            headers={"Authorization": f"Bearer {TEST_TOKEN}"},
        )
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as failures:
            problems.append(f"{operation.label}: {failures}")

    send()
    return problems


class Site:
    """A server in use, whose targets are made anew for each operation."""

    def __init__(self, server: Inhabited, session: requests.Session, examples: int):
        self._server = server
        self.session = session
        self.examples = examples
        self.base_url = server.server.base_url
        self.targets = server.settle()

    def renew(self) -> None:
        self.targets = self._server.settle()


def check_all(server: Inhabited, database_url: str, *, examples: int) -> None:
    problems: list[str] = []
    with requests.Session() as session:
        site = Site(server, session, examples)
        for operation in operations():
            site.renew()
            for mode in MODES:
                # A request without fields cannot be made wrong.
                if mode is GenerationMode.NEGATIVE and not operation.definition.raw.get(
                    "security"
                ):
                    continue
                problems += problems_of(operation, mode, site)
    assert not problems, "\n".join(problems[:10])
    assert server.control.request("GET", "/api/ready").status == 200
    assert "http_request_failed" not in server.server.log_text()
    assert check_standing(read_state(database_url)) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "engine", ["postgres", pytest.param("sqlite", marks=pytest.mark.full)]
)
def test_made_up_requests(
    engine: str, request: pytest.FixtureRequest, start_server: StartServer
) -> None:
    database_url = request.getfixturevalue(f"{engine}_url")
    check_all(inhabited(start_server, database_url), database_url, examples=FEW)


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_many_made_up_requests(start_server: StartServer, store_url: str) -> None:
    check_all(inhabited(start_server, store_url), store_url, examples=MANY)
