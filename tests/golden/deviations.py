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
        r"(workflows\[\]\.)?engine_source|embedded_v2_import_contract|"
        r"capabilities\.embedded_v2_import",
        "history-bundles §5.3, §5.5: which engine began a run, what can be imported",
        "extra",
    ),
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
DERIVED = "history-bundles §2.12: derived from the events, which hold less"
EXPORTS = (
    Deviation(
        r"activities\[\]\.(execution_mode|local_activity|payload_codec)"
        r"|commands\[\]\.(message_sequence|reason)|tasks\[\]\.created_at"
        r"|summary\.history_(budget_pressure|fan_out)"
        r"|workflow\.source_(process_class|runtime)|codec_schemas\.avro\.single_object",
        "history-bundles §2: later members",
        "extra",
    ),
    Deviation(
        r"(activities\[\]\.attempts|activities)\[\]\.last_heartbeat_\w+",
        "engine §7.5: progress stands in the events",
        r".* there, None here",
    ),
    Deviation(
        r"activities\[\]\.retry_policy\.snapshot_version",
        "one version of it is known",
        "missing",
    ),
    Deviation(
        r"(activities|waits)\[\]\.row_status",
        "rows and events agree here",
        r"None there, '\w+' here",
    ),
    Deviation(
        r"(activities|waits|links\.children)\[\]\.sequence"
        r"|tasks\[\]\.payload\.workflow_sequence"
        r"|timeline\[\]\.(activity\.sequence|workflow_sequence)",
        "decision 20a: steps are numbered densely from 1",
        r"\d+ there, \d+ here",
    ),
    Deviation(
        r"commands\[\]\.principal_(id|type)",
        "control-plane §9: who gave the command",
        "None there, .*",
    ),
    Deviation(
        r"commands\[\]\.request_route_name",
        "a name that the framework of the original made up",
        r"'generated::\w+' there, None here",
    ),
    Deviation(
        r"failures\[\]\.(exception_resol\w+|file|line|trace_preview)"
        r"|timeline\[\]\.exception_resol\w+",
        "no PHP exception is made",
        r".* there, None here",
    ),
    Deviation(
        r"failures\[\]\.non_retryable",
        "the flag that the worker sent is kept",
        "False there, True here",
    ),
    Deviation(
        r"(links\.|selected_run\.\w+_)projection_source",
        "nothing is projected ahead",
        r"'(\w+)' there, '\1_rebuilt' here",
    ),
    Deviation(
        r"payload_manifest\.entries\[\]\.writer_schema_fingerprint",
        "releases of the verifiers disagree about it",
        "'<digest>' there, None here",
    ),
    Deviation(
        r"summary\.(history_size_bytes|liveness_reason)",
        "engine §3 rule 5: events are smaller; control-plane §5.5: a sentence",
    ),
    Deviation(
        r"tasks\[\]\.last_dispatch\w+",
        "nothing is pushed to workers",
        "'<instant>' there, None here",
    ),
    Deviation(r"timeline\[\]\.(activity|command|task)\.\w+", DERIVED, "missing|extra"),
    Deviation(
        r"timeline\[\]\.task\.status",
        DERIVED,
        r"'(completed|failed)' there, 'leased' here",
    ),
    Deviation(r"timeline\[\]\.failure", DERIVED, r".* there, None here"),
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
    *EXPORTS,
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
