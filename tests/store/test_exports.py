"""Everything about one run: rows that have ended are there as well."""

from __future__ import annotations

from dataclasses import replace

from dwserver.engine.model import AppliedCommand
from dwserver.engine.transition import NewActivity, Transition
from dwserver.engine.words import (
    ActivityStatus,
    ChildStatus,
    RunStatus,
    SignalStatus,
    TimerStatus,
    UpdateStatus,
    WaitStatus,
)
from dwserver.store.api import Store
from tests.support.builders import (
    NOON,
    a_change,
    a_child,
    a_closed_attempt,
    a_command,
    a_run,
    a_signal,
    a_start_transition,
    a_task,
    a_timer,
    a_wait,
    an_activity,
    an_activity_task,
    an_update,
    closed,
    leased,
)


async def test_a_run_and_all_that_it_has_had(store: Store) -> None:
    run = a_run(status=RunStatus.WAITING)
    activity = an_activity(run, step=1)
    timer, child, wait = (
        a_timer(run, step=2),
        a_child(run, step=3),
        a_wait(run, step=4),
    )
    command = a_command(run, sequence=2)
    signal = a_signal(run, sequence=2)
    update = an_update(run, sequence=3)
    task = a_task(run)
    activity_task = leased(an_activity_task(activity, run, attempt_id="ATTEMPT"))
    start = a_start_transition(
        run,
        new_tasks=(task, activity_task),
        new_activities=(NewActivity(activity, None),),
        new_timers=(timer,),
        new_children=(child,),
        new_waits=(wait,),
        new_signals=(signal,),
        new_updates=(update,),
        commands=(command,),
    )
    assert await store.commit(start)
    over = {"closed_at": NOON}
    ended = a_change(
        run,
        tasks=(closed(task),),
        activities=(replace(activity, status=ActivityStatus.COMPLETED, **over),),
        timers=(replace(timer, status=TimerStatus.FIRED, **over),),
        children=(replace(child, status=ChildStatus.FAILED, **over),),
        waits=(replace(wait, status=WaitStatus.SATISFIED, **over),),
        signals=(replace(signal, status=SignalStatus.APPLIED, applied_at=NOON),),
        updates=(replace(update, status=UpdateStatus.COMPLETED, **over),),
        attempts=(a_closed_attempt(activity_task),),
        applied_commands=(AppliedCommand(2, "signal_received", NOON),),
        run_fields={"last_step": 4, "batch_first": 5},
    )
    assert await store.commit(Transition(changes=(ended,)))
    other = a_run(workflow_id="other")
    assert await store.commit(
        a_start_transition(other, new_timers=(a_timer(other, step=1),))
    )
    whole = await store.whole_run(ended.run)
    rows = whole.rows
    assert rows.run == ended.run
    assert tuple(rows.activities.values()) == ended.activities
    assert tuple(rows.timers.values()) == ended.timers
    assert tuple(rows.children.values()) == ended.children
    assert tuple(rows.waits.values()) == ended.waits
    assert tuple(rows.signals.values()) == ended.signals
    assert tuple(rows.updates.values()) == ended.updates
    [found] = whole.commands
    assert (found.outcome, found.applied_at) == ("signal_received", NOON)
    tasks = await store.tasks_by_id([activity_task.id, task.id, "no-such-task"])
    assert {each.id: each.status for each in tasks} == {
        task.id: closed(task).status,
        activity_task.id: activity_task.status,
    }
    [attempt] = await store.closed_attempts_by_id(["no-such-attempt", "ATTEMPT"])
    assert attempt == ended.attempts[0]
    assert await store.tasks_by_id([]) == []


async def test_a_run_without_anything(store: Store) -> None:
    run = a_run()
    assert await store.commit(a_start_transition(run))
    whole = await store.whole_run(run)
    assert not whole.rows.timers
    assert [command.command_type for command in whole.commands] == ["start"]
