"""The group commit, with writes that end when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from dwserver.engine.transition import Transition
from dwserver.store.api import StoreError, StoreUnavailable
from dwserver.store.combiner import Combiner, LoadCombiner
from tests.store.one_activity_run import OneActivityRun
from tests.support.waiting import eventually

Batch = list[str]


def start(name: str) -> Transition:
    return OneActivityRun(name).start()


def schedule(name: str) -> Transition:
    return OneActivityRun(name).schedule()


def joined(*transitions: Transition) -> Transition:
    return Transition(changes=tuple(t.changes[0] for t in transitions))


def names_of(transitions: Sequence[Transition]) -> Batch:
    """Run names and versions: ``a1`` is the start of run a, ``a2`` its next change."""
    return [
        "+".join(
            f"{change.run.id.removeprefix('run-')}{change.run.version}"
            for change in transition.changes
        )
        for transition in transitions
    ]


@dataclass
class Writes:
    """Stands for the database: each write waits for its outcome."""

    begun: list[Batch] = field(default_factory=list)
    outcomes: list[asyncio.Future[list[bool]]] = field(default_factory=list)

    async def write(self, transitions: Sequence[Transition]) -> list[bool]:
        self.begun.append(names_of(transitions))
        outcome: asyncio.Future[list[bool]]
        outcome = asyncio.get_running_loop().create_future()
        self.outcomes.append(outcome)
        return await outcome

    def succeed(self, position: int) -> None:
        self.outcomes[position].set_result([True] * len(self.begun[position]))

    def fail(self, position: int, error: Exception) -> None:
        self.outcomes[position].set_exception(error)

    def succeed_all(self) -> None:
        for position, outcome in enumerate(self.outcomes):
            if not outcome.done():
                self.succeed(position)


async def settle() -> None:
    """Let everything run that can run."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def writes() -> Writes:
    return Writes()


@pytest.fixture
async def combiner(writes: Writes) -> AsyncIterator[Combiner]:
    combiner = Combiner(writes.write, overlap_from=1)
    yield combiner
    closing = asyncio.create_task(combiner.close())
    while not closing.done():
        await settle()
        writes.succeed_all()
    await closing


def commit(combiner: Combiner, transition: Transition) -> asyncio.Task[bool]:
    return asyncio.create_task(combiner.commit(transition))


async def test_what_arrives_in_one_turn_shares_a_write(
    combiner: Combiner, writes: Writes
) -> None:
    commits = [commit(combiner, start(name)) for name in "abc"]
    await settle()
    assert writes.begun == [["a1", "b1", "c1"]]
    writes.outcomes[0].set_result([True, False, True])
    assert await asyncio.gather(*commits) == [True, False, True]


async def test_while_writes_are_under_way_the_next_batch_collects(
    combiner: Combiner, writes: Writes
) -> None:
    for name in "abcde":
        commit(combiner, start(name))
        await settle()
    assert writes.begun == [["a1"], ["b1"]]
    writes.succeed(1)
    await settle()
    assert writes.begun == [["a1"], ["b1"], ["c1", "d1", "e1"]]


@pytest.mark.parametrize(
    "limits", [{"max_transitions": 2}, {"max_rows": 11}], ids=["count", "rows"]
)
async def test_batches_are_bounded(writes: Writes, limits: Mapping[str, int]) -> None:
    combiner = Combiner(writes.write, max_in_flight=2, overlap_from=1, **limits)
    for name in "abcde":
        commit(combiner, start(name))
    await settle()
    assert writes.begun == [["a1", "b1"], ["c1", "d1"]]
    writes.succeed_all()
    await settle()
    assert writes.begun[2:] == [["e1"]]
    writes.succeed_all()
    await combiner.close()


async def test_a_transition_above_the_row_limit_goes_alone(writes: Writes) -> None:
    combiner = Combiner(writes.write, max_rows=1, overlap_from=1)
    commit(combiner, start("a"))
    commit(combiner, start("b"))
    await settle()
    assert writes.begun == [["a1"], ["b1"]]
    writes.succeed_all()
    await combiner.close()


async def test_changes_of_one_run_follow_each_other_in_order(
    combiner: Combiner, writes: Writes
) -> None:
    run = OneActivityRun("a")
    for transition in run.transitions():
        commit(combiner, transition)
    commit(combiner, start("b"))
    await settle()
    assert writes.begun == [["a1", "b1"]]
    for position, expected in enumerate((["a2"], ["a3"], ["a4"])):
        writes.succeed(position)
        await settle()
        assert writes.begun[position + 1] == expected


