"""Declarations of signals and updates, and arguments held against them."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.protocol.command_contracts import (
    Declared,
    MessageKind,
    Parameters,
    check_arguments,
    read_contract,
)

SIGNAL = MessageKind.SIGNAL


def a_parameter(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "position": 0,
        "required": True,
        "variadic": False,
        "default_available": False,
        "default": None,
        "type": "string",
        "allows_null": False,
        **fields,
    }


def parameters(*declared: dict[str, Any]) -> Parameters:
    block = {
        "signals": ["go"],
        "signal_contracts": [{"name": "go", "parameters": list(declared)}],
    }
    return read_contract(block)[SIGNAL].parameters["go"]


NAME = a_parameter("name")
COUNT = a_parameter("count", type="?int", required=False, default=3, allows_null=True)
REST = a_parameter("rest", type="int|float", required=False, variadic=True)
ANY = a_parameter("any", type="App\\Money", allows_null=True)


def checked(arguments: Any, *declared: dict[str, Any]) -> tuple[list[Any], set[str]]:
    found = check_arguments(
        SIGNAL, "go", arguments=arguments, parameters=parameters(*declared)
    )
    assert all(texts and all(texts) for texts in found.errors.values())
    return found.positional, set(found.errors)


# declarations ------------------------------------------------------------------------


@pytest.mark.parametrize("block", [None, "text", [], {}, {"signals": "go"}])
def test_what_cannot_be_read_declares_nothing(block: Any) -> None:
    assert read_contract(block) == {}


def test_an_empty_list_declares_that_there_is_none() -> None:
    contract = read_contract({"signals": []})
    assert contract == {SIGNAL: Declared(frozenset(), {})}


def test_names_and_parameters_are_read_with_a_prefix_too() -> None:
    block = {
        "signals": ["go", 7],
        "updates": ["set"],
        "signal_contracts": [
            {"name": "go", "parameters": [NAME]},
            {"name": "broken", "parameters": ["x"]},
            {"name": 7, "parameters": []},
            "text",
        ],
    }
    contract = read_contract({f"declared_{key}": v for key, v in block.items()})
    assert contract == {}
    block = {
        key.replace("signal_", "declared_signal_").replace(
            "signals", "declared_signals"
        ): v
        for key, v in block.items()
    }
    contract = read_contract(block, prefix="declared_")
    assert contract[SIGNAL].names == {"go"}
    assert set(contract[SIGNAL].parameters) == {"go"}
    assert MessageKind.UPDATE not in contract


def test_declarations_add_up_and_the_first_knows_the_parameters() -> None:
    one = Declared(frozenset({"a"}), {"a": parameters(NAME)})
    other = Declared(frozenset({"b"}), {"a": (), "b": ()})
    merged = one.merged(other)
    assert merged.names == {"a", "b"}
    assert merged.parameters == {"a": parameters(NAME), "b": ()}


# arguments ---------------------------------------------------------------------------


def test_positional_arguments_need_no_contract_but_named_ones_do() -> None:
    free = check_arguments(SIGNAL, "go", arguments=[1, "a"], parameters=None)
    assert (free.positional, free.errors) == ([1, "a"], {})
    named = check_arguments(SIGNAL, "go", arguments={"a": 1}, parameters=None)
    assert set(named.errors) == {"arguments"}


@pytest.mark.parametrize(
    ("arguments", "errors"),
    [
        (["Ada"], set()),
        (["Ada", 5], set()),
        (["Ada", None], set()),
        ([], {"name"}),
        ([None], {"name"}),
        ([5], {"name"}),
        (["Ada", "5"], {"count"}),
        (["Ada", True], {"count"}),
        (["Ada", 5, 6], {"arguments"}),
        ([5, "x", 6], {"name", "count", "arguments"}),
    ],
)
def test_positional_arguments(arguments: list[Any], errors: set[str]) -> None:
    assert checked(arguments, NAME, COUNT) == (arguments, errors)


@pytest.mark.parametrize(
    ("arguments", "positional", "errors"),
    [
        ({"name": "Ada"}, ["Ada", 3], set()),
        ({"count": 1, "name": "Ada"}, ["Ada", 1], set()),
        ({"count": 1}, None, {"name"}),
        ({"name": "Ada", "other": 1}, None, {"other"}),
        ({"name": 5}, None, {"name"}),
    ],
)
def test_named_arguments_are_put_in_order(
    arguments: dict[str, Any], positional: list[Any] | None, errors: set[str]
) -> None:
    found = checked(arguments, NAME, COUNT)
    assert found[1] == errors
    if positional is not None:
        assert found[0] == positional


def test_the_last_parameter_may_take_the_rest() -> None:
    assert checked(["a", 1, 2.5], NAME, REST) == (["a", 1, 2.5], set())
    assert checked(["a", 1, "x"], NAME, REST)[1] == {"rest"}
    assert checked({"name": "a", "rest": [1, 2]}, NAME, REST) == (["a", 1, 2], set())
    assert checked({"name": "a"}, NAME, REST) == (["a"], set())


def test_a_type_that_json_does_not_know_is_not_checked() -> None:
    assert checked([{"amount": 5}], ANY) == ([{"amount": 5}], set())
    assert checked([None], ANY) == ([None], set())


@pytest.mark.parametrize(
    ("type_name", "good", "bad"),
    [
        ("bool", True, "yes"),
        ("float", 5, "5"),
        ("array", {"a": 1}, "a"),
        ("list", [1], {"a": 1}),
        ("string|int", 5, 5.5),
    ],
)
def test_types(type_name: str, good: Any, bad: Any) -> None:
    declared = a_parameter("value", type=type_name)
    assert checked([good], declared)[1] == set()
    assert checked([bad], declared)[1] == {"value"}
