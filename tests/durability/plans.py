"""The workflows of the durability tests: what they do is a function of their history.

A plan is a list of batches; each batch is opened by one completion of a workflow task,
the last completion ends the run. Activity types are unique within a plan, so that a
command that was applied twice shows in the history. The output of a run is a digest of
the activity results in it, so that a lost or wrong result shows in the output.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from tests.support.history_rules import OPENINGS, RESOLUTIONS, HistoryEvent
from tests.support.wrapper_payloads import wrapper_blob, wrapper_envelope

# An activity whose type begins so fails in its first attempt.
FLAKY = "flaky"
# Attempts that a lost lease uses up count as well.
MAX_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class Batch:
    activities: tuple[str, ...] = ()
    timer_seconds: int | None = None

    @property
    def size(self) -> int:
        return len(self.activities) + (self.timer_seconds is not None)


PLANS: Mapping[str, Sequence[Batch]] = {
    "durability.direct": (),
    "durability.chain": (Batch(("first",)), Batch((f"{FLAKY}-second",))),
    "durability.fan": (
        Batch(("left", "middle", f"{FLAKY}-right")),
        Batch(("last",)),
    ),
    "durability.pause": (Batch(("before",), timer_seconds=1), Batch(("after",))),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """One completion. ``output``: blob with which it ends the run, else None."""

    batch: Batch
    output: str | None
    commands: Sequence[Mapping[str, Any]]


def decide(plan: Sequence[Batch], events: Sequence[HistoryEvent]) -> Decision:
    """What a worker answers to a task with this history.

    AssertionError when a step of the newest batch is still open: such a task must not
    be delivered (decision 20b).
    """
    opened = sum(event.event_type in OPENINGS for event in events)
    resolved = sum(event.event_type in RESOLUTIONS for event in events)
    assert opened == resolved, f"delivered with {resolved} of {opened} steps resolved"
    for batch in plan:
        if opened <= 0:
            return Decision(batch, None, _commands(batch))
        opened -= batch.size
    assert opened == 0, f"{opened} steps more than planned"
    output = output_of(events)
    envelope = {"codec": "avro", "blob": output}
    command = {"type": "complete_workflow", "result": envelope}
    return Decision(Batch(), output, [command])


def _commands(batch: Batch) -> list[Mapping[str, Any]]:
    commands: list[Mapping[str, Any]] = [
        {
            "type": "schedule_activity",
            "activity_type": activity_type,
            "arguments": wrapper_envelope([activity_type]),
            "retry_policy": {"max_attempts": MAX_ATTEMPTS, "backoff_seconds": [0]},
        }
        for activity_type in batch.activities
    ]
    if batch.timer_seconds is not None:
        commands.append({"type": "start_timer", "delay_seconds": batch.timer_seconds})
    return commands


def result_of(attempt_id: str) -> str:
    """Blob that an activity attempt returns."""
    return wrapper_blob({"attempt": attempt_id})


def output_of(events: Iterable[HistoryEvent]) -> str:
    """Blob with which a run ends: it depends on every activity result, by step."""
    results = {
        event.payload["sequence"]: event.payload["result"]
        for event in events
        if event.event_type == "ActivityCompleted"
    }
    digest = sha256(repr(sorted(results.items())).encode()).hexdigest()
    return wrapper_blob({"digest": digest})