async def test_a_run_under_way_is_not_written_by_the_other_writer(
    combiner: Combiner, writes: Writes
) -> None:
    commit(combiner, start("a"))
    await settle()
    commit(combiner, schedule("a"))
    commit(combiner, start("b"))
    await settle()
    assert writes.begun == [["a1"], ["b1"]]
    writes.succeed(0)
    await settle()
    assert writes.begun[2] == ["a2"]


async def test_a_change_of_two_runs_waits_for_both(
    combiner: Combiner, writes: Writes
) -> None:
    commit(combiner, start("a"))
    await settle()
    commit(combiner, start("b"))
    await settle()
    commit(combiner, joined(schedule("a"), schedule("b")))
    late = OneActivityRun("b").complete_activity()
    commit(combiner, late)
    writes.succeed(0)
    await settle()
    assert len(writes.begun) == 2
    writes.succeed(1)
    await settle()
    assert writes.begun[2:] == [["a2+b2"]]
    writes.succeed(2)
    await settle()
    assert writes.begun[3:] == [["b3"]]


async def test_children_of_one_parent_follow_each_other(
    combiner: Combiner, writes: Writes
) -> None:
    """Each closes in a transition that changes the parent as well."""
    parent = OneActivityRun("p")
    for name, outcome in zip("abc", parent.transitions()[1:], strict=True):
        commit(combiner, joined(start(name), outcome))
    commit(combiner, start("d"))
    await settle()
    assert writes.begun == [["a1+p2", "d1"]]
    for position, expected in enumerate((["b1+p3"], ["c1+p4"])):
        writes.succeed(position)
        await settle()
        assert writes.begun[position + 1 :] == [expected]


async def test_a_family_waits_for_each_of_its_runs(
    combiner: Combiner, writes: Writes
) -> None:
    """The start of several children, and what concerns one of them before and after."""
    commit(combiner, start("p"))
    await settle()
    family = joined(schedule("p"), start("a"), start("b"))
    commit(combiner, family)
    commit(combiner, schedule("b"))
    commit(combiner, joined(OneActivityRun("p").complete_activity(), schedule("a")))
    await settle()
    assert writes.begun == [["p1"]]
    writes.succeed(0)
    await settle()
    assert writes.begun[1:] == [["p2+a1+b1"]]
    writes.succeed(1)
    await settle()
    [together] = writes.begun[2:]
    assert sorted(together) == ["b2", "p3+a2"]


@pytest.mark.parametrize("seed", range(8))
async def test_runs_are_never_shared_and_never_overtaken(seed: int) -> None:
    """Transitions of one to three runs each, at random."""
    random = Random(seed)
    versions = dict.fromkeys("abcdef", 0)
    under_way: set[str] = set()
    written: dict[str, list[int]] = {name: [] for name in versions}

    async def write(transitions: Sequence[Transition]) -> list[bool]:
        changes = [change for t in transitions for change in t.changes]
        runs = [change.run.id for change in changes]
        assert len(set(runs)) == len(runs)
        assert under_way.isdisjoint(runs)
        under_way.update(runs)
        for _ in range(random.randrange(4)):
            await asyncio.sleep(0)
        for change in changes:
            name = change.run.id.removeprefix("run-")
            written[name].append(change.run.version)
        under_way.difference_update(runs)
        return [True] * len(transitions)

    combiner = Combiner(write, max_in_flight=3, overlap_from=1, max_transitions=4)
    commits = []
    for _ in range(60):
        family = random.sample(sorted(versions), k=random.randint(1, 3))
        changes = []
        for name in family:
            versions[name] += 1
            [change] = start(name).changes
            run = replace(change.run, version=versions[name])
            changes.append(replace(change, run=run))
        commits.append(commit(combiner, Transition(changes=tuple(changes))))
        if random.random() < 0.3:
            await asyncio.sleep(0)
    assert all(await asyncio.gather(*commits))
    await combiner.close()
    assert written == {name: [*range(1, n + 1)] for name, n in versions.items()}


async def test_one_workflow_id_is_reserved_by_one_at_a_time(
    combiner: Combiner, writes: Writes
) -> None:
    first, second = OneActivityRun("a"), OneActivityRun("b")
    rival = replace(second.start(), new_instances=(first.instance,))
    commit(combiner, first.start())
    commit(combiner, rival)
    elsewhere = OneActivityRun("c", namespace="other")
    same_id = replace(elsewhere.instance, workflow_id=first.run.workflow_id)
    commit(combiner, replace(elsewhere.start(), new_instances=(same_id,)))
    await settle()
    assert writes.begun == [["a1", "c1"]]


