"""Lanes, conflicts and failures of decisions about runs (``architecture.md §3.2``)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from dwserver.engine.draft import Draft
from dwserver.engine.model import RunInput, RunState
from dwserver.engine.outcome import Rejection
from dwserver.engine.wakes import new_workflow_task
from dwserver.engine.words import EventType, TaskKind, TaskStatus
from dwserver.matching.pollers import Poller
from dwserver.services.runs import MAX_ATTEMPTS, RunContended, RunNotFound
from dwserver.store.api import QueueKey, Store, StoreError, StoreUnavailable
from tests.services.run_room import (
    REFUSED,
    RunRoom,
    failing,
    note,
    noting,
    refusing,
)


@pytest.fixture
async def room(sqlite_store: Store) -> AsyncIterator[RunRoom]:
    room = RunRoom(sqlite_store)
    yield room
    await room.supervisor.stop()


@pytest.fixture
async def other(sqlite_store: Store) -> AsyncIterator[RunRoom]:
    """Another process on the same database."""
    room = RunRoom(sqlite_store, first_id=10**9)
    yield room
    await room.supervisor.stop()


async def in_lane() -> None:
    """The callers made so far have had their turn to line up."""
    await asyncio.sleep(0)


async def nothing() -> None:
    """The call goes on undisturbed."""


def changes_and_refuses(draft: Draft) -> Rejection:
    noting("half")(draft)
    return REFUSED


def a_poller(worker_id: str = "worker-1") -> Poller:
    key = QueueKey("default", "orders", TaskKind.WORKFLOW)
    return Poller(key, worker_id, None, None, lambda: True)


# lanes -------------------------------------------------------------------------------


async def test_commands_for_one_run_share_a_commit(room: RunRoom) -> None:
    run = await room.started()
    texts = [f"n{number}" for number in range(5)]
    async with room.faults.holding("commit") as held:
        [first] = room.ask(run.id, noting("first"))
        await held.reached()
        asked = room.ask(run.id, *map(noting, texts))
        await in_lane()
        held.release()
        assert await first == "first"
        assert await asyncio.gather(*asked) == texts
    assert room.faults.calls["commit"] == 3  # the start, the first one, all others
    assert await room.steps_of(run.id) == [note("first"), *map(note, texts)]
    assert (await room.state(run.id)).run.version == 3


async def test_a_later_command_sees_what_an_earlier_one_decided(room: RunRoom) -> None:
    run = await room.started()

    def count(draft: Draft) -> int:
        return draft.last_sequence

    found = await asyncio.gather(
        *room.ask(run.id, noting("a"), count, noting("b"), count)
    )
    assert found == ["a", 3, "b", 4]


async def test_a_long_lane_is_committed_in_parts(room: RunRoom) -> None:
    run = await room.started()
    texts = [f"n{number}" for number in range(150)]
    assert await asyncio.gather(*room.ask(run.id, *map(noting, texts))) == texts
    assert await room.steps_of(run.id) == [note(text) for text in texts]
    assert 3 <= room.faults.calls["commit"] <= 10


async def test_a_decision_that_changes_nothing_costs_no_commit(room: RunRoom) -> None:
    run = await room.started()
    assert await room.runs.decide(run.id, lambda draft: draft.run.id) == run.id
    assert room.faults.calls == {"commit": 1}


async def test_runs_do_not_wait_for_each_other(room: RunRoom) -> None:
    one, two = await room.started("order-1"), await room.started("order-2")
    room.hot.drop(one.id)
    async with room.faults.holding("load_run") as held:
        [slow] = room.ask(one.id, noting("slow"))
        await held.reached()
        assert await room.runs.decide(two.id, noting("quick")) == "quick"
        assert not slow.done()
    assert await slow == "slow"


async def test_a_cold_run_is_read_once_for_all(room: RunRoom, other: RunRoom) -> None:
    run = await other.started()
    await asyncio.gather(*room.ask(run.id, noting("a"), noting("b"), noting("c")))
    await room.runs.decide(run.id, noting("d"))
    assert room.faults.calls["load_run"] == 1


# conflicts ---------------------------------------------------------------------------


async def test_after_a_conflict_all_is_decided_again_on_fresh_state(
    room: RunRoom, other: RunRoom
) -> None:
    run = await room.started()
    await other.runs.decide(run.id, noting("theirs"))
    asked = room.ask(run.id, noting("a"), noting("b"))
    assert await asyncio.gather(*asked) == ["a", "b"]
    assert await room.steps_of(run.id) == [note("theirs"), note("a"), note("b")]
    assert room.commits.conflicts == 1


async def test_a_rejection_on_hot_state_is_decided_again_on_fresh_state(
    room: RunRoom, other: RunRoom
) -> None:
    run = await room.started()
    await other.runs.decide(run.id, noting("theirs"))

    def only_after_theirs(draft: Draft) -> object:
        return REFUSED if draft.last_sequence < 3 else "allowed"

    assert await room.runs.decide(run.id, only_after_theirs) == "allowed"


async def test_a_rejection_on_fresh_state_is_the_answer(room: RunRoom) -> None:
    run = await room.started()
    refused, done = await asyncio.gather(*room.ask(run.id, refusing, noting("a")))
    assert refused is REFUSED
    assert done == "a"
    assert await room.steps_of(run.id) == [note("a")]
    assert room.faults.calls["load_run"] == 1


async def test_a_run_that_others_keep_changing_is_contended(room: RunRoom) -> None:
    run = await room.started()
    room.faults.refuse_next_commits(MAX_ATTEMPTS)
    with pytest.raises(RunContended):
        await room.runs.decide(run.id, noting("a"))
    assert room.commits.conflicts == MAX_ATTEMPTS
    assert await room.runs.decide(run.id, noting("b")) == "b"
    assert await room.steps_of(run.id) == [note("b")]


async def test_one_attempt_less_is_no_contention(room: RunRoom) -> None:
    run = await room.started()
    room.faults.refuse_next_commits(MAX_ATTEMPTS - 1)
    assert await room.runs.decide(run.id, noting("a")) == "a"
    assert await room.steps_of(run.id) == [note("a")]


async def test_an_unknown_run(room: RunRoom) -> None:
    with pytest.raises(RunNotFound):
        await room.runs.decide("nobody", noting("a"))


# failures ----------------------------------------------------------------------------


async def test_a_decision_that_fails_does_not_disturb_its_neighbours(
    room: RunRoom,
) -> None:
    run = await room.started()
    found = await asyncio.gather(
        *room.ask(run.id, noting("a"), failing, noting("b")), return_exceptions=True
    )
    assert found[0] == "a"
    assert isinstance(found[1], ValueError)
    assert found[2] == "b"
    assert await room.steps_of(run.id) == [note("a"), note("b")]


async def test_those_who_share_a_commit_with_failing_ones(room: RunRoom) -> None:
    run = await room.started()
    async with room.faults.holding("commit") as held:
        [first] = room.ask(run.id, noting("first"))
        await held.reached()
        asked = room.ask(
            run.id, noting("a"), failing, noting("b"), changes_and_refuses, noting("c")
        )
        await in_lane()
        held.release()
        await first
        found = await asyncio.gather(*asked, return_exceptions=True)
    assert [found[0], found[2], found[4]] == ["a", "b", "c"]
    assert isinstance(found[1], ValueError)
    assert isinstance(found[3], RuntimeError)
    assert await room.steps_of(run.id) == [
        note("first"),
        note("a"),
        note("b"),
        note("c"),
    ]
    assert room.faults.calls["commit"] == 3


async def test_what_a_failing_decision_recorded_is_forgotten(room: RunRoom) -> None:
    run = await room.started()

    def notes_and_fails(draft: Draft) -> object:
        noting("half")(draft)
        return failing(draft)

    found = await asyncio.gather(
        *room.ask(run.id, notes_and_fails, noting("whole")), return_exceptions=True
    )
    assert isinstance(found[0], ValueError)
    assert await room.steps_of(run.id) == [note("whole")]


async def test_a_rejection_that_changed_the_run_is_a_bug_of_that_caller(
    room: RunRoom,
) -> None:
    run = await room.started()
    found = await asyncio.gather(
        *room.ask(run.id, noting("a"), changes_and_refuses, noting("b")),
        return_exceptions=True,
    )
    assert found[0] == "a"
    assert isinstance(found[1], RuntimeError)
    assert found[2] == "b"
    assert await room.steps_of(run.id) == [note("a"), note("b")]


async def test_a_commit_that_fails_reaches_all_who_share_it(room: RunRoom) -> None:
    run = await room.started()
    async with room.faults.holding("commit") as held:
        [first] = room.ask(run.id, noting("a"))
        await held.reached()
        asked = room.ask(run.id, noting("b"), noting("c"))
        await in_lane()
        room.faults.before_next("commit", nothing)
        room.faults.fail_next("commit", StoreUnavailable("gone"))
        held.release()
        assert await first == "a"
        found = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(error) for error in found] == [StoreUnavailable] * 2
    assert await room.runs.decide(run.id, noting("d")) == "d"
    assert await room.steps_of(run.id) == [note("a"), note("d")]


async def test_a_load_that_fails_reaches_all_who_share_it(room: RunRoom) -> None:
    run = await room.started()
    async with room.faults.holding("commit") as held:
        [first] = room.ask(run.id, noting("a"))
        await held.reached()
        asked = room.ask(run.id, noting("b"), noting("c"))
        await in_lane()
        room.faults.fail_next("commit", StoreUnavailable("gone"))
        room.faults.fail_next("load_run", StoreUnavailable("still gone"))
        held.release()
        found = await asyncio.gather(first, *asked, return_exceptions=True)
    assert [type(error) for error in found] == [StoreUnavailable] * 3
    assert await room.runs.decide(run.id, noting("d")) == "d"
    assert await room.steps_of(run.id) == [note("d")]


async def test_a_failure_does_not_reach_those_who_come_after(room: RunRoom) -> None:
    run = await room.started()
    async with room.faults.holding("commit") as held:
        [first] = room.ask(run.id, noting("a"))
        await held.reached()
        [second] = room.ask(run.id, noting("b"))
        await in_lane()
        room.faults.fail_next("commit", StoreUnavailable("gone"))
        held.release()
        with pytest.raises(StoreUnavailable):
            await first
        assert await second == "b"
    assert await room.steps_of(run.id) == [note("b")]


async def test_after_an_unknown_outcome_the_run_is_read_again(room: RunRoom) -> None:
    run = await room.started()
    room.faults.lose_next_commit_answer()
    with pytest.raises(StoreError) as raised:
        await room.runs.decide(run.id, noting("a"))
    assert raised.value.is_applied_unknown
    assert await room.runs.decide(run.id, noting("b")) == "b"
    assert room.faults.calls["load_run"] == 1
    assert await room.steps_of(run.id) == [note("a"), note("b")]


async def test_a_caller_that_stops_waiting_does_not_stop_the_others(
    room: RunRoom,
) -> None:
    run = await room.started()
    async with room.faults.holding("commit") as held:
        [first] = room.ask(run.id, noting("a"))
        await held.reached()
        gone, stays = room.ask(run.id, noting("b"), noting("c"))
        await in_lane()
        gone.cancel()
        held.release()
        assert await first == "a"
        assert await stays == "c"
    with pytest.raises(asyncio.CancelledError):
        await gone
    # Its command had been accepted.
    assert await room.steps_of(run.id) == [note("a"), note("b"), note("c")]


# new runs ----------------------------------------------------------------------------


async def test_a_workflow_id_that_is_taken(room: RunRoom, other: RunRoom) -> None:
    await other.started()
    with pytest.raises(AssertionError):
        await room.started()
    assert room.commits.changes == []
    assert await room.started("order-2") is not None


async def test_a_continued_run_is_committed_with_its_predecessor(
    room: RunRoom,
) -> None:
    run = await room.started()

    def continue_(draft: Draft) -> str:
        following = replace(
            draft.run, id="following", run_number=2, last_sequence=0, command_sequence=0
        )
        new = Draft.of_new_run(following, RunInput(arguments=None), draft.context)
        new.append(EventType.WORKFLOW_STARTED, {})
        new_workflow_task(new, {})
        draft.created.append(new)
        draft.append(EventType.WORKFLOW_CONTINUED_AS_NEW, {})
        return following.id

    assert await room.runs.decide(run.id, continue_) == "following"
    assert room.faults.calls["commit"] == 2
    assert len((await room.state("following")).tasks) == 1
    assert await room.runs.decide("following", noting("a")) == "a"
    assert room.faults.calls["load_run"] == 0
    assert {change.run.id for change in room.commits.changes} == {run.id, "following"}


# hand-off ----------------------------------------------------------------------------


async def test_a_new_task_is_written_leased_to_the_waiting_poller(
    room: RunRoom,
) -> None:
    poller = a_poller()
    room.hand_offs.pollers.append(poller)
    run = await room.started()
    [(served, delivery)] = room.hand_offs.delivered
    assert served is poller
    task = delivery.leased.task
    assert (task.status, task.lease_owner, task.attempt) == (
        TaskStatus.LEASED,
        "worker-1",
        1,
    )
    assert task.snapshot_sequence == 2
    assert (await room.state(run.id)).tasks == {task.id: task}
    assert room.faults.calls["commit"] == 1
    assert room.hand_offs.ready == []


async def test_without_a_poller_matching_is_told_of_the_task(room: RunRoom) -> None:
    run = await room.started()
    [task] = room.hand_offs.ready
    assert (await room.state(run.id)).tasks == {task.id: task}


async def test_nobody_is_told_before_the_commit(room: RunRoom) -> None:
    room.hand_offs.pollers.append(a_poller())
    async with room.faults.holding("commit") as held:
        starting = asyncio.create_task(room.started())
        await held.reached()
        assert room.hand_offs.delivered == []
        assert room.commits.changes == []
    await starting
    assert len(room.hand_offs.delivered) == 1


async def test_the_poller_goes_back_when_nothing_was_written(room: RunRoom) -> None:
    await room.started()
    poller = a_poller()
    room.hand_offs.pollers.append(poller)
    with pytest.raises(AssertionError):
        await room.started()
    room.faults.fail_next("commit", StoreUnavailable("gone"))
    with pytest.raises(StoreUnavailable):
        await room.started("order-2")
    assert room.hand_offs.returned == [poller, poller]
    assert room.hand_offs.delivered == []


async def test_after_a_conflict_the_task_is_handed_off_all_the_same(
    room: RunRoom,
) -> None:
    run = await room.started()
    await room.runs.decide(run.id, lambda draft: noting("a")(draft))
    poller = a_poller()
    room.hand_offs.pollers.append(poller)
    room.faults.refuse_next_commits()

    def another_task(draft: Draft) -> str:
        return new_workflow_task(draft, {}).id

    task_id = await room.runs.decide(run.id, another_task)
    [(served, delivery)] = room.hand_offs.delivered
    assert served is poller
    assert room.hand_offs.returned == [poller]
    assert delivery.leased.task.id == task_id
    assert (await room.state(run.id)).tasks[task_id].lease_owner == "worker-1"


async def test_a_task_for_later_is_not_handed_off(room: RunRoom) -> None:
    run = await room.started()
    poller = a_poller()
    room.hand_offs.pollers.append(poller)
    await room.runs.decide(
        run.id, lambda draft: new_workflow_task(draft, {}, delay=1).id
    )
    assert room.hand_offs.delivered == []
    assert room.hand_offs.pollers == [poller]
    assert len(room.hand_offs.ready) == 2


# preparation -------------------------------------------------------------------------


async def test_each_decision_of_a_batch_has_its_own_preparation(room: RunRoom) -> None:
    run = await room.started()
    read: dict[str, int] = {}

    def reading(text: str) -> asyncio.Task[str]:
        async def prepare(state: RunState) -> None:
            read[text] = state.run.last_sequence

        def decide(draft: Draft) -> str:
            return noting(f"{text} at {read[text]}")(draft)

        return asyncio.create_task(room.runs.decide(run.id, decide, prepare=prepare))

    async with room.faults.holding("commit") as held:
        [first] = room.ask(run.id, noting("first"))
        await held.reached()
        asked = [reading("a"), reading("b")]
        await in_lane()
        held.release()
        await first
    assert await asyncio.gather(*asked) == ["a at 3", "b at 3"]
    assert room.faults.calls["commit"] == 3


async def test_a_conflict_prepares_again_on_the_fresh_state(
    room: RunRoom, other: RunRoom
) -> None:
    run = await room.started()
    await other.runs.decide(run.id, noting("theirs"))
    seen: list[int] = []

    async def prepare(state: RunState) -> None:
        seen.append(state.run.last_sequence)

    await room.runs.decide(run.id, noting("ours"), prepare=prepare)
    assert seen == [2, 3]


async def test_a_preparation_that_fails_does_not_disturb_its_neighbours(
    room: RunRoom,
) -> None:
    run = await room.started()

    async def prepare(state: RunState) -> None:
        raise StoreUnavailable("gone")

    async with room.faults.holding("commit") as held:
        [first] = room.ask(run.id, noting("first"))
        await held.reached()
        lost = asyncio.create_task(
            room.runs.decide(run.id, noting("lost"), prepare=prepare)
        )
        [kept] = room.ask(run.id, noting("kept"))
        await in_lane()
        held.release()
        await first
    with pytest.raises(StoreUnavailable):
        await lost
    assert await kept == "kept"
    assert await room.steps_of(run.id) == [note("first"), note("kept")]
