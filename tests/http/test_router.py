"""Paths find their resource, whatever they are encoded like."""

from __future__ import annotations

import pytest

from dwserver.http.router import Router

MOUNTS = (
    ("GET", "/api/workflows", "list"),
    ("POST", "/api/workflows", "start"),
    ("POST", "/api/workflows/import/embedded-v2", "import"),
    ("GET", "/api/workflows/{workflow_id}", "describe"),
    ("POST", "/api/workflows/{workflow_id}/cancel", "cancel"),
    ("GET", "/api/workflows/{workflow_id}/runs", "runs"),
    ("GET", "/api/workflows/{workflow_id}/runs/{run_id}", "run"),
    ("GET", "/api/workflows/{workflow_id}/runs/latest", "latest"),
)


@pytest.fixture(scope="module")
def router() -> Router[str]:
    return Router(MOUNTS)


@pytest.mark.parametrize(
    ("path", "endpoint", "values"),
    [
        ("/api/workflows", "list", ()),
        ("/api/workflows/", "list", ()),
        ("/api/workflo%77s", "list", ()),
        ("/api/workflows/order-42", "describe", ("order-42",)),
        ("/api/workflows/order-42/", "describe", ("order-42",)),
        ("/api/workflows/a%2Fb%20c", "describe", ("a/b c",)),
        ("/api/workflows/%C3%A9", "describe", ("é",)),
        ("/api/workflows/%FF", "describe", ("\N{REPLACEMENT CHARACTER}",)),
        ("/api/workflows/a/runs/b", "run", ("a", "b")),
        ("/api/workflows/a%2Fruns/runs/b", "run", ("a/runs", "b")),
        # A literal wins, but not where it leads nowhere.
        ("/api/workflows/a/runs/latest", "latest", ("a",)),
        ("/api/workflows/import", "describe", ("import",)),
        ("/api/workflows/import/runs", "runs", ("import",)),
    ],
)
def test_path_is_found(
    router: Router[str], path: str, endpoint: str, values: tuple[str, ...]
) -> None:
    match = router.find(path)
    assert match is not None
    resource, found = match
    assert (resource.endpoints["GET"], found) == (endpoint, values)


def test_literal_path_wins_over_parameters(router: Router[str]) -> None:
    match = router.find("/api/workflows/import/embedded-v2")
    assert match is not None
    assert match[0].methods == ("POST",)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "api/workflows",
        "/api",
        "/api/nope",
        "/api//workflows",
        "/api/workflows//",
        "/api/workflows//runs",
        "/api/workflows/a/runs/b/c",
        "/api%2Fworkflows",
        "/api/workflows%2Fa",
        "/api/workflows/a%00b",
        "/API/workflows",
    ],
)
def test_path_is_not_found(router: Router[str], path: str) -> None:
    assert router.find(path) is None


def test_get_answers_head_as_well(router: Router[str]) -> None:
    match = router.find("/api/workflows")
    assert match is not None
    assert match[0].methods == ("GET", "HEAD", "POST")


def test_same_method_on_a_path_twice_is_refused() -> None:
    twice = (("GET", "/api/a/{x}", "one"), ("GET", "/api/a/{y}", "two"))
    with pytest.raises(ValueError, match="twice"):
        Router(twice)
