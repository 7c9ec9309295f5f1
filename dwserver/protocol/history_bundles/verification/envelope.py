"""What a bundle is, which parts it has and which run it is of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from dwserver.protocol.history_bundles.verification.findings import (
    Finding,
    found,
    integer_or_none,
    shown,
    text_or_none,
)
from dwserver.protocol.history_bundles.verification.rules import Rule
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.schemas import HISTORY_EXPORT

SECTIONS: Final[Mapping[str, type[dict[str, object]] | type[list[object]]]] = {
    "workflow": dict,
    "payloads": dict,
    "history_events": list,
    "commands": list,
    "signals": list,
    "updates": list,
    "tasks": list,
    "activities": list,
    "timers": list,
    "failures": list,
    "links": dict,
    "redaction": dict,
    "codec_schemas": dict,
    "payload_manifest": dict,
}
_NAMES: Final = (
    ("run_id", Rule.RUN_ID_MISSING),
    ("instance_id", Rule.INSTANCE_ID_MISSING),
    ("workflow_type", Rule.WORKFLOW_TYPE_MISSING),
)


def check_envelope(bundle: JsonObject) -> Iterator[Finding]:
    schema = bundle.get("schema")
    if "schema" not in bundle:
        yield found(Rule.SCHEMA_MISSING, "The bundle names no schema.", "schema")
    elif schema != HISTORY_EXPORT.name:
        yield found(
            Rule.SCHEMA_UNEXPECTED,
            f"The schema is not {HISTORY_EXPORT.name}.",
            "schema",
            observed=schema,
        )
    if "schema_version" not in bundle:
        yield found(
            Rule.SCHEMA_VERSION_MISSING,
            "The bundle names no version of its schema.",
            "schema_version",
        )
    elif integer_or_none(bundle["schema_version"]) != HISTORY_EXPORT.version:
        yield found(
            Rule.SCHEMA_VERSION_UNSUPPORTED,
            f"Only version {HISTORY_EXPORT.version} of the schema is known.",
            "schema_version",
            observed=bundle["schema_version"],
        )
    if text_or_none(bundle.get("exported_at")) is None:
        yield found(
            Rule.EXPORTED_AT_MISSING,
            "The bundle does not tell when it was exported.",
            "exported_at",
        )
    for section, kind in SECTIONS.items():
        if section not in bundle:
            yield found(
                Rule.SECTION_MISSING,
                f"There is no section {section}.",
                section,
                section=section,
            )
        elif not isinstance(bundle[section], kind):
            what = "an object" if kind is dict else "a list"
            yield found(
                Rule.SECTION_INVALID,
                f"The section {section} is not {what}.",
                section,
                section=section,
            )


def check_workflow(bundle: JsonObject) -> Iterator[Finding]:
    workflow = bundle.get("workflow")
    if not isinstance(workflow, dict):
        return
    for name, rule in _NAMES:
        if text_or_none(workflow.get(name)) is None:
            yield found(
                rule,
                f"The workflow has no {name}, or an empty one.",
                f"workflow.{name}",
            )
    declared = integer_or_none(workflow.get("last_history_sequence"))
    highest = _highest_sequence(bundle)
    if declared is not None and declared < highest:
        yield found(
            Rule.LAST_SEQUENCE_STALE,
            f"There are events up to {shown(highest)}, and the workflow declares "
            f"{shown(declared)} as the last one.",
            "workflow.last_history_sequence",
            declared=declared,
            observed=highest,
        )


def _highest_sequence(bundle: JsonObject) -> int:
    events = bundle.get("history_events")
    if not isinstance(events, list):
        return 0
    sequences = (
        integer_or_none(event.get("sequence"))
        for event in events
        if isinstance(event, dict)
    )
    return max((each for each in sequences if each is not None), default=0)
