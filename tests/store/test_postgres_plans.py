"""Every hot statement of PostgreSQL runs by the index that was made for it.

The plans are the generic ones that the sessions of the server use, on full tables and
on empty ones: statistics that are still missing must not lead to another plan, because
a session keeps the plan that it has made.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import orjson
import pytest

from dwserver.store.postgres import bootstrap, retention, task_sets
from dwserver.store.postgres.blocks import block
from dwserver.store.postgres.connections import SESSION_PROFILE
from dwserver.store.postgres.rows import PARTS, RUN_PARTS
from dwserver.store.postgres.statement import locking_statement, simple_statement
from tests.store.postgres_plans import leave_statistics_alone, nodes
from tests.store.test_run_page_plans import FILTERS

SEED = """
insert into instances
select 'default', 'w' || n, 'type-' || n % 5, 'r' || n, 'r' || n, 1, n
from generate_series(1, 3000) n;
insert into runs (
    id, namespace, workflow_id, workflow_type, run_number, status, status_bucket,
    task_queue, payload_codec, started_at, last_progress_at, version, last_sequence,
    last_step, history_bytes, command_sequence, priority, task_failures, batch_first,
    batch_size, batch_resolved_sequence, inherits_children, deadline_at, sibling_of
)
select 'r' || n, 'default', 'w' || n, 'type-' || n % 5, 1,
    case when n % 10 = 0 then 'waiting' else 'completed' end,
    case when n % 10 = 0 then 'running' else 'completed' end,
    'queue', 'avro', n, n, 1, 2, 1, 100, 1, 5, 0, 1, 1, 0,
    false, case when n % 20 = 0 then n end,
    case when n % 100 = 0 then 'w1' end
from generate_series(1, 3000) n;
insert into tasks (
    id, run_id, namespace, kind, status, queue, type_name, available_at, ready_at,
    created_at, priority, attempt, repair_count, lease_expires_at, snapshot_sequence,
    closed_at
)
select 't' || n, 'r' || n % 3000, 'default', 'workflow', s.status,
    'queue-' || n % 3, 'type', n, case when s.status = 'ready' then n end, n,
    5, 1, 0, n, 0, case when s.status = 'completed' then n end
from generate_series(1, 9000) n
cross join lateral (
    select case n % 20 when 0 then 'ready' when 1 then 'leased' else 'completed' end
) s(status);
insert into activities (
    id, run_id, step, batch, activity_type, status, queue, payload_codec, digest,
    created_at, attempt_count, is_held, deadline_at
)
select 'a' || n, 'r' || n % 300, n / 300, 1, 'type',
    case when n % 20 = 0 then 'running' else 'completed' end,
    'queue', 'avro', 'digest', n, 1, false, case when n % 20 = 0 then n end
from generate_series(1, 9000) n;
insert into timers (
    id, run_id, step, batch, status, delay_seconds, fire_at, task_id, created_at, kind,
    is_held
)
select 'm' || n, 'r' || n % 300, n / 300, 1,
    case when n % 20 = 0 then 'pending' else 'fired' end,
    1, n, 'x' || n, n, 'plain', false
from generate_series(1, 9000) n;
insert into children (
    id, run_id, step, batch, workflow_type, status, digest, child_workflow_id,
    child_run_id, created_at, child_run_number, attempt_count, parent_close_policy,
    is_held
)
select 'c' || n, 'r' || n % 300, n / 300, 1, 'type',
    case when n % 20 = 0 then 'started' else 'completed' end,
    'digest', 'w' || n, 'cr' || n, n, 1, 1, 'abandon', false
from generate_series(1, 9000) n;
insert into waits (
    id, run_id, step, batch, wait_for, status, opened_at, is_held
)
select 'w' || n, 'r' || n % 300, n / 300, 1, 'condition',
    case when n % 20 = 0 then 'open' else 'satisfied' end, n, false
from generate_series(1, 9000) n;
insert into signals (
    id, run_id, command_id, sequence, name, wait_id, status, received_at,
    event_sequence
)
select 's' || n, 'r' || n % 300, 'o' || n, n / 300, 'approve', 'x',
    case when n % 20 = 0 then 'received' else 'applied' end, n, n
