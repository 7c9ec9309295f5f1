"""What a process remembers of runs, and how it is bounded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dwserver.engine.model import Event, Payload, Run, RunInput, RunState
from dwserver.engine.transition import NewActivity, ReleasedEvent, RunChange
from dwserver.engine.words import ActivityStatus, RunStatus
from dwserver.services.hot_runs import HotRuns
from tests.support.builders import (
    a_change,
    a_run,
    a_start,
    a_task,
    an_activity,
    an_event,
    leased,
)


def hot_runs(
    *, max_runs: int = 100, max_bytes: int = 1_000_000, keeps_ready: bool = True
) -> HotRuns:
    return HotRuns(max_runs=max_runs, max_bytes=max_bytes, keeps_ready=keeps_ready)


def state_after(change: RunChange) -> RunState:
    tasks = {task.id: task for task in (*change.new_tasks, *change.tasks)}
    return RunState(change.run, tasks, {}, {})


def commit(hot: HotRuns, change: RunChange) -> Run:
    hot.committed(state_after(change), change)
    return change.run


def sequences(hot: HotRuns, run: Run) -> list[bytes] | None:
    """The remembered events of a run, None when they are not."""
    entry = hot.get(run.id)
    if entry is None or entry.history is None:
        return None
    return list(entry.history.fragments)


def next_change(run: Run, *events: Event, **fields: Any) -> RunChange:
    last = max([run.last_sequence, *(event.sequence for event in events)])
    run_fields = {"last_sequence": last, **fields.pop("run_fields", {})}
    return a_change(run, events=events, run_fields=run_fields, **fields)


def test_a_run_whose_task_others_take_is_not_kept() -> None:
    hot = hot_runs(keeps_ready=False)
    run = a_run()
    ready = a_task(run)
    commit(hot, a_start(run, new_tasks=(ready,)))
    assert hot.get(run.id) is None
    assert hot.find_task(run.namespace, ready.id) is None

    commit(hot, next_change(run, tasks=(leased(ready),)))
    assert hot.get(run.id) is not None
    commit(hot, next_change(run, tasks=(ready,)))
    assert hot.get(run.id) is None
    commit(kept := hot_runs(), a_start(run, new_tasks=(ready,)))
    assert kept.get(run.id) is not None


# bounds ------------------------------------------------------------------------------


def test_the_run_not_used_for_longest_goes_first() -> None:
    hot = hot_runs(max_runs=2)
    one, two = commit(hot, a_start(a_run())), commit(hot, a_start(a_run()))
    commit(hot, next_change(one, an_event(3)))
    three = commit(hot, a_start(a_run()))
    assert [hot.get(run.id) is not None for run in (one, two, three)] == [
        True,
        False,
        True,
    ]


def test_bytes_are_bounded() -> None:
    hot = hot_runs(max_bytes=3000)
    runs = []
    for _ in range(3):
        big = an_event(3, payload=b'{"text":"%b"}' % (b"x" * 1000))
        run = commit(hot, a_start(a_run()))
        runs.append(commit(hot, next_change(run, big)))
    assert hot.get(runs[0].id) is None
    assert hot.get(runs[2].id) is not None


def test_one_run_larger_than_all_room_is_not_kept() -> None:
    hot = hot_runs(max_bytes=1000)
    small = commit(hot, a_start(a_run()))
    big = an_event(3, payload=b'{"text":"%b"}' % (b"x" * 2000))
    large = commit(hot, next_change(commit(hot, a_start(a_run())), big))
    assert hot.get(large.id) is None
    assert hot.find_task("default", next(iter(a_start(small).new_tasks)).id) is None


def test_what_was_forgotten_makes_room_again() -> None:
    hot = hot_runs(max_bytes=3000)
    for _ in range(50):
        big = an_event(3, payload=b'{"text":"%b"}' % (b"x" * 1000))
        run = commit(hot, next_change(commit(hot, a_start(a_run())), big))
        hot.drop(run.id)
    last = commit(hot, a_start(a_run()))
    assert sequences(hot, last) is not None


def test_a_closed_run_is_forgotten() -> None:
    hot = hot_runs()
    run = commit(hot, a_start(a_run()))
    commit(hot, next_change(run, run_fields={"status": RunStatus.COMPLETED}))
    assert hot.get(run.id) is None


# tasks -------------------------------------------------------------------------------


def test_open_tasks_are_found_in_their_namespace() -> None:
    hot = hot_runs()
    change = a_start(a_run())
    commit(hot, change)
    [task] = change.new_tasks
    assert hot.find_task("default", task.id) == task
    assert hot.find_task("other", task.id) is None


def test_a_task_that_closed_or_whose_run_went_is_not_found() -> None:
    hot = hot_runs()
    run = a_run()
    [first], [second] = (a_start(run).new_tasks, [a_task(run)])
    hot.loaded(RunState(run, {first.id: first, second.id: second}, {}, {}))
    change = a_change(run)
    hot.committed(RunState(change.run, {second.id: second}, {}, {}), change)
    assert hot.find_task("default", first.id) is None
    assert hot.find_task("default", second.id) == second
    hot.drop(run.id)
    assert hot.find_task("default", second.id) is None


def test_what_is_loaded_replaces_what_was_known() -> None:
    hot = hot_runs()
    change = a_start(a_run())
    run = commit(hot, change)
    hot.loaded(RunState(replace(run, version=9), {}, {}, {}))
    entry = hot.get(run.id)
    assert entry is not None
    assert entry.state.run.version == 9
    assert entry.history is None
    assert hot.find_task("default", change.new_tasks[0].id) is None


# history -----------------------------------------------------------------------------


def test_the_history_of_a_run_started_here_is_complete() -> None:
    hot = hot_runs()
    run = commit(hot, a_start(a_run()))
    run = commit(hot, next_change(run, an_event(3), an_event(4)))
    fragments = sequences(hot, run)
    assert fragments is not None
    assert [b'"sequence":%d,' % n in text for n, text in enumerate(fragments, 1)] == [
        True
    ] * 4


def test_a_loaded_run_has_no_history_until_it_is_read_whole() -> None:
    hot = hot_runs()
    run = a_run(last_sequence=2)
    hot.loaded(RunState(run, {}, {}, {}))
    hot.remember_history(run.id, [b"{1}"], after=0)
    assert sequences(hot, run) is None
    hot.remember_history(run.id, [b"{1}", b"{2}"], after=0)
    assert sequences(hot, run) == [b"{1}", b"{2}"]
    run = commit(hot, next_change(run, an_event(3)))
    assert len(sequences(hot, run) or ()) == 3


def test_what_was_true_of_a_stale_copy_is_kept() -> None:
    hot = hot_runs(max_bytes=20)
    run = a_run(last_sequence=2)
    was = hot.loaded(RunState(run, {}, {}, {}))
    hot.remember_history(run.id, [b"{1}", b"{2}"], after=0)
    hot.remember_input(run.id, given := RunInput(arguments=None))
    hot.drop(run.id)
    newer = RunState(replace(run, version=9, last_sequence=4), {}, {}, {})
    again = hot.loaded(newer, was=was)
    assert again.input == given
    assert sequences(hot, run) == [b"{1}", b"{2}"]
    # Somebody else has read the rest meanwhile, or not all of it.
    hot.remember_history(run.id, [b"{4}"], after=3)
    hot.remember_history(run.id, [b"{3}"], after=2)
    assert sequences(hot, run) == [b"{1}", b"{2}"]
    hot.remember_history(run.id, [b"{3}", b"{4}"], after=2)
    assert sequences(hot, run) == [b"{1}", b"{2}", b"{3}", b"{4}"]
    # Twelve bytes are counted once: another run of nine is one too many.
    other = a_run(last_sequence=3)
    hot.loaded(RunState(other, {}, {}, {}))
    hot.remember_history(other.id, [b"{1}", b"{2}", b"{3}"], after=0)
    hot.loaded(RunState(a_run(), {}, {}, {}))
    assert hot.get(run.id) is None
    assert hot.get(other.id) is not None


def test_a_history_with_a_gap_is_read_anew() -> None:
    hot = hot_runs()
    run = a_run(last_sequence=2)
    was = hot.loaded(RunState(run, {}, {}, {}))
    hot.remember_history(run.id, [b"{1}", b"{2}"], after=0)
    longer = replace(run, last_sequence=4)
    hot.loaded(RunState(longer, {}, {}, {}), was=was)
    commit(hot, next_change(longer, an_event(5)))
    assert sequences(hot, run) is None
    shorter = replace(run, last_sequence=1)
    hot.loaded(RunState(shorter, {}, {}, {}), was=was)
    assert sequences(hot, run) is None


def test_a_held_event_takes_its_place_when_it_is_released() -> None:
    hot = hot_runs()
    run = commit(hot, a_start(a_run()))
    held = an_event(-7, payload=b'{"step":7}')
    run = commit(hot, next_change(run, held))
    assert len(sequences(hot, run) or ()) == 2
    release = (ReleasedEvent(-7, 4, held.recorded_at + 1),)
    change = next_change(
        run, an_event(3), released=release, run_fields={"last_sequence": 4}
    )
    run = commit(hot, change)
    fragments = sequences(hot, run)
    assert fragments is not None
    assert held.id.encode() in fragments[3]
    assert b'"sequence":4,' in fragments[3]


@pytest.mark.parametrize(
    "change",
    [
        # Held before this process knew the run.
        {"released": (ReleasedEvent(-7, 3, 0),)},
        {"events": (an_event(4),)},
        # Each reader gets it in another framing.
        {"events": (an_event(3, has_plain=True),)},
    ],
    ids=["unknown held event", "gap", "plain payload"],
)
def test_a_history_that_cannot_be_followed_is_dropped(change: dict[str, Any]) -> None:
    hot = hot_runs()
    run = commit(hot, a_start(a_run()))
    run = commit(hot, a_change(run, run_fields={"last_sequence": 4}, **change))
    assert hot.get(run.id) is not None
    assert sequences(hot, run) is None


# inputs and arguments ----------------------------------------------------------------


def test_inputs_are_kept() -> None:
    hot = hot_runs()
    change = a_start(a_run())
    run = commit(hot, change)
    entry = hot.get(run.id)
    assert entry is not None
    assert entry.input == change.input
    hot.loaded(RunState(run, {}, {}, {}))
    read = RunInput(arguments=Payload("avro", "BBBB"))
    hot.remember_input(run.id, read)
    entry = hot.get(run.id)
    assert entry is not None
    assert entry.input == read
    hot.remember_input("unknown", read)
    assert hot.get("unknown") is None


def test_arguments_of_open_activities_are_kept() -> None:
    hot = hot_runs()
    run = commit(hot, a_start(a_run()))
    one, two = an_activity(run, step=1), an_activity(run, step=2)
    scheduled = (NewActivity(one, Payload("avro", "ONE")), NewActivity(two, None))
    run = commit(hot, next_change(run, new_activities=scheduled))
    entry = hot.get(run.id)
    assert entry is not None
    assert entry.arguments == {one.id: Payload("avro", "ONE"), two.id: None}
    done = replace(one, status=ActivityStatus.COMPLETED)
    run = commit(hot, next_change(run, activities=(done,)))
    entry = hot.get(run.id)
    assert entry is not None
    assert entry.arguments == {two.id: None}
