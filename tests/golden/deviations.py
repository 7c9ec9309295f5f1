"""Where answers differ from the recorded server on purpose, and why.

Places are regular expressions over places without indexes; ``event`` stands for a
history event wherever it is shown. ``golden`` means the list of the snapshot's defects
that came with the recordings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.golden.shapes import Difference

_EVENT = re.compile(r"^((task\.)?history_events(_compressed)?|events)\[\d+\]")
_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Deviation:
    """Differences at ``place`` that are described by ``what``."""

    place: str
    why: str
    what: str = r".*"

    def covers(self, difference: Difference) -> bool:
        return bool(
            re.fullmatch(self.place, normal(difference.place))
            and re.fullmatch(self.what, difference.what)
        )


def normal(place: str) -> str:
    """``events[3].payload.list[0].x`` → ``event.payload.list[].x``."""
    return _INDEX.sub("[]", _EVENT.sub("event", place))


SNAPSHOTS = (
    Deviation(
        r"event\.payload\.(command|task|activity|activity_attempt)\.\w+",
        "engine §3 rule 5: snapshots are reduced to what identifies",
        "missing",
    ),
    Deviation(
        r"event\.payload\.task",
        "a timer is no task here; the event has the id that the wire shows for it",
        "missing",
    ),
    Deviation(
        r"event\.payload\.(task|activity)\.status",
        "the snapshot shows the row after the change",
        r"'(leased|running)' there, 'completed' here",
    ),
    Deviation(
        r"event\.payload\.(command|task|activity)\.\w+",
        "engine §7.6: the snapshot's documented keys, null ones dropped",
        "extra",
    ),
    Deviation(
        r"event\.payload\.(\w+\.|parent_)?sequence|task\.workflow_sequence",
        "decision 20a: steps are numbered densely from 1",
        r"\d+ there, \d+ here",
    ),
)
LATER_MEMBERS = (
    Deviation(
        r"poll_status|task\.(namespace|idempotency_key|cancel_requested)",
        "worker-protocol §5, §6.1, §9.1: members that later servers add",
        "extra",
    ),
    Deviation(
        r"(control_plane\.)?"
        r"(command_source|command_status|message|reason|rejection_reason)",
        "control-plane §5.1 [mid]: how a start was decided",
        "extra",
    ),
    Deviation(
        r"error",
        "worker-protocol §6.4: every refusal has a sentence",
        "extra",
    ),
    Deviation(
        r"(runs\[\]\.|workflows\[\]\.)?compatibility(_\w+)?",
        "control-plane §5 [mid]: compatibility in the fleet",
        "extra",
    ),
    Deviation(
        r"event\.payload\.timestamp",
        "engine §13: the workflow's clock, on the worker plane",
        "extra",
    ),
    Deviation(
        r"event\.payload\.(payload_codec|output|result)",
        "decision 20c, client-compatibility R14: codec beside a blob, both names",
        "extra",
    ),
)
ACTIONS = (
    Deviation(
        r"actions\.can_(query|update)",
        "control-plane §5.3 (D3): what an external worker can answer",
        "False there, True here",
    ),
    Deviation(
        r"runs\[\]\.is_current_run",
        "control-plane §5.3: as on describe",
        "extra",
    ),
)
EMPTY_MAPS = (
    Deviation(
        r"(event\.payload\.|\w+\[\]\.)?"
        r"(memo|search_attributes|custom_attributes|workflow_definition_fingerprints)",
        "decision 3: an empty map is {}",
        r"\[\] there, \{\} here",
    ),
)
SIZES = (
    Deviation(
        r"execution\.last_event\.payload_summary\.size_bytes",
        "engine §3 rule 5: snapshots are reduced to what identifies",
        r"\d+ there, \d+ here",
    ),
)
FAILURES = (
    Deviation(
        r"event\.payload\.exception(\.\w+)?",
        "no PHP exception is made: class, code, file, line, properties of one",
        r"missing|extra|\[\] there, .*|.* there, \{\} here",
    ),
    Deviation(
        r"event\.payload\.exception_(class|type)",
        "golden: the type that the worker named is kept",
        r"('RuntimeException'|None) there, .*",
    ),
)
EVERYWHERE = (
    *SNAPSHOTS,
    *LATER_MEMBERS,
    *ACTIONS,
    *EMPTY_MAPS,
    *FAILURES,
    *SIZES,
)

# Of some families only ---------------------------------------------------------------
REGISTERED = (
    Deviation(
        r"heartbeat_interval_seconds|namespace|capability_manifest|capabilities"
        r"|task_queue|runtime|build_id|status",
        "worker-protocol §4.1: what later servers tell a worker that registered",
        "extra",
    ),
)
READY = (
    Deviation(
        r"topology|checks\.workflow_v2|checks\.migrations\.\w+",
        "topology §3: what later servers tell about their readiness",
        "extra",
    ),
    Deviation(
        r"checks\.cache\.store",
        "one process needs no Redis",
        "'redis' there, 'memory' here",
    ),
)
FAILED_RUN = (
    Deviation(
        r"error|failure|failures|exception",
        "control-plane §5.3 [mid]: why a run failed",
        "extra",
    ),
)
