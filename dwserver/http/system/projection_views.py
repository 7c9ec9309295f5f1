"""``operator_metrics.projections`` and ``dw_projection_drift_total``
(``spec/topology-and-operations.md`` §4.2, §4.3.10).

Lists, waits, timelines, timers and lineage are read from the rows that transitions
write, or derived from the history when they are asked for: nothing is projected ahead,
so that there are no rows that could be missing, stale or orphaned.
"""

from __future__ import annotations

from typing import Final, TypedDict

from dwserver.http.route_shape import Count, MicroTime
from dwserver.protocol.json_types import JsonObject

TABLES: Final = (
    "run_summaries",
    "run_waits",
    "run_timeline_entries",
    "run_timer_entries",
    "run_lineage_entries",
)
_UNTIMED: Final[JsonObject] = {"oldest_updated_at": None, "newest_updated_at": None}


def projections_view(*, runs: int, events: int) -> JsonObject:
    """``runs`` and ``events``: how many there are."""
    return {
        "run_summaries": {
            "runs": runs,
            "summaries": runs,
            **_none("missing", "orphaned", "stale", "schema_outdated", "needs_rebuild"),
            **_UNTIMED,
            "oldest_missing_run_started_at": None,
            "max_missing_run_age_ms": 0,
        },
        "run_waits": {
            **_rows(runs, "waits"),
            **_none(
                "summaries_with_open_waits",
                "projected_current_open_waits",
                "missing_current_open_waits",
            ),
        },
        "run_timeline_entries": {
            **_rows(runs, "history"),
            "history_events": events,
            "missing_history_events": 0,
        },
        "run_timer_entries": {
            **_rows(runs, "timers"),
            **_none("schema_version_mismatch_runs", "schema_version_mismatch_rows"),
        },
        "run_lineage_entries": _rows(runs, "lineage"),
    }


def drift_by_table() -> list[JsonObject]:
    return [{"table": table, "needs_rebuild": 0} for table in TABLES]


def _rows(runs: int, what: str) -> JsonObject:
    return {
        "runs": runs,
        **_none(
            "rows",
            "projected_runs",
            f"runs_with_{what}",
            f"projected_runs_with_{what}",
            f"missing_runs_with_{what}",
            "stale_projected_runs",
            "orphaned",
            "needs_rebuild",
        ),
        **_UNTIMED,
    }


def _none(*names: str) -> JsonObject:
    return dict.fromkeys(names, 0)


class _Projection(TypedDict):
    runs: Count
    orphaned: Count
    needs_rebuild: Count
    oldest_updated_at: MicroTime | None
    newest_updated_at: MicroTime | None


class SummaryProjection(_Projection):
    summaries: Count
    missing: Count
    stale: Count
    schema_outdated: Count
    oldest_missing_run_started_at: MicroTime | None
    max_missing_run_age_ms: Count


class _RowProjection(_Projection):
    rows: Count
    projected_runs: Count
    stale_projected_runs: Count


class WaitProjection(_RowProjection):
    runs_with_waits: Count
    projected_runs_with_waits: Count
    missing_runs_with_waits: Count
    summaries_with_open_waits: Count
    projected_current_open_waits: Count
    missing_current_open_waits: Count


class TimelineProjection(_RowProjection):
    history_events: Count
    runs_with_history: Count
    projected_runs_with_history: Count
    missing_runs_with_history: Count
    missing_history_events: Count


class TimerProjection(_RowProjection):
    runs_with_timers: Count
    projected_runs_with_timers: Count
    missing_runs_with_timers: Count
    schema_version_mismatch_runs: Count
    schema_version_mismatch_rows: Count


class LineageProjection(_RowProjection):
    runs_with_lineage: Count
    projected_runs_with_lineage: Count
    missing_runs_with_lineage: Count


class ProjectionBlock(TypedDict):
    run_summaries: SummaryProjection
    run_waits: WaitProjection
    run_timeline_entries: TimelineProjection
    run_timer_entries: TimerProjection
    run_lineage_entries: LineageProjection
