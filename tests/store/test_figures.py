"""Figures of a namespace for operators: what is counted, and up to which bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dwserver.engine.model import Run
from dwserver.engine.transition import NewActivity, Transition
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    ClosedReason,
    RunStatus,
    TaskKind,
)
from dwserver.store.api import Store
from dwserver.store.figures import (
    ClosedHistories,
    FailedAttempts,
    FailingType,
    FigureQuery,
    HistoryBudget,
    LeasedTasks,
    OpenActivities,
    OpenRuns,
    OperatorFigures,
    ReadyTasks,
    RecentTasks,
)
from tests.support.builders import (
    NOON,
    SECOND,
    a_closed_attempt,
    a_completion,
    a_run,
    a_start,
    a_start_transition,
    a_task,
    a_transition,
    an_activity,
    an_activity_task,
    an_instance,
    closed,
    leased,
)

QUERY = FigureQuery(
    namespace="default",
    now=NOON,
    overdue_before=NOON - 3 * SECOND,
    recent_since=NOON - 60 * SECOND,
    first_id="task-",
    end_id="task-~",
    budget=HistoryBudget(
        events=100, size_bytes=1000, warning_events=80, warning_size_bytes=800
    ),
    rows=1000,
    histories=1000,
)


async def started(store: Store, *tasks: Any, **fields: Any) -> Run:
    run = a_run(**fields)
    rows = tuple(replace(task, run_id=run.id) for task in tasks)
    assert await store.commit(a_start_transition(run, new_tasks=rows))
    return run


async def ended(
    store: Store, status: RunStatus, reason: ClosedReason, **fields: Any
) -> Run:
    run = await started(store)
    change = a_completion(run)
    over = replace(change.run, status=status, closed_reason=reason, **fields)
    assert await store.commit(Transition(changes=(replace(change, run=over),)))
    return over


async def figures(store: Store, **fields: Any) -> OperatorFigures:
    return await store.operator_figures(replace(QUERY, **fields))


def ready(**fields: Any) -> Any:
    return a_task(a_run(), **fields)


async def test_an_empty_namespace_has_nothing(store: Store) -> None:
    await started(store, ready())
    assert await figures(store, namespace="empty") == OperatorFigures(
        closed={},
        archived={},
        superseded=0,
        open_runs=OpenRuns(
            runs=0,
            pending=0,
            oldest_pending_at=None,
            pending_commands=0,
            oldest_pending_command_at=None,
            oldest_progress_at=None,
            events=0,
            max_events=0,
            max_bytes=0,
            max_fan_out=0,
            over_budget=0,
            near_budget=0,
        ),
        closed_histories=ClosedHistories(events=0, max_events=0, max_bytes=0),
        ready=(),
        leased=LeasedTasks(
            tasks=0,
            expired=0,
            oldest_expired_at=None,
            max_attempt=0,
            max_repairs=0,
            stuck_runs=0,
            oldest_stuck_at=None,
        ),
        recent=(),
        first_tasks=0,
        activities=OpenActivities(
            pending=0,
            running=0,
            retrying=0,
            oldest_retrying_at=None,
            max_attempt=0,
            overdue=0,
            oldest_overdue_at=None,
        ),
        attempts=FailedAttempts(attempts=0, max_number=0),
    )


async def test_closed_runs_are_counted_by_reason_without_archived_and_pruned_ones(
    store: Store,
) -> None:
    for reason in (ClosedReason.FAILED, ClosedReason.TIMED_OUT, ClosedReason.TIMED_OUT):
        await ended(store, RunStatus.FAILED, reason)
    pruned = await ended(store, RunStatus.COMPLETED, ClosedReason.COMPLETED)
    assert await store.prune_runs("default", [pruned.id], at=NOON)
    done = await ended(
        store, RunStatus.COMPLETED, ClosedReason.COMPLETED, last_sequence=9
    )
    kept = await ended(
        store, RunStatus.TERMINATED, ClosedReason.TERMINATED, archived_at=NOON
    )
    found = await figures(store)
    assert found.closed == {"failed": 1, "timed_out": 2, "completed": 1}
    assert found.archived == {"terminated": 1}
    assert kept.id != done.id
    # Three runs with three events each, and one with nine.
    assert found.closed_histories.events == 18
    assert found.closed_histories.max_events == 9


async def test_open_runs_and_their_budgets(store: Store) -> None:
    await started(store, started_at=NOON - 5, last_progress_at=NOON - 4)
    await started(store, parent_run_id="run-parent", started_at=NOON - 9)
    waiting: Mapping[str, Any] = {"status": RunStatus.WAITING}
    await started(store, **waiting, last_sequence=100)
    await started(store, **waiting, last_sequence=80, batch_size=7)
    await started(store, **waiting, history_bytes=1001)
    await ended(store, RunStatus.FAILED, ClosedReason.FAILED)
    found = (await figures(store)).open_runs
    assert (found.runs, found.pending, found.pending_commands) == (5, 2, 1)
    assert found.oldest_pending_at == NOON - 9
    assert found.oldest_pending_command_at == NOON - 5
    assert found.oldest_progress_at == NOON - 4
    assert (found.max_events, found.max_bytes, found.max_fan_out) == (100, 1001, 7)
    assert (found.over_budget, found.near_budget) == (2, 1)
    assert found.events == 100 + 80 + 2 + 2 + 2


async def test_runs_that_another_one_followed_are_superseded(store: Store) -> None:
    first = await ended(store, RunStatus.COMPLETED, ClosedReason.CONTINUED)
    await started(store)
    for number in (2, 3):
        run = a_run(workflow_id=first.workflow_id, run_number=number)
        assert await store.commit(
            Transition(
                changes=(a_start(run),),
                instances=(an_instance(run),),
            )
        )
    assert (await figures(store)).superseded == 2
    assert await store.prune_runs("default", [first.id], at=NOON)
    assert (await figures(store)).superseded == 1


async def test_ready_tasks_are_told_apart_by_their_marker(store: Store) -> None:
    first = NOON - 10 * SECOND
    await started(store, ready(available_at=first, attempt=3), ready(queue="bills"))
    await started(store, ready(available_at=NOON + 1, repair_count=2))
    await started(
        store,
        ready(compatibility="b1", available_at=NOON - 5 * SECOND),
        ready(compatibility="b1"),
    )
    await started(store, ready(compatibility="b1", queue="bills"))
    by_marker = {
        (each.queue, each.compatibility): each for each in (await figures(store)).ready
    }
    assert by_marker.keys() == {(None, None), ("orders", "b1"), ("bills", "b1")}
    assert by_marker[None, None] == ReadyTasks(
        queue=None,
        compatibility=None,
        tasks=3,
        due=2,
        oldest_due_at=first,
        overdue=1,
        oldest_overdue_at=first,
        max_attempt=3,
        max_repairs=2,
        marked_runs=0,
    )
    marked = by_marker["orders", "b1"]
    assert (marked.tasks, marked.marked_runs) == (2, 1)
    assert marked.oldest_due_at == NOON - 5 * SECOND


async def test_leases_that_are_over_and_their_runs(store: Store) -> None:
    over = NOON - SECOND
    await started(
        store,
        leased(ready(), until=over),
        leased(ready(repair_count=4), until=NOON),
        last_progress_at=NOON - 7,
    )
    await started(store, leased(ready(attempt=8)), last_progress_at=NOON - 99)
    assert (await figures(store)).leased == LeasedTasks(
        tasks=3,
        expired=2,
        oldest_expired_at=over,
        max_attempt=9,
        max_repairs=4,
        stuck_runs=1,
        oldest_stuck_at=NOON - 7,
    )


async def test_what_was_made_and_leased_in_the_last_minute(store: Store) -> None:
    old = NOON - 61 * SECOND
    await started(
        store,
        ready(),
        closed(leased(ready())),
        ready(created_at=old),
        leased(ready(created_at=old)),
        replace(leased(ready()), leased_at=None),
    )
    await started(store, ready(id="elsewhere"))
    other = a_run(namespace="other")
    task = a_task(other)
    assert await store.commit(a_start_transition(other, new_tasks=(task,)))
    queue = task.queue
    assert (await figures(store)).recent == (
        RecentTasks(queue=queue, kind=TaskKind.WORKFLOW, added=3, dispatched=2),
    )


async def test_first_tasks_are_due_workflow_tasks_of_pending_runs(store: Store) -> None:
    await started(store, ready(), leased(ready()), ready(available_at=NOON + 1))
    await started(store, ready(), status=RunStatus.WAITING)
    assert (await figures(store)).first_tasks == 1


async def test_open_activities_are_found_by_their_tasks(store: Store) -> None:
    run = a_run()
    fields: list[dict[str, Any]] = [
        {},
        {"attempt_count": 2, "started_at": NOON - 5, "schedule_deadline_at": NOON},
        {"attempt_count": 1, "schedule_deadline_at": NOON + 1},
        {"close_deadline_at": NOON - 3},
        {"heartbeat_deadline_at": NOON - 9, "close_deadline_at": NOON - 8},
        {"schedule_deadline_at": NOON - 99, "attempt_count": 7},
    ]
    activities = [
        an_activity(run, step=step, **each) for step, each in enumerate(fields, 1)
    ]
    is_running = dict.fromkeys((4, 5, 6), True)
    tasks, rows = [], []
    for each in activities:
        task = an_activity_task(each, run)
        runs_now = each.step in is_running
        tasks.append(leased(task) if runs_now else task)
        status = ActivityStatus.RUNNING if runs_now else ActivityStatus.PENDING
        rows.append(NewActivity(replace(each, status=status), None))
    transition = a_start_transition(
        run, new_tasks=tuple(tasks), new_activities=tuple(rows)
    )
    assert await store.commit(transition)
    assert (await figures(store)).activities == OpenActivities(
        pending=3,
        running=3,
        retrying=2,
        oldest_retrying_at=NOON - 5,
        max_attempt=7,
        overdue=3,
        oldest_overdue_at=NOON - 9,
    )


async def test_failed_attempts_of_the_namespace(store: Store) -> None:
    for namespace in ("default", "other"):
        run = a_run(namespace=namespace)
        task = an_activity_task(an_activity(run, step=1), run)
        attempts = tuple(
            replace(a_closed_attempt(task, status=status), number=number)
            for number, status in enumerate(
                (AttemptStatus.FAILED, AttemptStatus.FAILED, AttemptStatus.COMPLETED), 1
            )
        )
        change = a_start_transition(run, new_tasks=(), attempts=attempts)
        assert await store.commit(change)
    found = (await figures(store)).attempts
    assert found == FailedAttempts(attempts=2, max_number=2)


async def test_figures_stop_at_their_bounds(store: Store) -> None:
    for _ in range(3):
        await started(store, ready())
        await ended(store, RunStatus.FAILED, ClosedReason.FAILED)
    found = await figures(store, rows=2, histories=1)
    assert found.open_runs.runs == 2
    assert found.closed == {"failed": 2}
    assert found.closed_histories.events == 3
    assert sum(each.tasks for each in found.ready) == 2


async def test_the_types_that_keep_failing_worst_first(store: Store) -> None:
    for type_name, failures in (("a", 1), ("b", 5), ("b", 2), ("c", 5), ("d", 0)):
        await started(store, workflow_type=type_name, task_failures=failures)
    over = await ended(store, RunStatus.FAILED, ClosedReason.FAILED)
    assert await store.commit(a_transition(over, run_fields={"task_failures": 9}))
    found = await store.failing_types("default", rows=100, limit=2)
    assert found == [
        FailingType(workflow_type=name, failures=5, runs=runs, all_types=3, all_runs=4)
        for name, runs in (("b", 2), ("c", 1))
    ]
    assert await store.failing_types("other", rows=100, limit=2) == []


@pytest.mark.parametrize("namespace", [None, "default", "other"])
async def test_repair_candidates_of_one_namespace(
    store: Store, namespace: str | None
) -> None:
    await started(store, ready(available_at=NOON - 9 * SECOND))
    found = await store.repair_candidates(
        now=NOON, overdue_before=NOON - 3 * SECOND, namespace=namespace
    )
    assert len(found) == (namespace != "other")
