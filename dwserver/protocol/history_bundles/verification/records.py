"""Events and commands of a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dwserver.protocol.history_bundles.verification.findings import (
    Finding,
    found,
    integer_or_none,
    shown,
    text_or_none,
)
from dwserver.protocol.history_bundles.verification.rules import Rule
from dwserver.protocol.json_types import JsonObject, JsonValue

_SETTLED: Final = frozenset({"applied", "rejected"})


def check_events(bundle: JsonObject) -> Iterator[Finding]:
    previous: int | None = None
    ids: set[str] = set()
    for index, event in enumerate(_list(bundle, "history_events")):
        path = f"history_events.{index}"
        if not isinstance(event, dict):
            yield found(
                Rule.EVENT_INVALID, f"Event {index} is no object.", path, index=index
            )
            continue
        sequence = integer_or_none(event.get("sequence"))
        yield from _check_sequence(sequence, previous, index=index)
        previous = previous if sequence is None else sequence
        if text_or_none(event.get("type")) is None:
            yield found(
                Rule.EVENT_TYPE_MISSING,
                f"Event {index} has no type.",
                f"{path}.type",
                index=index,
            )
        event_id = text_or_none(event.get("id"))
        if event_id in ids:
            yield found(
                Rule.EVENT_ID_DUPLICATE,
                f"Event {index} has the id of an earlier one.",
                f"{path}.id",
                index=index,
                event_id=event_id,
            )
        elif event_id is not None:
            ids.add(event_id)


def _check_sequence(
    sequence: int | None, previous: int | None, *, index: int
) -> Iterator[Finding]:
    path = f"history_events.{index}.sequence"
    if sequence is None:
        yield found(
            Rule.EVENT_SEQUENCE_MISSING,
            f"Event {index} has no integer as its sequence.",
            path,
            index=index,
        )
    elif previous is not None and sequence <= previous:
        yield found(
            Rule.EVENT_SEQUENCE_NOT_MONOTONIC,
            f"Event {index} has sequence {shown(sequence)} after {shown(previous)}.",
            path,
            index=index,
            sequence=sequence,
            previous_sequence=previous,
        )


def check_commands(bundle: JsonObject) -> Iterator[Finding]:
    of_events = {
        event.get("workflow_command_id")
        for event in _list(bundle, "history_events")
        if isinstance(event, dict) and isinstance(event.get("workflow_command_id"), str)
    }
    for index, command in enumerate(_list(bundle, "commands")):
        if not isinstance(command, dict):
            continue
        command_id = text_or_none(command.get("id"))
        if command_id is None:
            yield found(
                Rule.COMMAND_ID_MISSING,
                f"Command {index} has no id.",
                f"commands.{index}.id",
                index=index,
            )
        elif _is_settled(command) and command_id not in of_events:
            yield found(
                Rule.COMMAND_EVENT_MISSING,
                f"Command {index} was settled, and no event names it.",
                f"commands.{index}",
                index=index,
                command_id=command_id,
                command_status=text_or_none(command.get("status")),
                command_outcome=text_or_none(command.get("outcome")),
            )


def _is_settled(command: JsonObject) -> bool:
    words = (command.get("status"), command.get("outcome"))
    times = (command.get("applied_at"), command.get("rejected_at"))
    return any(isinstance(word, str) and word in _SETTLED for word in words) or any(
        text_or_none(time) is not None for time in times
    )


def _list(bundle: JsonObject, section: str) -> list[JsonValue]:
    found_there = bundle.get(section)
    return found_there if isinstance(found_there, list) else []
