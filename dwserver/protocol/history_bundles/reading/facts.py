"""What eligibility asks of a document, be it a bundle or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dwserver.engine.imports.eligibility import Facts
from dwserver.engine.words import AttemptStatus, EventType, TaskStatus
from dwserver.protocol.history_bundles.verification.report import VerificationReport
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.payloads.records import KNOWN_CODECS

MAX_NAMED: Final = 10
"""Foreign codecs and unknown types that a report names."""
MAX_NAME: Final = 100

_ROWS_WITH_PAYLOADS: Final = ("commands", "signals", "updates", "activities")
_EVENT_TYPES: Final = frozenset(EventType)
_CODECS: Final = frozenset(KNOWN_CODECS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleSummary:
    """What a report says of the run, whatever the document is."""

    instance_id: str | None
    run_id: str | None
    run_number: int
    workflow_type: str | None
    status: str | None
    is_current: bool
    is_history_complete: bool
    dedupe_key: str | None


def summary_of(bundle: JsonObject) -> BundleSummary:
    workflow = _object(bundle.get("workflow"))
    number: JsonValue = workflow.get("run_number")
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        number = 1
    return BundleSummary(
        instance_id=_text(workflow.get("instance_id")),
        run_id=_text(workflow.get("run_id")),
        run_number=number,
        workflow_type=_text(workflow.get("workflow_type"))
        or _text(workflow.get("workflow_class")),
        status=_text(workflow.get("status")),
        is_current=workflow.get("is_current_run") is True,
        is_history_complete=bundle.get("history_complete") is True,
        dedupe_key=_text(bundle.get("dedupe_key")),
    )


def facts_of(
    bundle: JsonObject, verified: VerificationReport, *, requires_signature: bool
) -> Facts:
    summary = summary_of(bundle)
    workflow = _object(bundle.get("workflow"))
    paths = _object(bundle.get("redaction")).get("paths")
    return Facts(
        integrity=verified.status,
        is_signature_verified=verified.signature_verified is True,
        requires_signature=requires_signature,
        instance_id=summary.instance_id,
        run_id=summary.run_id,
        status=summary.status,
        is_history_complete=summary.is_history_complete,
        is_current=summary.is_current,
        source_runtime=_text(workflow.get("source_runtime")),
        redacted_paths=len(paths) if isinstance(paths, list) else 0,
        foreign_codecs=_named(_codecs(bundle), _CODECS),
        unknown_event_types=_named(
            (event.get("type") for event in _rows(bundle, "history_events")),
            _EVENT_TYPES,
        ),
        leased_task=_first(_rows(bundle, "tasks"), TaskStatus.LEASED),
        running_attempt=_first(
            (
                attempt
                for activity in _rows(bundle, "activities")
                for attempt in _rows(activity, "attempts")
            ),
            AttemptStatus.RUNNING,
        ),
    )


def count_of(bundle: JsonObject, section: str) -> int:
    found = bundle.get(section)
    return len(found) if isinstance(found, list) else 0


def _codecs(bundle: JsonObject) -> Iterator[JsonValue]:
    yield _object(bundle.get("payloads")).get("codec")
    for section in _ROWS_WITH_PAYLOADS:
        for row in _rows(bundle, section):
            yield row.get("payload_codec")
    for event in _rows(bundle, "history_events"):
        payload = _object(event.get("payload"))
        yield payload.get("payload_codec")
        yield _object(payload.get("activity")).get("payload_codec")
        for value in payload.values():
            if isinstance(value, dict) and "codec" in value and "blob" in value:
                yield value["codec"]


def _named(words: Iterator[JsonValue], known: frozenset[str]) -> tuple[str, ...]:
    """Those that are not known, each once, in the order of their appearance."""
    found: dict[str, None] = {}
    for word in words:
        if isinstance(word, str) and word not in known:
            found[word[:MAX_NAME]] = None
            if len(found) == MAX_NAMED:
                break
    return tuple(found)


def _first(rows: Iterator[JsonObject], status: str) -> str | None:
    """The id of the first row in that status."""
    row = next((row for row in rows if row.get("status") == status), None)
    return None if row is None else (_text(row.get("id")) or "")[:MAX_NAME]


def _rows(holder: JsonObject, name: str) -> Iterator[JsonObject]:
    found = holder.get(name)
    if isinstance(found, list):
        yield from (row for row in found if isinstance(row, dict))


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None
