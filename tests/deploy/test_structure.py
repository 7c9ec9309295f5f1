"""The schema of these tests finds what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.structure import Either, MapOf, problems

SCHEMA = {
    "name!": str,
    "count": int,
    "tags": [str],
    "labels": MapOf(str),
    "way": Either((str, {"to!": str})),
}


def test_a_fitting_document_has_no_problems() -> None:
    fitting = {"name": "a", "count": 1, "tags": ["b"], "labels": {"c": "d"}}
    assert list(problems(SCHEMA, fitting)) == []
    assert list(problems(SCHEMA, {"name": "a", "way": {"to": "b"}})) == []


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({}, "name is missing"),
        ({"name": 1}, "1 is no"),
        ({"name": "a", "count": True}, "True is no"),
        ({"name": "a", "nmae": "a"}, "nmae is unknown"),
        ({"name": "a", "tags": "b"}, "a list is needed"),
        ({"name": "a", "labels": {"c": 1}}, ".labels.c: 1 is no"),
        ({"name": "a", "way": {"from": "b"}}, "fits nothing"),
    ],
)
def test_each_problem_is_found(document: dict[str, Any], problem: str) -> None:
    (found,) = problems(SCHEMA, document)
    assert problem in found