async def test_a_statement_error_makes_the_members_go_alone(
    combiner: Combiner, writes: Writes
) -> None:
    commits = [commit(combiner, start(name)) for name in "abc"]
    await settle()
    writes.fail(0, StoreError("some row is wrong"))
    await settle()
    assert writes.begun[1:] == [["a1"]]
    writes.succeed(1)
    await settle()
    assert writes.begun[2:] == [["b1"]]
    writes.fail(2, StoreError("this row is wrong"))
    await settle()
    assert writes.begun[3:] == [["c1"]]
    writes.succeed(3)
    results = await asyncio.gather(*commits, return_exceptions=True)
    assert results[0] is True
    assert results[2] is True
    assert isinstance(results[1], StoreError)
    assert str(results[1]) == "this row is wrong"


async def test_members_that_go_alone_still_hold_their_runs(
    combiner: Combiner, writes: Writes
) -> None:
    commit(combiner, start("a"))
    commit(combiner, start("b"))
    commit(combiner, schedule("a"))
    await settle()
    writes.fail(0, StoreError("some row is wrong"))
    await settle()
    writes.succeed(1)
    await settle()
    assert writes.begun == [["a1", "b1"], ["a1"], ["b1"]]
    writes.succeed(2)
    await settle()
    assert writes.begun[3:] == [["a2"]]


@pytest.mark.parametrize("is_unknown", [False, True])
async def test_a_lost_database_fails_all_members_at_once(
    combiner: Combiner, writes: Writes, *, is_unknown: bool
) -> None:
    commits = [commit(combiner, start(name)) for name in "ab"]
    await settle()
    writes.fail(0, StoreUnavailable("gone", is_applied_unknown=is_unknown))
    results = await asyncio.gather(*commits, return_exceptions=True)
    assert len(writes.begun) == 1
    assert results[0] is not results[1]
    for result in results:
        assert isinstance(result, StoreUnavailable)
        assert result.is_applied_unknown is is_unknown


async def test_a_database_lost_between_members_spares_the_rest_the_doubt(
    combiner: Combiner, writes: Writes
) -> None:
    commits = [commit(combiner, start(name)) for name in "abc"]
    await settle()
    writes.fail(0, StoreError("some row is wrong"))
    await settle()
    writes.fail(1, StoreUnavailable("gone", is_applied_unknown=True))
    results = await asyncio.gather(*commits, return_exceptions=True)
    assert len(writes.begun) == 2
    doubts = [
        result.is_applied_unknown
        for result in results
        if isinstance(result, StoreUnavailable)
    ]
    assert doubts == [True, False, False]


