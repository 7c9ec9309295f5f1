"""Every kind of row is written and read back whole, empty and full, new and changed."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from dwserver.engine.model import (
    Activity,
    ClosedAttempt,
    Failure,
    Payload,
    RetryPolicy,
    Run,
    RunInput,
    Task,
    Timer,
    Wake,
)
from dwserver.engine.transition import NewActivity, Transition
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    ClosedReason,
    FailureCategory,
    RunStatus,
    TaskStatus,
    TimerKind,
    TimerStatus,
)
from dwserver.store.api import Store, StoredEvent
from tests.store.reading import ALL, full_history, loaded
from tests.support.builders import (
    NOON,
    SECOND,
    a_change,
    a_completion,
    a_failure,
    a_run,
    a_start,
    a_start_transition,
    a_task,
    a_timer,
    a_transition,
    an_activity,
    an_activity_task,
    an_event,
    an_id,
    an_instance,
)

DOCUMENT = {"text": "naïve Ω 🜚", "list": [1, None, False, {"deep": {}}], "n": -1.5}
BIG = 2**53 - 1


def full_run() -> Run:
    return a_run(
        status=RunStatus.TERMINATED,
        last_sequence=BIG,
        last_step=11,
        history_bytes=BIG,
        command_sequence=4,
        closed_reason=ClosedReason.TIMED_OUT,
        closed_at=NOON + 9,
        compatibility="build-1",
        priority=0,
        execution_timeout_seconds=3600,
        run_timeout_seconds=60,
        execution_deadline_at=NOON + 3600 * SECOND,
        run_deadline_at=NOON + 60 * SECOND,
        task_failures=3,
        batch_first=10,
        batch_size=2,
        batch_resolved_sequence=8,
        wakes=(Wake(DOCUMENT), Wake({})),
        continued_from_run_id="run-before",
        parent_run_id="run-above",
        parent_step=3,
        inherits_children=True,
        archived_at=NOON + 10,
        definition_fingerprint="sha256:1f",
    )


def full_task(run: Run) -> Task:
    return a_task(
        run,
        status=TaskStatus.LEASED,
        compatibility="build-1",
        priority=9,
        attempt=3,
        repair_count=2,
        lease_owner="worker-1",
        leased_at=NOON,
        lease_expires_at=NOON + SECOND,
        snapshot_sequence=7,
        resume=DOCUMENT,
        activity_id="activity-1",
        attempt_id="attempt-1",
        last_error="boom",
        definition_fingerprint="sha256:1f",
    )


def full_activity(run: Run) -> Activity:
    return an_activity(
        run,
        step=10,
        batch=10,
        status=ActivityStatus.FAILED,
        attempt_count=3,
        retry_policy=RetryPolicy(
            max_attempts=5,
            backoff_seconds=(1, 2, 4),
            non_retryable_error_types=("Fatal", "Böse"),
            start_to_close_timeout=1,
            schedule_to_start_timeout=2,
            schedule_to_close_timeout=3,
            heartbeat_timeout=4,
        ),
        parallel=DOCUMENT,
        schedule_deadline_at=NOON + 1,
        close_deadline_at=NOON + 2,
        schedule_to_close_deadline_at=NOON + 3,
        heartbeat_deadline_at=NOON + 4,
        last_heartbeat_at=NOON + 5,
        started_at=NOON + 6,
        closed_at=NOON + 7,
        is_held=True,
    )


def full_timer(run: Run) -> Timer:
    return a_timer(
        run,
        step=11,
        batch=10,
        status=TimerStatus.FIRED,
        kind=TimerKind.SIGNAL_TIMEOUT,
        parallel=DOCUMENT,
        closed_at=NOON + 8,
        is_held=True,
    )


def is_default(record: object, name: str) -> bool:
    return any(
        field.name == name and getattr(record, name) == field.default
        for field in fields(record)  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("make", [full_run, full_task, full_activity, full_timer])
def test_full_records_leave_nothing_at_its_default(make: Any) -> None:
    """Else the tests below would not see that a column is missing."""
    record = make() if make is full_run else make(a_run())
    forgotten = [f.name for f in fields(record) if is_default(record, f.name)]
    # A leased task is not closed, a new run has version 1.
    assert set(forgotten) <= {"closed_at", "version"}


async def test_new_rows_are_read_back_whole(store: Store) -> None:
    run = full_run()
    task, activity, timer = full_task(run), full_activity(run), full_timer(run)
    given = RunInput(
        arguments=Payload("json", '{"a":"Ω"}'),
        memo=DOCUMENT,
        search_attributes={"Customer": ["a", "b"]},
        business_key="order 7",
    )
    await store.commit(
        a_start_transition(
            run,
            input=given,
            output=Payload("avro", "////"),
            new_tasks=(task,),
            new_activities=(NewActivity(activity, Payload("avro", "AA==")),),
            new_timers=(timer,),
        )
    )
    state = await loaded(store, run.id)
    assert state.run == run
    assert state.tasks == {task.id: task}
    assert state.activities == {10: activity}
    assert state.timers == {11: timer}
    assert await store.run_input(run.id) == given
    view = await store.find_run_view(run.namespace, run.id)
    assert view is not None
    assert (view.run, view.input) == (run, given)
    assert view.output == Payload("avro", "////")
    assert (view.run_count, view.current_run_id) == (1, run.id)


async def test_new_rows_without_optional_values_are_read_back_whole(
    store: Store,
) -> None:
    run = a_run(batch_first=1, batch_size=2, last_step=2)
    task, activity, timer = (
        a_task(run),
        an_activity(run, step=1, retry_policy=RetryPolicy(), parallel={}),
        a_timer(run, step=2),
    )
    await store.commit(
        a_start_transition(
            run,
            input=RunInput(arguments=None),
            new_tasks=(task,),
            new_activities=(NewActivity(activity, None),),
            new_timers=(timer,),
        )
    )
    state = await loaded(store, run.id)
    assert state.run == run
    assert state.tasks == {task.id: task}
    assert state.activities == {1: activity}
    assert state.timers == {2: timer}
    view = await store.find_run_view(run.namespace, run.id)
    assert view is not None
    assert view.input == RunInput(arguments=None)
    assert view.output is None
    arguments = await store.activity_arguments([activity.id, "no-such-activity"])
    assert arguments == {activity.id: None}


async def test_changed_run_is_read_back_whole(store: Store) -> None:
    run = a_run()
    await store.commit(a_start_transition(run))
    # What names a run and its origin never changes.
    full = full_run()
    fixed = {
        "id",
        "namespace",
        "workflow_id",
        "workflow_type",
        "run_number",
        "payload_codec",
        "started_at",
        "continued_from_run_id",
        "parent_run_id",
        "parent_step",
        "inherits_children",
        "version",
    }
    moved = {f.name: getattr(full, f.name) for f in fields(Run) if f.name not in fixed}
    change = a_change(run, run_fields={**moved, "task_queue": "elsewhere"})
    assert await store.commit(Transition(changes=(change,)))
    assert (await loaded(store, run.id)).run == change.run
    back = a_change(
        change.run,
        run_fields={
            "status": RunStatus.RUNNING,
            "closed_reason": None,
            "closed_at": None,
            "compatibility": None,
            "definition_fingerprint": None,
            "run_deadline_at": None,
            "wakes": (),
        },
    )
    assert await store.commit(Transition(changes=(back,)))
    assert (await loaded(store, run.id)).run == back.run


async def test_changed_task_is_read_back_whole(store: Store) -> None:
    run = a_run()
    task = a_task(run)
    await store.commit(a_start_transition(run, new_tasks=(task,)))
    change = replace(
        full_task(run),
        id=task.id,
        queue="elsewhere",
        available_at=NOON + 5,
        activity_id=None,
        closed_at=NOON + 6,
    )
    await store.commit(a_transition(run, tasks=(change,)))
    assert await store.find_task("default", task.id) == change
    cleared = replace(task, status=TaskStatus.CANCELLED)
    later = replace(run, version=2)
    await store.commit(a_transition(later, tasks=(cleared,)))
    assert await store.find_task("default", task.id) == cleared
    assert (await loaded(store, run.id)).tasks == {}


async def test_changed_steps_are_read_back_whole(store: Store) -> None:
    run = a_run(batch_first=10, batch_size=2, last_step=11)
    timer = a_timer(run, step=11, parallel=DOCUMENT, kind=TimerKind.SIGNAL_TIMEOUT)
    full = full_activity(run)
    activity = an_activity(
        run, step=10, retry_policy=full.retry_policy, parallel=DOCUMENT
    )
    await store.commit(
        a_start_transition(
            run, new_activities=(NewActivity(activity, None),), new_timers=(timer,)
        )
    )
    full = replace(full, id=activity.id)
    fired = replace(full_timer(run), id=timer.id, task_id=timer.task_id)
    fired = replace(fired, batch=timer.batch, fire_at=NOON + 77)
    await store.commit(a_transition(run, activities=(full,), timers=(fired,)))
    state = await loaded(store, run.id)
    assert state.activities == {10: full}
    assert state.timers == {11: fired}


async def test_output_is_kept_by_later_changes(store: Store) -> None:
    run = a_run()
    await store.commit(a_start_transition(run))
    output = Payload("json", "[1]")
    completion = a_completion(run, output)
    await store.commit(Transition(changes=(completion,)))
    await store.commit(a_transition(completion.run))
    view = await store.find_run_view(run.namespace, run.id)
    assert view is not None
    assert view.output == output
    assert view.run.version == 3


async def test_input_given_later_replaces_the_first(store: Store) -> None:
    run = a_run()
    await store.commit(a_start_transition(run))
    given = RunInput(arguments=None, memo={"note": "second"})
    await store.commit(a_transition(run, input=given))
    await store.commit(a_transition(replace(run, version=2)))
    assert await store.run_input(run.id) == given


@pytest.mark.parametrize("status", AttemptStatus)
async def test_closed_attempt_is_read_back_whole(
    store: Store, status: AttemptStatus
) -> None:
    run = a_run()
    attempt = ClosedAttempt(
        id="attempt-1",
        activity_id="activity-1",
        task_id="task-1",
        run_id=run.id,
        number=3,
        status=status,
        lease_owner="worker-1",
        started_at=NOON,
        closed_at=NOON + 1,
    )
    await store.commit(a_start_transition(run, attempts=(attempt,)))
    assert await store.find_closed_attempt("attempt-1") == attempt
    assert await store.find_closed_attempt("attempt-2") is None


async def test_failures_are_read_back_whole_and_newest_first(store: Store) -> None:
    run = a_run()
    failures = [
        a_failure(run, created_at=NOON + 5, category=category)
        for category in FailureCategory
    ]
    failures[0] = Failure(
        id=an_id("failure"),
        run_id=run.id,
        source_kind="activity_execution",
        source_id="activity-1",
        propagation_kind="activity",
        category=FailureCategory.ACTIVITY,
        message="naïve\nΩ 🜚",
        created_at=NOON + 6,
        exception_type="Boom",
        exception_class="app.Boom",
        non_retryable=True,
        event_sequence=7,
    )
    await store.commit(a_start_transition(run, failures=tuple(failures)))
    found = await store.failures_of_run(run.id, limit=ALL)
    assert found == sorted(failures, key=lambda f: (f.created_at, f.id), reverse=True)
    assert await store.failures_of_run(run.id, limit=2) == found[:2]
    assert await store.failures_of_run("no-such-run", limit=2) == []


async def test_events_are_read_back_whole(store: Store) -> None:
    run = a_run()
    events = (
        an_event(1, payload=b'{"a":"\xc3\xa9"}', has_plain=True, task_id="task-1"),
        an_event(2, payload=b"{ }", command_id="command-1"),
    )
    await store.commit(a_start_transition(run, events=events))
    assert await full_history(store, run.id) == [
        StoredEvent(
            id=event.id,
            sequence=event.sequence,
            event_type=event.event_type,
            payload=event.payload,
            recorded_at=event.recorded_at,
            has_plain=event.has_plain,
            task_id=event.task_id,
            command_id=event.command_id,
        )
        for event in events
    ]


async def test_arguments_belong_to_their_activity(store: Store) -> None:
    run = a_run()
    new = [
        NewActivity(an_activity(run, step=step), Payload("avro", f"args-{step}"))
        for step in (1, 2, 3)
    ]
    await store.commit(a_start_transition(run, new_activities=tuple(new)))
    asked = [each.activity.id for each in new[:2]]
    assert await store.activity_arguments(asked) == {
        each.activity.id: each.arguments for each in new[:2]
    }
    assert await store.activity_arguments([]) == {}


async def test_task_is_found_only_in_its_namespace(store: Store) -> None:
    run = a_run(namespace="billing")
    activity = an_activity(run, step=1)
    task = an_activity_task(activity, run)
    await store.commit(a_start_transition(run, new_tasks=(task,)))
    assert await store.find_task("billing", task.id) == task
    assert await store.find_task("default", task.id) is None
    assert await store.find_task("billing", "no-such-task") is None


async def test_what_does_not_exist_is_not_found(store: Store) -> None:
    assert await store.load_run("no-such-run") is None
    assert await store.find_instance("default", "no-such-id") is None
    assert await store.find_run_view("default", "no-such-run") is None
    assert await store.runs_of_instance("default", "no-such-id") == []
    assert await store.run_input("no-such-run") is None


async def test_several_runs_in_one_transition_keep_their_own_rows(
    store: Store,
) -> None:
    runs = [a_run(), a_run(namespace="billing")]
    starts = tuple(a_start(run) for run in runs)
    await store.commit(
        Transition(changes=starts, new_instances=tuple(map(an_instance, runs)))
    )
    for run, start in zip(runs, starts, strict=True):
        state = await loaded(store, run.id)
        assert list(state.tasks) == [task.id for task in start.new_tasks]
        assert len(await full_history(store, run.id)) == 2
