"""Field checks: conversions, texts and paths."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dwserver.protocol.validation import (
    ANY,
    ARRAY,
    BOOLEAN,
    INTEGER,
    LIST,
    NUMBER,
    OBJECT,
    STRING,
    TEXT,
    Field,
    FieldError,
    Item,
    as_boolean,
    as_integer,
    attribute_name,
    check,
    collect,
    required_with,
    validation_message,
)


def value_of(rule: Field, raw: Any) -> Any:
    values, errors = check({rule.name: raw}, [rule])
    assert errors == {}
    return values[rule.name]


def error_of(rule: Field, raw: Any) -> str:
    _, errors = check({rule.name: raw}, [rule])
    assert list(errors) == [rule.name]
    assert len(errors[rule.name]) == 1
    return errors[rule.name][0]


REGISTER = (
    Field("task_queue", STRING, required=True, max_length=255),
    Field("runtime", STRING, required=True),
    Field("build_id", STRING, max_length=255),
)


def test_missing_fields_of_a_registration() -> None:
    _, errors = check({}, REGISTER)
    assert errors == {
        "task_queue": ["The task queue field is required."],
        "runtime": ["The runtime field is required."],
    }
    expected = "The task queue field is required. (and 1 more error)"
    assert validation_message(errors) == expected


def test_values_are_trimmed_and_complete() -> None:
    values, errors = check({"task_queue": " q ", "runtime": "python"}, REGISTER)
    assert errors == {}
    assert values == {"task_queue": "q", "runtime": "python", "build_id": None}


@pytest.mark.parametrize("body", [None, 5, "x", [], [{"runtime": "x"}], True])
def test_a_body_that_is_no_object_has_no_fields(body: Any) -> None:
    _, errors = check(body, REGISTER)
    assert list(errors) == ["task_queue", "runtime"]


def test_unknown_keys_are_ignored() -> None:
    values, errors = check({"other": 1}, [Field("limit", INTEGER, default=20)])
    assert (values, errors) == ({"limit": 20}, {})


@pytest.mark.parametrize("raw", [None, "", "   "])
def test_null_and_blank_identifiers_are_absent(raw: Any) -> None:
    rule = Field("workflow_id", STRING, default="made")
    assert value_of(rule, raw) == "made"
    strict = Field("workflow_id", STRING, required=True)
    assert error_of(strict, raw) == "The workflow id field is required."


def test_text_is_kept_as_sent() -> None:
    assert value_of(Field("reason", TEXT), "  two\nlines ") == "  two\nlines "
    assert value_of(Field("reason", TEXT), "") == ""
    strict = Field("message", TEXT, required=True)
    assert error_of(strict, "  ") == "The message field is required."


@pytest.mark.parametrize("raw", [[], {}])
def test_empty_containers_do_not_satisfy_required(raw: Any) -> None:
    rule = Field("spec", ARRAY, required=True)
    assert error_of(rule, raw) == "The spec field is required."
    assert value_of(Field("spec", ARRAY), raw) == raw


@pytest.mark.parametrize(
    ("kind", "raw", "noun"),
    [
        (STRING, 5, "a string"),
        (STRING, ["x"], "a string"),
        (TEXT, True, "a string"),
        (INTEGER, "abc", "an integer"),
        (INTEGER, 1.5, "an integer"),
        (INTEGER, True, "an integer"),
        (INTEGER, [], "an integer"),
        (INTEGER, 1 << 63, "an integer"),
        (INTEGER, "9" * 19, "an integer"),
        (INTEGER, "9" * 400, "an integer"),
        (INTEGER, 1e300, "an integer"),
        (INTEGER, "٣", "an integer"),
        (NUMBER, "x", "a number"),
        (NUMBER, "nan", "a number"),
        (NUMBER, "-inf", "a number"),
        (NUMBER, False, "a number"),
        (BOOLEAN, "yes", "true or false"),
        (BOOLEAN, 2, "true or false"),
        (BOOLEAN, 1.0, "true or false"),
        (ARRAY, "x", "an array"),
        (LIST, {"a": 1}, "an array"),
        (OBJECT, [1], "an array"),
        (OBJECT, 0, "an array"),
    ],
)
def test_wrong_types(kind: Any, raw: Any, noun: str) -> None:
    text = error_of(Field("some_field", kind), raw)
    assert text == f"The some field field must be {noun}."


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (INTEGER, 5, 5),
        (INTEGER, "5", 5),
        (INTEGER, " -5 ", -5),
        (INTEGER, 5.0, 5),
        (INTEGER, -(1 << 63), -(1 << 63)),
        (NUMBER, 1, 1),
        (NUMBER, 1.5, 1.5),
        (NUMBER, "1.5", 1.5),
        (NUMBER, "7", 7),
        (BOOLEAN, True, True),
        (BOOLEAN, 0, False),
        (BOOLEAN, "1", True),
        (BOOLEAN, "false", False),
        (BOOLEAN, "TRUE", True),
        (ARRAY, {"a": 1}, {"a": 1}),
        (ARRAY, [1], [1]),
        (LIST, [1], [1]),
        (OBJECT, {"a": 1}, {"a": 1}),
        (OBJECT, [], {}),
        (ANY, {"a": [1]}, {"a": [1]}),
    ],
)
def test_lenient_conversions(kind: Any, raw: Any, value: Any) -> None:
    converted = value_of(Field("f", kind), raw)
    assert (converted, type(converted)) == (value, type(value))


@pytest.mark.parametrize(
    ("rule", "raw", "text"),
    [
        (
            Field("page_size", INTEGER, minimum=1),
            0,
            "The page size field must be at least 1.",
        ),
        (
            Field("page_size", INTEGER, maximum=200),
            "201",
            "The page size field must not be greater than 200.",
        ),
        (
            Field("workflow_type", STRING, max_length=3),
            "abcd",
            "The workflow type field must not be greater than 3 characters.",
        ),
        (
            Field("name", STRING, pattern=re.compile("[a-z]+")),
            "a b",
            "The name field format is invalid.",
        ),
        (
            Field("wait_for", STRING, choices=frozenset({"accepted"})),
            "done",
            "The selected wait for is invalid.",
        ),
        (
            Field("run_ids", LIST, max_items=1),
            [1, 2],
            "The run ids field must not have more than 1 items.",
        ),
    ],
)
def test_bounds(rule: Field, raw: Any, text: str) -> None:
    assert error_of(rule, raw) == text


def test_bounds_are_inclusive_and_lengths_count_characters() -> None:
    bounded = Field("n", INTEGER, minimum=1, maximum=3)
    assert [value_of(bounded, n) for n in (1, 3)] == [1, 3]
    assert value_of(Field("s", STRING, max_length=2), "äö") == "äö"


def test_nested_fields_have_dotted_names() -> None:
    rules = [
        Field("failure", OBJECT, required=True),
        Field("failure.message", TEXT, required=True),
        Field("failure.timeout_type", STRING, choices=frozenset({"heartbeat"})),
    ]
    values, errors = check({"failure": {"message": "m"}}, rules)
    assert errors == {}
    assert values["failure.message"] == "m"
    _, errors = check({"failure": {"message": " ", "timeout_type": "x"}}, rules)
    assert errors == {
        "failure.message": ["The failure.message field is required."],
        "failure.timeout_type": ["The selected failure.timeout type is invalid."],
    }
    _, errors = check({"failure": "text"}, rules)
    assert list(errors) == ["failure", "failure.message"]


def test_members_of_lists_have_their_index_in_the_path() -> None:
    rule = Field("workflow_types", LIST, item=Item(kind=STRING, max_length=3))
    assert value_of(rule, [" a ", "b"]) == ["a", "b"]
    _, errors = check({"workflow_types": ["a", 5, "long"]}, [rule])
    assert errors == {
        "workflow_types.1": ["The workflow_types.1 field must be a string."],
        "workflow_types.2": [
            "The workflow_types.2 field must not be greater than 3 characters."
        ],
    }


def test_a_key_may_have_to_appear_even_as_null() -> None:
    rule = Field("build_id", STRING, must_appear=True)
    assert value_of(rule, None) is None
    assert check({}, [rule])[1] == {"build_id": ["The build id field must be present."]}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("workflow_type", "workflow type"),
        ("failure.timeout_type", "failure.timeout type"),
        ("commands.0.delay_seconds", "commands.0.delay_seconds"),
    ],
)
def test_names_in_sentences(path: str, name: str) -> None:
    assert attribute_name(path) == name


def test_required_with() -> None:
    assert required_with("result_envelope.blob", "result_envelope") == (
        "The result envelope.blob field is required when result envelope is present."
    )


def test_messages_count_the_other_errors() -> None:
    assert validation_message({}) == ""
    assert validation_message({"a": ["one"]}) == "one"
    assert validation_message({"a": ["one", "two"]}) == "one (and 1 more error)"
    errors = {"a": ["one"], "b": ["two", "three"]}
    assert validation_message(errors) == "one (and 2 more errors)"


def test_errors_are_grouped_by_path() -> None:
    found = [FieldError("b", "1"), FieldError("a", "2"), FieldError("b", "3")]
    assert collect(found) == {"b": ["1", "3"], "a": ["2"]}


def test_integers_and_booleans_do_not_mix() -> None:
    assert as_integer(True) is None
    assert as_boolean(1) is True
    assert as_boolean(None) is None