from generate_series(1, 9000) n;
insert into updates (
    id, run_id, command_id, sequence, name, status, accepted_at, event_sequence
)
select 'u' || n, 'r' || n % 300, 'o' || n, n / 300, 'approve',
    case when n % 20 = 0 then 'accepted' else 'completed' end, n, n
from generate_series(1, 9000) n;
insert into commands (
    id, namespace, workflow_id, run_id, sequence, command_type, status, outcome,
    created_at, request_id
)
select 'o' || n, 'default', 'w', 'r' || n % 300, n / 300, 'signal', 'accepted',
    'signal_received', n, case when n % 3 = 0 then 'q' || n end
from generate_series(1, 9000) n;
insert into schedules (
    id, namespace, schedule_id, version, status, spec, action, workflow_type,
    overlap_policy, jitter_seconds, fires_count, failures_count, skipped_trigger_count,
    recent_actions, buffered_actions, last_event_sequence, next_fire_at,
    latest_workflow_id, created_at, updated_at
)
select 'd' || n, 'default', 'd' || n, 1,
    case when n % 10 = 0 then 'paused' else 'active' end, 'x', 'x', 'type',
    'skip', 0, 0, 0, 0, '[]', case when n % 100 = 0 then '[]'::bytea end, 0,
    case when n % 7 > 0 then n end, 'w' || n, n, n
from generate_series(1, 3000) n;
insert into schedule_occurrences
select 'd' || n % 300, 'tick', n, 'w', 'r', n
from generate_series(1, 9000) n;
insert into schedule_events
select 'd' || n % 300, n / 300, 'e' || n, 'ScheduleUpdated', 'x', null, null, n
from generate_series(1, 9000) n;
insert into leader_leases
select 'l' || n, 'h', 1, n
from generate_series(1, 1000) n;
insert into outbox
select 'b' || n, 'parent_close', 'default', 'r' || n, n, n, null
from generate_series(1, 3000) n;
insert into search_attribute_definitions
select 'default', 'Name' || n, 'keyword', n
from generate_series(1, 1000) n;
insert into activity_attempts
select 'p' || n, 'a' || n, 't' || n, 'r' || n, 1, 'completed', 'w', n, n
from generate_series(1, 3000) n;
insert into history_events
select 'r' || n % 300, n / 300, 'e' || n, 'Event', 'x', n, false
from generate_series(1, 9000) n;
insert into failures
select 'f' || n, 'r' || n % 300, 'run', 'x', 'y', 'application', 'm', n, null, null,
    false, null
from generate_series(1, 3000) n;
insert into run_attributes
select 'r' || n % 300, 'Name', 'integer', '' || n, 'default', n, n, n
from generate_series(1, 9000) n;
insert into build_id_rollouts
select 'default', 'queue-' || n % 300, 'b' || n,
    case when n % 10 = 0 then 'draining' else 'active' end, n, null, null, n, n
from generate_series(1, 3000) n;
insert into worker_registrations
select 'default', 'worker-' || n, 'queue-' || n % 100, 'python', null, null, 'x', 'x',
    'x', 1, 1, 'active', n, n, 'x'
