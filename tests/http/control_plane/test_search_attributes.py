"""Search attributes: fields, names of the system, definitions that exist; values at a
start."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.engine.lifecycle.start import Started
from dwserver.engine.search_attributes import SYSTEM_ATTRIBUTES, AttributeType
from dwserver.http.control_plane.search_attributes import destroy, index, store
from dwserver.http.control_plane.workflow_start import start_workflow
from dwserver.services.search_attributes import Defined, DefineOutcome
from tests.http.handler_stage import NAMESPACE, Answer, Stage
from tests.http.runs import a_run

VALID = {"name": "Region", "type": "keyword"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", None),
        ("name", " "),
        ("name", 5),
        ("name", "1a"),
        ("name", "a-b"),
        ("name", "ä"),
        ("name", "a" * 129),
        ("type", None),
        ("type", 5),
        ("type", "string"),
        ("type", "Keyword"),
    ],
)
async def test_a_definition_with_a_wrong_field_is_refused(
    field: str, value: Any
) -> None:
    stage = Stage()
    answer = await stage.ask(store, body={**VALID, field: value})
    assert (answer.status, list(answer.body["errors"])) == (422, [field])
    assert stage.called == []


@pytest.mark.parametrize("value_type", AttributeType)
async def test_a_definition_of_every_type(value_type: AttributeType) -> None:
    created = Defined(DefineOutcome.CREATED, value_type)
    stage = Stage({"search_attributes.define": created})
    answer = await stage.ask(store, body={"name": "Region", "type": str(value_type)})
    assert stage.calls[0].arguments == (NAMESPACE, "Region")
    assert answer.status == 201
    assert answer.body == {"name": "Region", "type": value_type, "outcome": "created"}


@pytest.mark.parametrize("name", SYSTEM_ATTRIBUTES)
async def test_names_of_the_system_are_reserved_and_stay(name: str) -> None:
    stage = Stage()
    defined = await stage.ask(store, body={"name": name, "type": "keyword"})
    assert (defined.status, defined.body["reason"]) == (409, "name_reserved")
    removed = await stage.ask(destroy, params={"name": name})
    assert (removed.status, removed.body["reason"]) == (409, "system_attribute")
    assert stage.called == []


async def test_a_conflict_tells_the_type_that_there_is() -> None:
    exists = Defined(DefineOutcome.EXISTS, "int")
    answer = await Stage({"search_attributes.define": exists}).ask(store, body=VALID)
    assert (answer.status, answer.body["reason"]) == (409, "attribute_already_exists")
    assert (answer.body["name"], answer.body["type"]) == ("Region", "int")


async def test_the_limit_is_told() -> None:
    full = Defined(DefineOutcome.LIMIT_REACHED, "keyword")
    answer = await Stage({"search_attributes.define": full}).ask(store, body=VALID)
    assert answer.status == 422
    assert answer.body["reason"] == "search_attribute_limit_reached"
    assert answer.body["limit"] == 100
    assert "errors" not in answer.body


async def test_an_unknown_attribute_is_not_found() -> None:
    stage = Stage({"search_attributes.remove": False})
    answer = await stage.ask(destroy, params={"name": "Region"})
    assert (answer.status, answer.body["reason"]) == (404, "attribute_not_found")


async def test_without_definitions_the_list_is_an_empty_object() -> None:
    answer = await Stage({"search_attributes.types": {}}).ask(index)
    assert answer.body["custom_attributes"] == {}
    assert len(answer.body["system_attributes"]) == 8


# values at a start -------------------------------------------------------------------

DEFINED = {f"A_{word}": word for word in AttributeType}


async def started(attributes: dict[str, Any]) -> tuple[Stage, Answer]:
    async def types(namespace: str) -> dict[str, str]:
        assert namespace == NAMESPACE
        return DEFINED

    stage = Stage(
        {"workflows.start": Started(a_run(), "started_new")},
        facts={"search_attributes.known_types": types},
    )
    body = {"workflow_type": "t", "search_attributes": attributes}
    return stage, await stage.ask(start_workflow, body=body)


FITTING = [
    ("A_keyword", "k" * 255),
    ("A_text", "t" * 2048),
    ("A_int", -7),
    ("A_double", 1.5),
    ("A_double", 3),
    ("A_bool", False),
    ("A_datetime", "2026-01-01T00:00:00Z"),
    ("A_datetime", "2026-01-01T00:00:00.123456+02:00"),
    ("A_keyword_list", []),
    ("A_keyword_list", ["a", "b"]),
    ("Free", "f" * 2048),
    ("Free", 1),
    ("Free", 1.5),
    ("Free", True),
    ("Free", ["a", "b"]),
    ("a_int", "names are case-sensitive"),
    ("WorkflowType", "mine"),
]


@pytest.mark.parametrize(("name", "value"), FITTING)
async def test_a_value_that_fits_is_started_with(name: str, value: Any) -> None:
    stage, answer = await started({name: value})
    assert answer.status == 201, answer.body
    (start,) = stage.calls[0].arguments
    assert start.input.search_attributes == {name: value}


@pytest.mark.parametrize("name", [*DEFINED, "Free", "StartTime"])
async def test_null_is_of_every_type_and_sets_nothing(name: str) -> None:
    stage, answer = await started({name: None})
    assert answer.status == 201, answer.body
    assert stage.calls[0].arguments[0].input.search_attributes == {}


UNFITTING = [
    ("A_keyword", 1),
    ("A_keyword", ["a"]),
    ("A_keyword", "é" * 128),
    ("A_text", True),
    ("A_text", "t" * 2049),
    ("A_int", "1"),
    ("A_int", 1.0),
    ("A_int", True),
    ("A_double", "1.5"),
    ("A_double", False),
    ("A_bool", 1),
    ("A_bool", "true"),
    ("A_datetime", "soon"),
    ("A_datetime", 1_776_081_600),
    ("A_datetime", "2026-13-01T00:00:00Z"),
    ("A_keyword_list", "a"),
    ("A_keyword_list", ["a", 1]),
    ("A_keyword_list", ["k" * 256]),
    ("StartTime", "soon"),
    ("RunId", 5),
    ("Free", ["a", 1]),
    ("Free", {"a": 1}),
    ("Free", "f" * 2049),
]


@pytest.mark.parametrize(("name", "value"), UNFITTING)
async def test_a_value_that_does_not_fit_is_refused(name: str, value: Any) -> None:
    stage, answer = await started({name: value})
    assert (answer.status, list(answer.body["errors"])) == (422, ["search_attributes"])
    (text,) = answer.body["errors"]["search_attributes"]
    assert f"[{name}]" in text
    assert stage.called == []


async def test_every_problem_is_told() -> None:
    _, answer = await started({"A_int": "7", "A_bool": 1, "Free": {}, "a b": 1})
    assert len(answer.body["errors"]["search_attributes"]) == 4


@pytest.mark.parametrize("count", [100, 101])
async def test_a_run_holds_a_hundred(count: int) -> None:
    _, answer = await started({f"k{n}": n for n in range(count)})
    assert answer.status == (201 if count == 100 else 422)


async def test_all_values_together_are_bounded() -> None:
    stage, answer = await started({f"k{n}": "v" * 2000 for n in range(21)})
    assert (answer.status, list(answer.body["errors"])) == (422, ["search_attributes"])
    assert stage.called == []
