"""SQLite and PostgreSQL are asked the same at random, and must answer the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from random import Random
from typing import Any, TypeVar

import pytest

from dwserver.engine.model import Payload, RunInput, RunState, Task
from dwserver.engine.transition import LeaseGuard, Transition, apply
from dwserver.engine.words import StatusBucket, TaskKind, TaskStatus
from dwserver.store.api import (
    DueRun,
    LeaseRenewal,
    QueueKey,
    RunCursor,
    RunFilter,
    Store,
    WorkerRegistration,
)
from dwserver.store.opening import open_store
from dwserver.store.rollouts import CohortKey, QueueName
from tests.store.reading import traces_of
from tests.support.builders import (
    NOON,
    SECOND,
    a_completion,
    a_namespace,
    a_run,
    a_start,
    a_start_transition,
    a_worker,
    an_id,
    an_instance,
)
from tests.support.random_changes import a_random_change

STEPS = 300
MAX_STEPS = 3000
NAMESPACES = ("default", "billing")
QUEUES = ("orders", "mail")
BUILDS = (None, "b1", "b2")
TYPES = ("orders.Ship", "orders.Bill")

Answer = TypeVar("Answer")


@pytest.fixture
async def stores(sqlite_url: str, postgres_url: str) -> AsyncIterator[list[Store]]:
    stores = [open_store(sqlite_url), open_store(postgres_url)]
    for store in stores:
        await store.open()
    yield stores
    for store in stores:
        await store.close()


class Differential:
    """Both stores and the runs that they hold by now."""

    def __init__(self, stores: list[Store], random: Random) -> None:
        self.stores = stores
        self.random = random
        self.states: dict[str, RunState] = {}

    async def ask(self, question: Callable[[Store], Awaitable[Answer]]) -> Answer:
        """The answer that both give."""
        first, second = [await question(store) for store in self.stores]
        assert first == second
        return first

    async def commit(self, transition: Transition) -> bool:
        """Commit on both, follow the effect, compare all traces."""
        is_applied = await self.ask(lambda store: store.commit(transition))
        if is_applied:
            for change in transition.changes:
                state = self.states.get(change.run.id)
                self.states[change.run.id] = apply(state, change)
        traces = await self.ask(lambda store: traces_of(store, transition))
        for run_id, loaded in traces.states.items():
            assert loaded == self.states.get(run_id)
        return is_applied

    def some_state(self) -> RunState:
        return self.random.choice(list(self.states.values()))

    # writes ---------------------------------------------------------------------
    async def start(self) -> bool:
        random = self.random
        run = a_run(
            namespace=random.choice(NAMESPACES),
            workflow_id=f"order-{random.randrange(60)}",
            workflow_type=random.choice(TYPES),
            task_queue=random.choice(QUEUES),
            started_at=NOON + random.randrange(5),
        )
        given = RunInput(
            arguments=random.choice([None, Payload("json", "[1]")]),
            memo=random.choice([{}, {"a": [1, "Ω"]}]),
            search_attributes=random.choice([{}, {"Customer": "c-1"}]),
            business_key=random.choice([None, "key 1", "key 2"]),
        )
        return await self.commit(a_start_transition(run, input=given))

    async def change(self) -> bool:
        change = a_random_change(self.some_state(), self.random)
        return await self.commit(Transition(changes=(change,)))

    async def stale_change(self) -> bool:
        """Succeeds by being refused."""
        state = self.some_state()
        change = a_random_change(state, self.random)
        wrong = state.run.version + self.random.choice([-1, 1])
        stale = replace(change, base_version=wrong)
        return not await self.commit(Transition(changes=(stale,)))

    async def change_two(self) -> bool:
        """Two runs at once; one of them may be stale."""
        first, second = self.some_state(), self.some_state()
        if first.run.id == second.run.id:
            return False
        changes = [a_random_change(state, self.random) for state in (first, second)]
        if self.random.random() < 0.3:
            changes[1] = replace(changes[1], base_version=99_999)
        return await self.commit(Transition(changes=tuple(changes)))

    async def start_child(self) -> bool:
        parent = self.some_state()
        child = a_run(
            namespace=parent.run.namespace,
            workflow_id=f"order-{self.random.randrange(120)}",
            parent_run_id=parent.run.id,
            parent_step=1,
        )
        change = a_random_change(parent, self.random)
        return await self.commit(
            Transition(
                changes=(change, a_start(child)), new_instances=(an_instance(child),)
            )
        )

    async def continue_as_new(self) -> bool:
        run = self.some_state().run
        instance = await self.ask(
            lambda store: store.find_instance(run.namespace, run.workflow_id)
        )
        assert instance is not None
        if instance.current_run_id != run.id:
            return False
        number = instance.run_count + 1
        new = a_run(
            namespace=run.namespace,
            workflow_id=run.workflow_id,
            run_number=number,
            continued_from_run_id=run.id,
        )
        moved = replace(instance, current_run_id=new.id, run_count=number)
        changes = (a_completion(run, Payload("json", "1")), a_start(new))
        return await self.commit(Transition(changes=changes, instances=(moved,)))

    def leased_tasks(self, *, most: int) -> list[Task]:
        tasks = [
            task
            for state in self.states.values()
            for task in state.tasks.values()
            if task.status is TaskStatus.LEASED
        ]
        return self.random.sample(tasks, k=min(len(tasks), most))

    async def take_lease(self, delta: int = 0) -> bool:
        """Guarded by the expiry of a lease, give or take."""
        for task in self.leased_tasks(most=1):
            expires_at = (task.lease_expires_at or 0) + delta
            change = a_random_change(self.states[task.run_id], self.random)
            guard = LeaseGuard(task.id, expires_at)
            guarded = replace(change, lease_guards=(guard,))
            return await self.commit(Transition(changes=(guarded,)))
        return False

    async def take_renewed_lease(self) -> bool:
        """Succeeds by being refused."""
        return bool(self.leased_tasks(most=1)) and not await self.take_lease(delta=1)

    async def renew(self) -> bool:
        asked = self.leased_tasks(most=4)
        renewals = [self._renewal(task) for task in asked]
        results = await self.ask(lambda store: store.renew_leases(renewals))
        for task in asked:
            state = await self.ask(lambda store, id_=task.run_id: store.load_run(id_))
            assert state is not None
            self.states[task.run_id] = state
        return any(results)

    def _renewal(self, task: Task) -> LeaseRenewal:
        random = self.random
        is_activity = task.activity_id is not None
        return LeaseRenewal(
            task_id=task.id,
            owner=random.choice([task.lease_owner or "", "somebody"]),
            lease_expires_at=NOON + random.randrange(900) * SECOND,
            attempt=random.choice([None, task.attempt, task.attempt + 1]),
            attempt_id=random.choice([None, task.attempt_id]) if is_activity else None,
            activity_id=task.activity_id,
            heartbeat_deadline_at=random.choice([None, NOON]),
            last_heartbeat_at=NOON + 1,
        )

    async def finish_work(self) -> bool:
        """Some entries of the outbox are done, others are put off."""
        now = self.some_instant()
        due = await self.ask(lambda s: s.due_outbox(now=now, limit=4))
        done = [entry.id for entry in due[::2]]
        rest = [entry.id for entry in due[1::2]]
        later = now + 60 * SECOND
        await self.ask(lambda s: s.delete_outbox([*done, "no-such-work"]))
        await self.ask(lambda s: s.postpone_outbox(rest, available_at=later))
        left = await self.ask(lambda s: s.due_outbox(now=later, limit=1000))
        ids = {entry.id for entry in left}
        assert ids.isdisjoint(done)
        assert ids.issuperset(rest)
        return bool(rest)

    async def change_search_attributes(self) -> bool:
        random = self.random
        namespace, name = random.choice(NAMESPACES), f"Name{random.randrange(5)}"
        if random.random() < 0.3:
            return await self.ask(lambda s: s.delete_search_attribute(namespace, name))
        value_type = random.choice(["keyword", "int"])
        await self.ask(
            lambda s: s.put_search_attribute(
                namespace, name, value_type=value_type, created_at=NOON
            )
        )
        types = await self.ask(lambda s: s.search_attribute_types(namespace))
        assert name in types
        return False

    async def put_worker(self) -> bool:
        random = self.random
        worker = a_worker(
            f"worker-{random.randrange(6)}",
            namespace=random.choice(NAMESPACES),
            task_queue=random.choice(QUEUES),
            build_id=random.choice(BUILDS),
            last_heartbeat_at=NOON + random.randrange(9),
            details=random.choice([{}, {"slots": {"used": 1}}]),
        )
        over = random.choice([None, {}, worker.fingerprints])
        written = await self.ask(lambda store: store.put_worker(worker, over=over))
        return written is not None

    async def renew_worker(self) -> bool:
        random = self.random
        worker = a_worker(
            f"worker-{random.randrange(6)}",
            namespace=random.choice(NAMESPACES),
            details=random.choice([{}, {"slots": {"used": 1}}]),
        )
        at, said = NOON + random.randrange(9), {"slots": {"used": 1}}
        renewed = await self.ask(
            lambda store: store.renew_worker(worker, details=said, at=at)
        )
        return renewed is not None

    async def touch_workers(self) -> bool:
        seen = [
            (self.random.choice(NAMESPACES), f"worker-{self.random.randrange(9)}")
            for _ in range(3)
        ]
        at = NOON + self.random.randrange(12)
        await self.ask(lambda store: _touched(store, seen, at))
        return True

    async def delete_worker(self) -> bool:
        namespace = self.random.choice(NAMESPACES)
        name = f"worker-{self.random.randrange(6)}"
        return await self.ask(lambda store: store.delete_worker(namespace, name))

    async def create_namespace(self) -> bool:
        namespace = a_namespace(f"namespace-{self.random.randrange(5)}")
        return await self.ask(lambda store: store.create_namespace(namespace))

    async def update_namespace(self) -> bool:
        name = f"namespace-{self.random.randrange(5)}"
        changes: dict[str, Any] = {
            "description": self.random.choice([None, an_id()]),
            "retention_days": self.random.choice([None, 7]),
            "external_storage": self.random.choice([None, {}, {"driver": "s3"}]),
        }
        changed = await self.ask(
            lambda store: store.update_namespace(name, **changes, at=NOON + 1)
        )
        return changed is not None

    # reads ----------------------------------------------------------------------
    def some_instant(self) -> int:
        """When something is just due, mostly."""
        state = self.some_state()
        instants = [
            NOON + self.random.randrange(4000) * SECOND,
            *(timer.fire_at for timer in state.timers.values()),
            *(task.lease_expires_at or NOON for task in state.tasks.values()),
            *(task.available_at for task in state.tasks.values()),
            state.run.deadline_at or NOON,
        ]
        return self.random.choice(instants)

    async def read_sets(self) -> bool:
        now = self.some_instant()
        limit = self.random.choice([2, 1000])
        keys = [
            QueueKey(namespace, queue, kind)
            for namespace in NAMESPACES
            for queue in QUEUES
            for kind in TaskKind
        ]
        ready = await self.ask(lambda s: s.ready_tasks(keys, now=now, limit=limit))
        due = await self.ask(lambda s: s.due_timers(now=now, limit=limit))
        expired = await self.ask(lambda s: s.expired_leases(now=now, limit=limit))
        late = await self.ask(lambda s: s.overdue(now=now, limit=limit))
        assert late.runs == self.overdue_runs(now)[:limit]
        assert late.runs == await self.ask(lambda s: s.due_runs(now=now, limit=limit))
        return bool(ready and due and expired and late.activities and late.runs)

    def overdue_runs(self, now: int) -> list[DueRun]:
        runs = [state.run for state in self.states.values()]
        due = [
            DueRun(run.id, run.deadline_at)
            for run in runs
            if run.deadline_at is not None
            and run.deadline_at <= now
            and not run.status.is_terminal
        ]
        return sorted(due, key=lambda d: (d.deadline_at, d.run_id))

    async def read_list(self) -> bool:
        random = self.random
        run_filter = RunFilter(
            namespace=random.choice(NAMESPACES),
            workflow_type=random.choice([None, *TYPES]),
            bucket=random.choice([None, *StatusBucket]),
            text=random.choice([None, "", "order-1", "key", "%"]),
        )
        limit = random.choice([1, 4, 1000])
        after: RunCursor | None = None
        pages = 0
        while views := await self.ask(
            lambda s, after=after: s.list_runs(run_filter, after=after, limit=limit)
        ):
            last = views[-1].run
            after = RunCursor(last.started_at, last.id)
            pages += 1
        return pages > 1

    async def read_history(self) -> bool:
        run = self.some_state().run
        after = self.random.randrange(-2, 6)
        upto = self.random.choice([None, 3, 9])
        limit = self.random.choice([1, 5, 1000])
        events = await self.ask(
            lambda s: s.history(run.id, after=after, upto=upto, limit=limit)
        )
        assert await self.ask(lambda s: s.run_input(run.id)) is not None
        assert await self.ask(lambda s: s.run_input("no-such-run")) is None
        some = sorted({self.some_state().run.id for _ in range(9)})
        assert await self.ask(lambda s: s.open_children(some)) == [
            child
            for run_id in some
            for child in self.states[run_id].children.values()
            if child.is_open
        ]
        await self.ask(lambda s: s.runs_of_instance(run.namespace, run.workflow_id))
        return bool(events)

    async def read_registry(self) -> bool:
        namespace = self.random.choice(NAMESPACES)
        queue = self.random.choice([None, *QUEUES])
        workers = await self.ask(lambda s: s.list_workers(namespace, queue=queue))
        return bool(workers and await self.ask(lambda s: s.list_namespaces()))

    async def put_rollout(self) -> bool:
        random = self.random
        cohort = CohortKey(
            random.choice(NAMESPACES), random.choice(QUEUES), random.choice(BUILDS)
        )
        is_draining, at = random.random() < 0.6, NOON + random.randrange(9)
        await self.ask(lambda s: s.put_rollout(cohort, is_draining=is_draining, at=at))
        return is_draining or bool(await self.ask(lambda s: _resumed(s, cohort)))

    async def read_queues(self) -> bool:
        """What operators see of queues and of their workers."""
        random = self.random
        namespace = random.choice(NAMESPACES)
        now = NOON + random.randrange(20) * SECOND
        names = await self.ask(
            lambda s: s.list_queues(namespace, rows=1000, limit=1000)
        )
        found = await self.ask(
            lambda s: s.queue_backlogs(
                namespace, names, now=now, overdue_before=now - SECOND, rows=1000
            )
        )
        queues = [QueueName(each, name) for each in NAMESPACES for name in QUEUES]
        silent_since = NOON + random.randrange(12)
        await self.ask(
            lambda s: s.queue_workers(
                namespace, names, silent_since=silent_since, rows=1000
            )
        )
        await self.ask(lambda s: _rollouts(s, queues, silent_since))
        queue = random.choice(QUEUES)
        leases = await self.ask(lambda s: s.queue_leases(namespace, queue, now=now))
        await self.ask(
            lambda s: s.list_workers_of_queue(
                namespace, queue, silent_since=silent_since, limit=3
            )
        )
        return bool(leases and any(each.oldest for each in found.queues.values()))


OPERATIONS: tuple[tuple[Callable[[Differential], Awaitable[bool]], int], ...] = (
    (Differential.start, 4),
    (Differential.change, 12),
    (Differential.stale_change, 2),
    (Differential.change_two, 3),
    (Differential.start_child, 2),
    (Differential.continue_as_new, 2),
    (Differential.take_lease, 2),
    (Differential.take_renewed_lease, 1),
    (Differential.renew, 3),
    (Differential.finish_work, 3),
    (Differential.change_search_attributes, 2),
    (Differential.put_worker, 1),
    (Differential.renew_worker, 1),
    (Differential.touch_workers, 1),
    (Differential.delete_worker, 1),
    (Differential.put_rollout, 2),
    (Differential.read_queues, 2),
    (Differential.create_namespace, 1),
    (Differential.update_namespace, 1),
    (Differential.read_sets, 4),
    (Differential.read_list, 3),
    (Differential.read_history, 2),
    (Differential.read_registry, 1),
)


@pytest.mark.parametrize("seed", [1, 2])
async def test_both_databases_answer_the_same(stores: list[Store], seed: int) -> None:
    random = Random(seed)
    driver = Differential(stores, random)
    await driver.start()
    operations, weights = zip(*OPERATIONS, strict=True)
    never = set(operations)
    for step, operation in enumerate(random.choices(operations, weights, k=MAX_STEPS)):
        if step >= STEPS and not never:
            break
        if await operation(driver):
            never.discard(operation)
    assert not never
    for run_id, state in driver.states.items():
        assert await driver.ask(lambda s, id_=run_id: s.load_run(id_)) == state


async def _resumed(store: Store, cohort: CohortKey) -> list[str]:
    return sorted(await store.resume_workers(cohort))


async def _rollouts(
    store: Store, queues: list[QueueName], silent_since: int
) -> tuple[object, ...]:
    wanted = await store.list_rollouts(queues, limit=1000)
    workers = await store.list_cohort_workers(
        queues, silent_since=silent_since, rows=1000
    )
    drained = await store.list_draining_queues(None, rows=1000, limit=1000)
    return sorted(wanted, key=repr), sorted(workers, key=repr), drained


async def _touched(
    store: Store, seen: list[tuple[str, str]], at: int
) -> list[WorkerRegistration]:
    found = await store.touch_workers(seen, at=at)
    return sorted(found, key=lambda worker: (worker.namespace, worker.worker_id))