from generate_series(1, 1000) n;
"""

# Statement → the indexes that it may use, all of which it must.
INDEXES = {
    "load_runs": {
        "runs_pkey",
        "tasks_ready_run",
        "tasks_leased",
        "activities_run_step",
        "activities_open",
        "timers_pkey",
        "timers_open",
        "children_pkey",
        "children_open",
        "waits_pkey",
        "waits_open",
        "signals_open",
        "updates_open",
    },
    "list_message_payloads": {"commands_pkey"},
    "find_command": {"commands_by_request"},
    "find_command_of_workflow": {
        "instances_pkey",
        "runs_pkey",
        "runs_siblings",
        "commands_by_request",
    },
    "find_update": {"updates_id"},
    "find_update_of_command": {"updates_pkey"},
    "list_open_children": {"children_open"},
    "list_due_activities": {"activities_due"},
    "list_expired_activities": {"activities_due"},
    "find_activities": {"activities_pkey"},
    "list_due_runs": {"runs_due"},
    "list_overdue": {"runs_due", "activities_due"},
    "list_due_outbox": {"outbox_due"},
    "list_expired_runs": {"runs_closed"},
    "list_runs_under_open_ones": {"runs_pkey"},
    "prune": {
        "runs_pkey",
        "history_events_pkey",
        "tasks_closed",
        "activities_run_step",
        "activity_attempts_by_run",
        "timers_pkey",
        "children_pkey",
        "waits_pkey",
        "signals_pkey",
        "updates_pkey",
        "commands_pkey",
        "failures_by_run",
        "run_attributes_pkey",
    },
    "delete_outbox": {"outbox_pkey"},
    "postpone_outbox": {"outbox_pkey"},
    "list_search_attributes": {"search_attribute_definitions_pkey"},
    "delete_search_attribute": {"search_attribute_definitions_pkey"},
    "find_instance": {"instances_pkey"},
    "find_task": {"tasks_pkey"},
    "find_closed_attempt": {"activity_attempts_pkey"},
    "list_run_inputs": {"runs_pkey"},
    "list_activity_arguments": {"activities_pkey"},
    "list_history": {"history_events_pkey"},
    "list_ready_tasks": {"tasks_ready"},
    "list_due_timers": {"timers_due"},
    "list_expired_leases": {"tasks_leased"},
    "find_waiting_queue": {"tasks_ready"},
    "renew": {"tasks_pkey", "activities_pkey"},
    "find_run_view": {"runs_pkey", "instances_pkey", "run_imports_pkey"},
    "find_run_place": {"runs_pkey", "run_imports_pkey"},
    "list_runs_of_instance": {"instances_pkey", "runs_pkey", "runs_siblings"},
    "list_failures_of_run": {"failures_by_run"},
    "list_activities_of_run": {"activities_run_step"},
    "list_timers_of_run": {"timers_pkey"},
    "list_children_of_run": {"children_pkey"},
    "list_waits_of_run": {"waits_pkey"},
    "list_signals_of_run": {"signals_pkey"},
    "list_updates_of_run": {"updates_pkey"},
    "list_commands_of_run": {"commands_pkey"},
    "list_tasks": {"tasks_pkey"},
    "list_closed_attempts": {"activity_attempts_pkey"},
    "list_queues": {
        "tasks_ready",
        "tasks_leased",
        "tasks_pkey",
        "worker_registrations_pkey",
    },
    "count_ready_tasks": {"tasks_ready"},
    "count_ready_of_queues": {"tasks_ready"},
    "find_oldest_ready_of_queues": {"tasks_ready", "runs_pkey"},
    "count_leases_of_queues": {"tasks_leased"},
    "count_workers_of_queues": {"worker_registrations_queue"},
    "list_workers_of_queue": {"worker_registrations_queue"},
    "list_rollouts": {"build_id_rollouts_pkey"},
    "list_cohort_workers": {"worker_registrations_queue"},
    "list_draining_queues": {"build_id_rollouts_draining"},
    "resume_workers": {"worker_registrations_queue"},
    "count_active_leases": {"tasks_leased"},
    "list_leases_of_queue": {"tasks_leased", "runs_pkey"},
    "count_closed_runs": {"runs_closed"},
    "count_archived_runs": {"runs_archived"},
    "count_superseded_runs": {"runs_siblings", "instances_pkey", "runs_pkey"},
    "sum_closed_histories": {"runs_closed"},
    "sum_open_runs": {"runs_list"},
    "sum_ready_tasks": {"tasks_ready"},
    "sum_leased_tasks": {"tasks_leased", "runs_pkey"},
    "count_recent_tasks": {"tasks_pkey"},
    "count_first_tasks": {"tasks_ready", "runs_pkey"},
    "sum_open_activities": {"tasks_ready", "tasks_leased", "activities_pkey"},
    "count_failed_attempts": {"activity_attempts_failed", "runs_pkey"},
    "list_failing_types": {"runs_failing"},
    "find_worker": {"worker_registrations_pkey"},
    "delete_worker": {"worker_registrations_pkey"},
    "touch_workers": {"worker_registrations_pkey", "build_id_rollouts_draining"},
    "put_worker": {"build_id_rollouts_draining"},
    "list_workers": {"worker_registrations_pkey"},
    "find_schedule": {"schedules_by_public_id"},
    "find_any_schedule": {"schedules_history"},
    "list_schedules": {"schedules_list"},
    "list_due_schedules": {"schedules_due", "instances_pkey", "runs_pkey"},
    "list_buffering_schedules": {"schedules_buffering", "instances_pkey", "runs_pkey"},
    "list_schedule_events": {"schedule_events_pkey"},
    "list_schedule_ages": {"schedules_pkey", "schedule_events_pkey"},
    "prune_schedule_events": {"schedule_events_pkey"},
    "prune_schedule_occurrences": {
        "schedule_events_pkey",
        "schedule_occurrences_pkey",
    },
    "forget_schedule": {"schedules_pkey", "schedule_events_pkey"},
    "find_leader": {"leader_leases_pkey"},
    "renew_leadership": {"leader_leases_pkey"},
    "release_leadership": {"leader_leases_pkey"},
    "commit, one guard each": {
        "runs_pkey",
        "instances_pkey",
        "run_attributes_pkey",
        "history_events_pkey",
        "tasks_pkey",
        "activities_pkey",
        "timers_pkey",
        "children_pkey",
        "waits_pkey",
        "signals_pkey",
        "updates_pkey",
        "commands_pkey",
    },
    "commit, locking": {
        "runs_pkey",
        "instances_pkey",
        "run_attributes_pkey",
        "history_events_pkey",
        "tasks_pkey",
        "activities_pkey",
        "timers_pkey",
        "children_pkey",
        "waits_pkey",
        "signals_pkey",
        "updates_pkey",
        "commands_pkey",
        "schedules_pkey",
        "schedules_by_public_id",
        "schedule_occurrences_pkey",
        "leader_leases_pkey",
    },
}

STATEMENTS = {
    "renew": task_sets.RENEW,
    "list_overdue": task_sets.LIST_OVERDUE,
    "prune": retention.PRUNE,
    "commit, one guard each": simple_statement(frozenset(RUN_PARTS)),
    "commit, locking": locking_statement(frozenset(PARTS)),
}

FIRST_COLUMNS = """
select i.indexrelid::regclass::text, a.attname::text
from pg_index i
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
"""
# Statement → the indexes in which it searches for nothing: their rows are few, or it
# stops after some.
READ_WHOLE = {
    "count_active_leases": {"tasks_leased"},
    "count_failed_attempts": {"activity_attempts_failed"},
    "count_leases_of_queues": {"tasks_leased"},
    "find_waiting_queue": {"tasks_ready"},
    "list_draining_queues": {"build_id_rollouts_draining"},
    "list_expired_leases": {"tasks_leased"},
    "list_leases_of_queue": {"tasks_leased"},
    # The leased tasks, and the last that were made.
    "list_queues": {"tasks_leased", "tasks_pkey"},
    "sum_leased_tasks": {"tasks_leased"},
    "sum_open_activities": {"tasks_leased"},
}

# These read in the order of their index: a sort would read everything before a page.
ORDERED_BY_INDEX = [
    "list_history",
    "list_due_timers",
    "list_due_activities",
    "list_expired_activities",
    "list_due_runs",
    "list_due_outbox",
    "list_expired_runs",
    "list_schedules",
    "list_due_schedules",
    "list_schedule_events",
    "find_command",
    "sum_open_runs",
    "count_recent_tasks",
    "list_search_attributes",
    "list_failures_of_run",
]


# What happens to the tables, which nothing else analyses.
STATES: dict[str, tuple[str, ...]] = {
    "empty": (),
    "new": (SEED,),
    "vacuumed": (SEED, "vacuum"),
    "analysed": (SEED, "analyze"),
}


@pytest.fixture(params=STATES)
async def connection(
    request: pytest.FixtureRequest, empty_postgres_url: str
) -> AsyncIterator[asyncpg.Connection]:
    await bootstrap(empty_postgres_url)
    connection = await asyncpg.connect(empty_postgres_url)
    await leave_statistics_alone(connection)
    await connection.execute(SESSION_PROFILE)
    for statement in STATES[request.param]:
        await connection.execute(statement)
    yield connection
    await connection.close()


async def generic_plan(connection: asyncpg.Connection, sql: str) -> dict[str, Any]:
    numbers = {int(number) for number in re.findall(r"\$(\d+)", sql)}
    arguments = ", ".join("null" for _ in range(max(numbers, default=0)))
    await connection.execute(f"prepare probe as {sql}")
    explained = await connection.fetchval(
        f"explain (format json) execute probe{f'({arguments})' if arguments else ''}"
    )
    await connection.execute("deallocate probe")
    plan: dict[str, Any] = orjson.loads(explained)[0]["Plan"]
    return plan


async def test_hot_statements_use_their_indexes(connection: asyncpg.Connection) -> None:
    found = {}
    for name in INDEXES:
        plan = await generic_plan(connection, STATEMENTS.get(name) or block(name))
        found[name] = {
            node["Index Name"] for node in nodes(plan) if "Index Name" in node
        } | {
            f"{node['Node Type']} of {node['Relation Name']}"
            for node in nodes(plan)
            if node["Node Type"] in {"Seq Scan", "Bitmap Heap Scan"}
        }
    assert found == INDEXES


def is_bounded(plan: dict[str, Any]) -> bool:
    """Whether it gets no more than a page: then it may put that in another order."""
    return any(node["Node Type"] == "Limit" for node in nodes(plan))


async def test_an_index_is_searched_by_its_statement(
    connection: asyncpg.Connection,
) -> None:
    first_columns = dict(await connection.fetch(FIRST_COLUMNS))
    found: dict[str, set[str]] = {}
    for name in INDEXES:
        plan = await generic_plan(connection, STATEMENTS.get(name) or block(name))
        for node in nodes(plan):
            if "Index Name" not in node:
                continue
            index, condition = node["Index Name"], node.get("Index Cond", "")
            if not re.search(rf"\b{first_columns[index]}\b", condition):
                found.setdefault(name, set()).add(index)
    assert found == READ_WHOLE


async def test_pages_are_read_in_the_order_of_their_index(
    connection: asyncpg.Connection,
) -> None:
    sorting = [
        name
        for name in ORDERED_BY_INDEX
        for node in nodes(await generic_plan(connection, block(name)))
        if node["Node Type"] == "Sort" and not is_bounded(node)
    ]
    assert sorting == []


@pytest.mark.parametrize("connection", ["empty"], indirect=True)
async def test_every_index_serves_a_statement(connection: asyncpg.Connection) -> None:
    """Of the tables that the Store uses so far; keys are constraints anyway."""
    rows = await connection.fetch(
        """select i.indexrelid::regclass::text from pg_index i
        join pg_class c on c.oid = i.indrelid
        where c.relnamespace = 'public'::regnamespace and not i.indisunique
        and c.relname in (
            'runs', 'tasks', 'activities', 'timers', 'failures', 'children', 'waits',
            'signals', 'updates', 'commands', 'outbox', 'schedules', 'run_attributes',
            'activity_attempts', 'worker_registrations', 'build_id_rollouts'
        )"""
    )
    served = set().union(*INDEXES.values(), {index for _, index in FILTERS.values()})
    assert {row[0] for row in rows} <= served


@pytest.mark.parametrize("connection", ["empty"], indirect=True)
async def test_finished_work_leaves_the_ready_index_alone(
    connection: asyncpg.Connection,
) -> None:
    """A handed-off task has no ready time; updates of an open run move no index."""
    definitions = {
        row[0]: row[1]
        for row in await connection.fetch("select indexname, indexdef from pg_indexes")
    }
    assert "ready_at IS NOT NULL" in definitions["tasks_ready"]
    assert "status" not in definitions["tasks_ready"]
    moving = {"status)", "version", "last_sequence", "last_progress_at", "task_queue"}
    for name in ("runs_list", "runs_list_by_type", "runs_siblings"):
        assert not [word for word in moving if word in definitions[name]]