async def test_an_unforeseen_error_reaches_the_waiters_and_frees_the_runs(
    combiner: Combiner, writes: Writes
) -> None:
    first = commit(combiner, start("a"))
    second = commit(combiner, schedule("a"))
    await settle()
    writes.fail(0, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await first
    await settle()
    assert writes.begun[1:] == [["a2"]]
    writes.succeed(1)
    assert await second


async def test_a_cancelled_waiter_does_not_disturb_its_batch(
    combiner: Combiner, writes: Writes
) -> None:
    commits = [commit(combiner, start(name)) for name in "ab"]
    await settle()
    commits[0].cancel()
    await settle()
    writes.succeed(0)
    assert await commits[1]
    assert commits[0].cancelled()


async def test_a_waiter_cancelled_before_its_batch_withdraws(
    combiner: Combiner, writes: Writes
) -> None:
    commit(combiner, start("a"))
    await settle()
    waiting = commit(combiner, schedule("a"))
    last = commit(combiner, OneActivityRun("a").complete_activity())
    await settle()
    waiting.cancel()
    await settle()
    writes.succeed(0)
    await settle()
    assert writes.begun == [["a1"], ["a3"]]
    writes.succeed(1)
    assert await last


async def test_closing_finishes_what_was_accepted(writes: Writes) -> None:
    combiner = Combiner(writes.write, overlap_from=1)
    commits = [commit(combiner, t) for t in OneActivityRun("a").transitions()[:2]]
    await settle()
    closing = asyncio.create_task(combiner.close())
    await settle()
    with pytest.raises(StoreUnavailable):
        await combiner.commit(start("b"))
    assert not closing.done()
    writes.succeed(0)
    await settle()
    writes.succeed(1)
    await closing
    assert await asyncio.gather(*commits) == [True, True]


async def test_each_write_is_observed(writes: Writes) -> None:
    seen: list[int] = []

    def observe(size: int, seconds: float) -> None:
        assert seconds >= 0
        seen.append(size)

    combiner = Combiner(writes.write, observe=observe)
    commits = [commit(combiner, start(name)) for name in "abc"]
    await settle()
    writes.succeed(0)
    await asyncio.gather(*commits)
    assert seen == [3]
    await combiner.close()


@dataclass
class Loads:
    """Stands for the database: each load waits for its outcome."""

    begun: list[list[str]] = field(default_factory=list)
    outcomes: list[asyncio.Future[dict[str, str]]] = field(default_factory=list)

    async def load(self, keys: Sequence[str]) -> dict[str, str]:
        self.begun.append(list(keys))
        outcome: asyncio.Future[dict[str, str]]
        outcome = asyncio.get_running_loop().create_future()
        self.outcomes.append(outcome)
        return await outcome


async def test_loads_share_a_statement_and_a_key_is_asked_for_once() -> None:
    loads = Loads()
    combiner = LoadCombiner(loads.load)
    asked = [asyncio.create_task(combiner.load(key)) for key in "abab"]
    await settle()
    assert loads.begun == [["a", "b"]]
    loads.outcomes[0].set_result({"a": "A"})
    assert await asyncio.gather(*asked) == ["A", None, "A", None]


async def test_a_load_under_way_is_not_joined() -> None:
    loads = Loads()
    combiner = LoadCombiner(loads.load, max_in_flight=1)
    early = asyncio.create_task(combiner.load("a"))
    await settle()
    late = [asyncio.create_task(combiner.load(key)) for key in "aab"]
    await settle()
    assert loads.begun == [["a"]]
    loads.outcomes[0].set_result({"a": "old"})
    assert await early == "old"
    await settle()
    assert loads.begun[1:] == [["a", "b"]]
    loads.outcomes[1].set_result({"a": "new", "b": "B"})
    assert await asyncio.gather(*late) == ["new", "new", "B"]


async def test_a_poisonous_key_fails_alone() -> None:
    loads = Loads()
    combiner = LoadCombiner(loads.load)
    asked = [asyncio.create_task(combiner.load(key)) for key in "ab"]
    await settle()
    loads.outcomes[0].set_exception(StoreError("not a key"))
    await settle()
    loads.outcomes[1].set_exception(StoreError("not a key"))
    await settle()
    loads.outcomes[2].set_result({"b": "B"})
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(results[0], StoreError)
    assert results[1] == "B"


async def test_a_lost_database_fails_all_loads() -> None:
    loads = Loads()
    combiner = LoadCombiner(loads.load)
    asked = [asyncio.create_task(combiner.load(key)) for key in "ab"]
    await settle()
    loads.outcomes[0].set_exception(StoreUnavailable("gone"))
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert len(loads.begun) == 1
    assert all(isinstance(result, StoreUnavailable) for result in results)


async def test_a_cancelled_load_leaves_the_others() -> None:
    loads = Loads()
    combiner = LoadCombiner(loads.load)
    asked = [asyncio.create_task(combiner.load("a")) for _ in range(2)]
    await settle()
    asked[0].cancel()
    await settle()
    loads.outcomes[0].set_result({"a": "A"})
    assert await asked[1] == "A"
    await combiner.close()


async def test_few_transitions_wait_for_the_write_under_way(writes: Writes) -> None:
    combiner = Combiner(writes.write, max_in_flight=2, overlap_from=3)
    commits = [commit(combiner, start("a"))]
    await settle()
    commits += [commit(combiner, start(name)) for name in "bc"]
    await settle()
    assert writes.begun == [["a1"]]
    commits.append(commit(combiner, start("d")))
    await settle()
    assert writes.begun == [["a1"], ["b1", "c1", "d1"]]
    writes.succeed_all()
    assert await asyncio.gather(*commits) == [True] * 4
    await combiner.close()


async def test_a_slow_write_holds_nobody_back(writes: Writes) -> None:
    combiner = Combiner(writes.write, overlap_from=99, slow_after_seconds=0.001)
    commits = [commit(combiner, start("a"))]
    await settle()
    commits.append(commit(combiner, start("b")))
    await eventually(lambda: writes.begun == [["a1"], ["b1"]])
    writes.succeed_all()
    assert await asyncio.gather(*commits) == [True, True]
    await combiner.close()
