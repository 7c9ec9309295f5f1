"""Whether a bundle may be imported (``spec/history-bundles.md`` §5.2).

All rules are looked at, in their order; whoever is refused learns everything at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dwserver.engine.words import RunStatus

EMBEDDED: Final = "embedded"
"""The runtime whose runs may be imported."""


class Level(StrEnum):
    ERROR = "error"
    WARNING = "warning"


class Rule(StrEnum):
    """The names under which a report tells what is wrong."""

    INTEGRITY_FAILED = "bundle.integrity_failed"
    INTEGRITY_WARNING = "bundle.integrity_warning"
    SIGNATURE_REQUIRED = "bundle.signature_required"
    INSTANCE_ID_MISSING = "workflow.instance_id_missing"
    RUN_ID_MISSING = "workflow.run_id_missing"
    STATUS_UNSUPPORTED = "workflow.status_unsupported"
    TERMINAL_HISTORY_INCOMPLETE = "workflow.terminal_history_incomplete"
    NON_TERMINAL_NOT_CURRENT = "workflow.non_terminal_not_current"
    SOURCE_RUNTIME_UNSUPPORTED = "workflow.source_runtime_unsupported"
    REDACTED_PAYLOADS = "bundle.redacted_payloads"
    CODEC_UNSUPPORTED = "payload_codec.unsupported"
    EVENT_TYPE_UNSUPPORTED = "history_events.type_unsupported"
    LEASED_TASK_PRESENT = "tasks.leased_task_present"
    RUNNING_ATTEMPT_PRESENT = "activities.running_attempt_present"
    # What the rules above cannot see: rows that are not what they should be, or that
    # contradict each other.
    ROW_INVALID = "bundle.row_invalid"
    OUTCOME_NOT_IN_HISTORY = "history_events.outcome_missing"
    STEP_REPEATED = "history_events.step_repeated"
    # What stands in the way here.
    RUN_ID_CONFLICT = "target.run_id_conflict"
    OPEN_RUN_PRESENT = "target.open_run_present"
    RUN_NUMBER_CONFLICT = "target.run_number_conflict"
    WRITE_FAILED = "target.write_failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a bundle is refused, or what to know of it."""

    rule: Rule
    message: str
    level: Level = Level.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the rules look at. ``integrity``: the status of the verification.
    ``status``: as the bundle has it, None when it says nothing."""

    integrity: str
    is_signature_verified: bool
    requires_signature: bool
    instance_id: str | None
    run_id: str | None
    status: str | None
    is_history_complete: bool
    is_current: bool
    source_runtime: str | None
    redacted_paths: int
    foreign_codecs: tuple[str, ...]
    unknown_event_types: tuple[str, ...]
    leased_task: str | None
    running_attempt: str | None


def findings(facts: Facts) -> list[Finding]:
    """What speaks against the bundle, in the order of the rules."""
    found = [finding for check in _CHECKS if (finding := check(facts)) is not None]
    if facts.leased_task is not None:
        text = f"Task {facts.leased_task} is leased; export again when nothing is."
        found.append(Finding(Rule.LEASED_TASK_PRESENT, text))
    elif facts.running_attempt is not None:
        text = f"Attempt {facts.running_attempt} is running; export again when it ends."
        found.append(Finding(Rule.RUNNING_ATTEMPT_PRESENT, text))
    return found


def _integrity(facts: Facts) -> Finding | None:
    if facts.integrity == "failed":
        text = "The bundle does not verify; the findings of `integrity` say why."
        return Finding(Rule.INTEGRITY_FAILED, text)
    if facts.integrity == "warning":
        text = "The bundle verifies with warnings; see the findings of `integrity`."
        return Finding(Rule.INTEGRITY_WARNING, text, Level.WARNING)
    return None


def _signature(facts: Facts) -> Finding | None:
    if not facts.requires_signature or facts.is_signature_verified:
        return None
    text = "A signature is required and none could be verified."
    return Finding(Rule.SIGNATURE_REQUIRED, text)


def _instance_id(facts: Facts) -> Finding | None:
    if facts.instance_id:
        return None
    return Finding(Rule.INSTANCE_ID_MISSING, "`workflow.instance_id` is missing.")


def _run_id(facts: Facts) -> Finding | None:
    if facts.run_id:
        return None
    return Finding(Rule.RUN_ID_MISSING, "`workflow.run_id` is missing.")


def _status(facts: Facts) -> Finding | None:
    try:
        status = RunStatus(facts.status or RunStatus.RUNNING)
    except ValueError:
        text = f"A run cannot be imported in the status [{facts.status}]."
        return Finding(Rule.STATUS_UNSUPPORTED, text)
    if status.is_terminal:
        if facts.is_history_complete:
            return None
        text = "The run has ended, but the bundle does not have its whole history."
        return Finding(Rule.TERMINAL_HISTORY_INCOMPLETE, text)
    if facts.is_current:
        return None
    text = "The run is open, but another run is current for its workflow id."
    return Finding(Rule.NON_TERMINAL_NOT_CURRENT, text)


def _source_runtime(facts: Facts) -> Finding | None:
    if facts.source_runtime == EMBEDDED:
        return None
    text = f"Only runs of the runtime [{EMBEDDED}] can be imported."
    return Finding(Rule.SOURCE_RUNTIME_UNSUPPORTED, text)


def _redaction(facts: Facts) -> Finding | None:
    if not facts.redacted_paths:
        return None
    text = f"{facts.redacted_paths} payloads have been redacted; the run needs them."
    return Finding(Rule.REDACTED_PAYLOADS, text)


def _codecs(facts: Facts) -> Finding | None:
    if not facts.foreign_codecs:
        return None
    text = f"No worker reads the payload codecs: {', '.join(facts.foreign_codecs)}."
    return Finding(Rule.CODEC_UNSUPPORTED, text)


def _event_types(facts: Facts) -> Finding | None:
    if not facts.unknown_event_types:
        return None
    text = (
        "History cannot be replayed without the events of unknown types: "
        f"{', '.join(facts.unknown_event_types)}."
    )
    return Finding(Rule.EVENT_TYPE_UNSUPPORTED, text)


_CHECKS: Final[tuple[Callable[[Facts], Finding | None], ...]] = (
    _integrity,
    _signature,
    _instance_id,
    _run_id,
    _status,
    _source_runtime,
    _redaction,
    _codecs,
    _event_types,
)
