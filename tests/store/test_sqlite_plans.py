"""Every statement of SQLite that meets large tables runs by its index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dwserver.store.sqlite.connections import connect_reader
from dwserver.store.sqlite.retention import PRUNE
from dwserver.store.sqlite.statements import BLOCKS, statement_text

PLANS = {
    "find_instance": ["i USING PRIMARY KEY"],
    "find_task": ["t USING PRIMARY KEY"],
    "list_history": ["history_events_1 (run_id=? AND sequence>? AND sequence<?)"],
    "load_tasks": ["tasks_ready_run", "tasks_leased"],
    "load_activities": ["activities_2 (run_id=? AND step>?)", "activities_open"],
    "load_timers": ["PRIMARY KEY (run_id=? AND step>?)", "timers_open"],
    "load_children": ["PRIMARY KEY (run_id=? AND step>?)", "children_open"],
    "load_waits": ["PRIMARY KEY (run_id=? AND step>?)", "waits_open"],
    "load_signals": ["signals_open (run_id=?)"],
    "load_updates": ["updates_open (run_id=?)"],
    "list_message_payloads": ["commands_1 (run_id=? AND sequence=?)"],
    "find_command": ["commands_by_request (run_id=? AND request_id=?)"],
    "find_command_of_workflow": [
        "i USING PRIMARY KEY (namespace=? AND workflow_id=?)",
        "runs_siblings (namespace=? AND sibling_of=? AND run_number>?",
        "commands_by_request (run_id=? AND request_id=?)",
    ],
    "find_update": ["updates_2 (id=?)"],
    "find_update_of_command": ["updates_1 (run_id=? AND sequence=?)"],
    "list_open_children": ["children_open (run_id=?)"],
    "list_due_activities": ["activities_due (deadline_at<?)"],
    "list_expired_activities": ["activities_due (deadline_at<?)"],
    "list_due_runs": ["runs_due (deadline_at<?)"],
    "list_due_outbox": ["outbox_due (available_at<?)"],
    "list_expired_runs": ["runs_closed (namespace=? AND"],
    "prune tasks": ["tasks_closed (run_id=?)"],
    "prune attempts": ["activity_attempts_by_run (run_id=?)"],
    "delete_outbox": ["outbox_1 (id=?)"],
    "postpone_outbox": ["outbox_1 (id=?)"],
    "list_search_attributes": ["PRIMARY KEY (namespace=?)"],
    "update_children": ["t USING PRIMARY KEY (run_id=? AND step=?)"],
    "update_waits": ["t USING PRIMARY KEY (run_id=? AND step=?)"],
    "update_signals": ["t USING PRIMARY KEY (run_id=? AND sequence=?)"],
    "update_updates": ["updates_1 (run_id=? AND sequence=?)"],
    "update_commands": ["commands_1 (run_id=? AND sequence=?)"],
    "list_ready_tasks": ["tasks_ready (namespace=? AND queue=? AND kind=?)"],
    "list_due_timers": ["timers_due (fire_at<?)"],
    "list_expired_leases": ["tasks_leased"],
    "find_waiting_queue": ["tasks_ready"],
    "list_held_leases": ["t USING PRIMARY KEY"],
    "delete_attributes": ["run_attributes USING PRIMARY KEY (run_id=?)"],
    "list_runs_of_instance": ["runs_siblings (namespace=? AND sibling_of=?)"],
    "list_failures_of_run": ["failures_by_run"],
    "list_queues": [
        "t USING COVERING INDEX tasks_ready (namespace=? AND queue>?)",
        "worker_registrations_1 (namespace=?)",
        "tasks_leased",
    ],
    "count_ready_tasks": ["t USING COVERING INDEX tasks_ready (namespace=?)"],
    "count_ready_of_queues": [
        "t USING COVERING INDEX tasks_ready (namespace=? AND queue=? AND kind=?)"
    ],
    "find_oldest_ready_of_queues": [
        "t USING COVERING INDEX tasks_ready (namespace=? AND queue=? AND kind=?)"
    ],
    "count_leases_of_queues": ["tasks_leased"],
    "count_workers_of_queues": [
        "s USING INDEX worker_registrations_queue (task_queue=? AND namespace=?)"
    ],
    "list_workers_of_queue": [
        "s USING INDEX worker_registrations_queue (task_queue=? AND namespace=?)"
    ],
    "list_rollouts": ["build_id_rollouts_1 (namespace=? AND task_queue=?)"],
    "put_worker": ["rollouts_1 (namespace=? AND task_queue=? AND build_id=?)"],
    "touch_workers": ["rollouts_1 (namespace=? AND task_queue=? AND build_id=?)"],
    "list_cohort_workers": [
        "s USING INDEX worker_registrations_queue (task_queue=? AND namespace=?)"
    ],
    "list_draining_queues": ["build_id_rollouts_draining"],
    "resume_workers": ["worker_registrations_queue (task_queue=? AND namespace=?)"],
    "count_active_leases": ["tasks_leased"],
    "list_leases_of_queue": ["tasks_leased"],
    "count_closed_runs": ["runs_closed (namespace=?"],
    "count_archived_runs": ["runs_archived (namespace=?"],
    "count_superseded_runs": ["runs_siblings (namespace=?"],
    "sum_closed_histories": ["runs_closed (namespace=?"],
    "sum_open_runs": ["runs_list (namespace=? AND status_bucket=?)"],
    "sum_ready_tasks": ["tasks_ready (namespace=?)"],
    "sum_leased_tasks": ["tasks_leased"],
    "count_recent_tasks": ["t USING PRIMARY KEY (id>? AND id<?)"],
    "count_first_tasks": ["tasks_ready (namespace=?)"],
    "sum_open_activities": ["tasks_ready (namespace=?)", "tasks_leased"],
    "count_failed_attempts": ["activity_attempts_failed"],
    "list_failing_types": ["runs_failing (namespace=?"],
    "find_schedule": ["schedules_by_public_id (namespace=? AND schedule_id=?)"],
    "find_any_schedule": ["schedules_history (namespace=? AND schedule_id=?)"],
    "list_schedules": ["schedules_list (namespace=?"],
    "list_due_schedules": ["schedules_due (next_fire_at<?)"],
    "list_buffering_schedules": ["schedules_buffering"],
    "list_schedule_events": ["(schedule_id=? AND sequence>?)"],
    "list_schedule_ages": ["(id>?)", "e USING INDEX"],
    "prune_schedule_events": ["(schedule_id=? AND sequence<?)"],
    "prune_schedule_occurrences": ["(schedule_id=? AND kind=? AND nominal_at<?)"],
    "list_recorded_occurrences": ["(schedule_id=? AND kind=? AND nominal_at=?)"],
}
# All namespaces are few, and so are nodes; leases, open tasks (for a repair) and
# buffers are read as a whole from an index of their own; the figures of all schedules
# are for an operator.
SCANS = {
    "list_namespaces": "namespaces",
    "list_expired_leases": "t USING INDEX tasks_leased",
    "list_repair_candidates": "t USING INDEX tasks_",
    "count_leases_of_queues": "t USING INDEX tasks_leased",
    "count_active_leases": "t USING INDEX tasks_leased",
    "list_leases_of_queue": "t USING INDEX tasks_leased",
    "sum_leased_tasks": "t USING INDEX tasks_leased",
    "sum_open_activities": "t USING INDEX tasks_leased",
    "count_failed_attempts": "p USING INDEX activity_attempts_failed",
    "delete_silent_workers": "s",
    "list_live_nodes": "cluster_nodes",
    "delete_silent_nodes": "cluster_nodes",
    "list_buffering_schedules": "s USING INDEX schedules_buffering",
    # Its first entry.
    "find_waiting_queue": "tasks USING COVERING INDEX tasks_ready",
    "summarise_all_schedules": "s",
    "list_draining_queues": "o USING INDEX build_id_rollouts_draining",
    # The leased tasks, and the last that were made, in the order of their key.
    "list_queues": "t",
    # What is made there, under the name of the table.
    "put_worker": "worker_registrations",
    "list_workers_of_queue": "worker_registrations",
}
# What is no table: parameters and what was made of them.
MADE_HERE = re.compile(
    r"SCAN (a|h|k|x|w|ready|page|json_each"
    r"|(\d+ )?CONSTANT ROWS?|\(subquery-\d+\))(?!\w)"
)


# Blocks that are no statements yet: tests/store/test_run_page_plans.py has the pages.
PARTS = {
    "prune_part",
    "registrations_of_queues",
    *(name for name in BLOCKS if name.startswith("page_")),
}
STATEMENTS = {name: text for name, text in BLOCKS.items() if name not in PARTS} | {
    f"prune {part}": text for part, text in PRUNE.items()
}


def plan(url: str, name: str) -> list[str]:
    text = STATEMENTS[name]
    if "{rows}" in text:
        text = statement_text(name, 3)
        values: list[object] = [None] * text.count("?")
    else:
        numbers = [int(number) for number in re.findall(r"\?(\d+)", text)]
        values = [None] * max(numbers, default=0)
    for number in re.findall(r"json_each\(\?(\d+)\)", text):
        values[int(number) - 1] = "[]"
    connection = connect_reader(Path(url.removeprefix("sqlite:///")))
    try:
        rows = connection.execute(f"explain query plan {text}", values)
        return [str(row["detail"]) for row in rows]
    finally:
        connection.close()


@pytest.mark.parametrize("name", PLANS)
def test_statement_uses_its_index(sqlite_url: str, name: str) -> None:
    details = plan(sqlite_url, name)
    for expected in PLANS[name]:
        assert any(expected in detail for detail in details), "\n".join(details)


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_statement_scans_no_table(sqlite_url: str, name: str) -> None:
    scans = [
        detail
        for detail in plan(sqlite_url, name)
        if detail.startswith("SCAN") and not MADE_HERE.match(detail)
    ]
    allowed = SCANS.get(name)
    assert all(allowed and scan.startswith(f"SCAN {allowed}") for scan in scans), scans


def test_lists_are_read_in_the_order_of_their_index(sqlite_url: str) -> None:
    in_order = (
        *("list_ready_tasks", "list_due_timers", "list_failures_of_run"),
        *("list_due_activities", "list_due_runs", "list_due_outbox", "find_command"),
    )
    for name in in_order:
        assert not [d for d in plan(sqlite_url, name) if "TEMP B-TREE" in d]
