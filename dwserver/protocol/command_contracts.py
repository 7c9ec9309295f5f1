"""What a workflow type declares about its signals and updates, and arguments held
against it.

Source: ``spec/control-plane-api.md`` §5.7, ``spec/client-compatibility.md`` §15 item 8,
decision 5. Declarations come from workers and from histories written elsewhere, so
what cannot be read declares nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.validation import Errors

NAMED_NEED_A_CONTRACT: Final = (
    "Named arguments need a contract of the workflow type that says their order."
)


class MessageKind(StrEnum):
    """Operator commands that a workflow type declares by name."""

    SIGNAL = "signal"
    UPDATE = "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a handler; ``type_name`` in the words of its language."""

    name: str
    is_required: bool
    is_variadic: bool
    allows_null: bool
    default: JsonValue
    type_name: str | None


Parameters: TypeAlias = tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Declared:
    """The names that exist, and the parameters of those that declare them."""

    names: frozenset[str]
    parameters: Mapping[str, Parameters]

    def merged(self, other: Declared) -> Declared:
        """Names of both; where both know the parameters, this one is right."""
        return Declared(
            self.names | other.names, {**other.parameters, **self.parameters}
        )


Contract: TypeAlias = Mapping[MessageKind, Declared]

NOTHING_DECLARED: Final[Contract] = {}


def read_contract(block: JsonValue, *, prefix: str = "") -> Contract:
    """The contract in the entry of a type in ``workflow_command_contracts``, or with
    prefix ``declared_`` in the payload of ``WorkflowStarted``."""
    if not isinstance(block, dict):
        return NOTHING_DECLARED
    return {
        kind: Declared(
            frozenset(name for name in names if isinstance(name, str)),
            _parameters_by_name(block.get(f"{prefix}{kind}_contracts")),
        )
        for kind in MessageKind
        if isinstance(names := block.get(f"{prefix}{kind}s"), list)
    }


def _parameters_by_name(raw: JsonValue) -> dict[str, Parameters]:
    found: dict[str, Parameters] = {}
    for entry in raw if isinstance(raw, list) else ():
        if not isinstance(entry, dict):
            continue
        name, parameters = entry.get("name"), entry.get("parameters")
        if not isinstance(name, str) or not isinstance(parameters, list):
            continue
        read = [_parameter(each) for each in parameters]
        if None not in read:
            found[name] = tuple(each for each in read if each is not None)
    return found


def _parameter(raw: JsonValue) -> Parameter | None:
    if not isinstance(raw, dict) or not isinstance(raw.get("name"), str):
        return None
    type_name = raw.get("type")
    return Parameter(
        name=raw["name"],
        is_required=raw.get("required") is True,
        is_variadic=raw.get("variadic") is True,
        allows_null=raw.get("allows_null") is not False,
        default=raw.get("default"),
        type_name=type_name if isinstance(type_name, str) else None,
    )


# arguments ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CheckedArguments:
    """Arguments in the order of the parameters, or what is wrong with them."""

    positional: list[JsonValue]
    errors: Errors


def check_arguments(
    kind: MessageKind,
    name: str,
    *,
    arguments: list[JsonValue] | JsonObject,
    parameters: Parameters | None,
) -> CheckedArguments:
    """Hold positional (a list) or named (an object) arguments against the declared
    parameters; ``None``: they are not known, so positional ones are as they should
    be."""
    if parameters is None:
        if isinstance(arguments, dict):
            return CheckedArguments([], {"arguments": [NAMED_NEED_A_CONTRACT]})
        return CheckedArguments(arguments, {})
    if isinstance(arguments, dict):
        return _check_named(arguments, parameters)
    return _check_positional(f"{kind} [{name}]", arguments, parameters)


def _check_named(arguments: JsonObject, parameters: Parameters) -> CheckedArguments:
    errors: Errors = {}
    known = {parameter.name for parameter in parameters}
    for name in arguments:
        if name not in known:
            errors[name] = [f"Unknown argument [{name}]."]
    positional: list[JsonValue] = []
    for parameter in parameters:
        if parameter.name in arguments:
            value = arguments[parameter.name]
            if parameter.is_variadic and isinstance(value, list):
                positional += value
                for member in value:
                    _check_value(parameter, member, errors)
                continue
            _check_value(parameter, value, errors)
            positional.append(value)
        elif parameter.is_required:
            errors[parameter.name] = [_missing(parameter)]
        elif not parameter.is_variadic:
            positional.append(parameter.default)
    return CheckedArguments(positional, errors)


def _check_positional(
    command: str, arguments: list[JsonValue], parameters: Parameters
) -> CheckedArguments:
    errors: Errors = {}
    is_open = bool(parameters) and parameters[-1].is_variadic
    if len(arguments) > len(parameters) and not is_open:
        errors["arguments"] = [f"Too many arguments were provided for {command}."]
    for index, parameter in enumerate(parameters):
        given: Sequence[JsonValue] = arguments[index : index + 1]
        if parameter.is_variadic:
            given = arguments[index:]
        elif not given and parameter.is_required:
            errors[parameter.name] = [_missing(parameter)]
        for value in given:
            _check_value(parameter, value, errors)
    return CheckedArguments(arguments, errors)


def _missing(parameter: Parameter) -> str:
    return f"The {parameter.name} argument is required."


def _check_value(parameter: Parameter, value: JsonValue, errors: Errors) -> None:
    if value is None:
        if not parameter.allows_null:
            errors[parameter.name] = [f"The {parameter.name} argument cannot be null."]
    elif parameter.type_name and not _is_of_type(parameter.type_name, value):
        errors[parameter.name] = [
            f"The {parameter.name} argument must be of type {parameter.type_name}."
        ]


def _is_integer(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_CHECKS: Final[Mapping[str, Callable[[JsonValue], bool]]] = {
    **dict.fromkeys(("string", "str"), lambda value: isinstance(value, str)),
    **dict.fromkeys(("bool", "boolean"), lambda value: isinstance(value, bool)),
    **dict.fromkeys(("int", "integer"), _is_integer),
    **dict.fromkeys(("float", "double", "number"), _is_number),
    **dict.fromkeys(("array", "dict"), lambda value: isinstance(value, list | dict)),
    "list": lambda value: isinstance(value, list),
}


def _is_of_type(type_name: str, value: JsonValue) -> bool:
    """A type that JSON does not know is not checked."""
    for word in type_name.removeprefix("?").split("|"):
        check = _CHECKS.get(word.strip().lower())
        if check is None or check(value):
            return True
    return False
