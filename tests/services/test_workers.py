"""Registrations: fingerprints, liveness, what is believed for how long (§4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dwserver.coordination.wake_signals import Hear, Key, Topic
from dwserver.engine.outcome import Rejection
from dwserver.runtime.clock import ManualClock
from dwserver.services.runs import RunContended
from dwserver.services.workers import MAX_ATTEMPTS, Workers
from dwserver.store.api import Store, StoreUnavailable, WorkerRegistration
from dwserver.store.rollouts import CohortKey
from tests.support.builders import NOON, SECOND, a_worker
from tests.support.faulty_store import FaultyStore

TTL = 5 * SECOND
STALE_AFTER = 60 * SECOND
TYPES = ("a", "b", "c")


class Signals:
    """Everybody who listens hears everything, the one who tells as well."""

    is_shared = True

    def __init__(self) -> None:
        self.listeners: list[tuple[Topic, Hear]] = []

    def publish(self, topic: Topic, key: Key) -> None:
        for each, hear in self.listeners:
            if each is topic:
                hear(key)

    def listen(self, topic: Topic, hear: Hear) -> None:
        self.listeners.append((topic, hear))

    def on_gap(self, action: Callable[[], None]) -> None:
        """There are none."""


class Process:
    """The workers of one process."""

    def __init__(self, store: Store, signals: Signals | None = None) -> None:
        self.clock = ManualClock(NOON)
        self.faults = FaultyStore(store)
        self.workers = Workers(
            self.faults.store,
            now=self.clock.now,
            cache_ttl=TTL,
            stale_after=STALE_AFTER,
            signals=signals,
        )

    async def register(self, **fields: Any) -> WorkerRegistration | Rejection:
        values = {"workflow_types": TYPES, "fingerprints": {}, **fields}
        return await self.workers.register(a_worker("w1", **values))

    async def fingerprints(self, **fields: Any) -> dict[str, str]:
        """Those stored after a registration that must succeed."""
        registered = await self.register(**fields)
        assert isinstance(registered, WorkerRegistration), registered
        stored = await self.faults.real.find_worker("default", "w1")
        assert stored is not None
        assert stored == registered
        return dict(stored.fingerprints)


@pytest.fixture
async def process(sqlite_store: Store) -> Process:
    return Process(sqlite_store)


@pytest.fixture
async def other(sqlite_store: Store) -> Process:
    return Process(sqlite_store)


# fingerprints (§4.1) -----------------------------------------------------------------


async def test_the_first_registration_stores_what_it_says(process: Process) -> None:
    found = await process.fingerprints(fingerprints={"b": "2", "a": "1"})
    assert list(found.items()) == [("a", "1"), ("b", "2")]


async def test_another_definition_is_refused_and_nothing_stored(
    process: Process,
) -> None:
    await process.register(fingerprints={"a": "1", "b": "2", "c": "3"})
    refused = await process.register(
        fingerprints={"c": "9", "b": "9"}, task_queue="elsewhere"
    )
    assert isinstance(refused, Rejection)
    assert refused.reason == "workflow_definition_changed"
    assert refused.fields["workflow_type"] == "b"
    assert refused.fields["remediation"]
    stored = await process.workers.find("default", "w1")
    assert stored is not None
    assert stored.task_queue == "orders"
    assert dict(stored.fingerprints) == {"a": "1", "b": "2", "c": "3"}


@pytest.mark.parametrize(
    ("workflow_types", "sent", "kept"),
    [
        (TYPES, {}, {"a": "1", "b": "2"}),
        (TYPES, {"b": "2", "c": "3"}, {"a": "1", "b": "2", "c": "3"}),
        # No longer advertised.
        (("b",), {}, {"b": "2"}),
        # Without types all are advertised.
        ((), {"c": "3"}, {"a": "1", "b": "2", "c": "3"}),
        (("c",), {"c": "3"}, {"c": "3"}),
    ],
)
async def test_omitted_fingerprints_stay_while_the_type_is_advertised(
    process: Process,
    workflow_types: tuple[str, ...],
    sent: dict[str, str],
    kept: dict[str, str],
) -> None:
    await process.register(fingerprints={"a": "1", "b": "2"})
    found = await process.fingerprints(workflow_types=workflow_types, fingerprints=sent)
    assert found == kept


async def test_a_draining_registration_starts_anew(process: Process) -> None:
    cohort = CohortKey("default", "orders", None)
    await process.faults.real.put_rollout(cohort, is_draining=True, at=NOON)
    await process.register(fingerprints={"a": "1", "b": "2"})
    assert await process.fingerprints(fingerprints={"a": "9"}) == {"a": "9"}


async def test_another_namespace_has_its_own_registrations(process: Process) -> None:
    await process.register(fingerprints={"a": "1"})
    elsewhere = a_worker("w1", namespace="other", fingerprints={"a": "9"})
    assert isinstance(await process.workers.register(elsewhere), WorkerRegistration)


async def test_a_new_registration_replaces_all_but_its_first_instant(
    process: Process,
) -> None:
    await process.register(build_id="b1")
    registered = await process.register(
        build_id="b2", task_queue="q2", registered_at=NOON + SECOND
    )
    assert isinstance(registered, WorkerRegistration)
    assert (registered.build_id, registered.task_queue) == ("b2", "q2")
    assert registered.registered_at == NOON


# what is believed --------------------------------------------------------------------


async def test_polls_cost_no_query(process: Process) -> None:
    await process.register()
    process.faults.calls.clear()
    for _ in range(3):
        assert await process.workers.find("default", "w1") is not None
    assert process.faults.calls == {}


async def test_changes_of_another_process_are_seen_in_time(
    process: Process, other: Process
) -> None:
    await process.register(task_queue="old")
    await other.register(task_queue="new")
    process.clock.advance(microseconds=TTL)
    found = await process.workers.find("default", "w1")
    assert found is not None
    assert found.task_queue == "new"


async def test_what_another_process_tells_is_seen_at_once(sqlite_store: Store) -> None:
    """A worker that is replaced under its id may have other definitions."""
    signals = Signals()
    here, there = Process(sqlite_store, signals), Process(sqlite_store, signals)
    await here.register(fingerprints={"a": "1"})
    assert await there.workers.find("default", "w1") is not None
    await here.workers.deregister("default", "w1")
    assert await there.workers.find("default", "w1") is None
    await here.register(fingerprints={"a": "2"})
    found = await there.workers.find("default", "w1")
    assert found is not None
    assert found.fingerprints == {"a": "2"}
    await there.register(fingerprints={"b": "1"})
    found = await here.workers.find("default", "w1")
    assert found is not None
    assert found.fingerprints == {"a": "2", "b": "1"}


async def test_an_unknown_worker_is_looked_for_each_time(
    process: Process, other: Process
) -> None:
    assert await process.workers.find("default", "w1") is None
    await other.register()
    assert await process.workers.find("default", "w1") is not None


async def test_a_registration_is_gone_at_once(process: Process) -> None:
    await process.register()

    async def polled_meanwhile() -> None:
        await process.workers.find("default", "w1")

    process.clock.advance(microseconds=TTL)
    process.faults.before_next("delete_worker", polled_meanwhile)
    assert await process.workers.deregister("default", "w1")
    assert await process.workers.find("default", "w1") is None
    assert not await process.workers.deregister("default", "w1")


@pytest.mark.parametrize("is_known", [False, True])
async def test_definitions_that_are_advertised_at_once_are_compared(
    process: Process, other: Process, is_known: bool
) -> None:
    if is_known:
        await process.register()

    async def advertise() -> None:
        await other.register(fingerprints={"a": "1"})

    process.faults.before_next("put_worker", advertise)
    refused = await process.register(fingerprints={"a": "2"})
    assert isinstance(refused, Rejection)
    process.faults.before_next("put_worker", advertise)
    assert await process.fingerprints(fingerprints={"b": "3"}) == {"a": "1", "b": "3"}


# liveness ----------------------------------------------------------------------------


async def test_a_worker_is_stale_after_its_time(process: Process) -> None:
    await process.register(last_heartbeat_at=NOON)
    [worker] = await process.workers.find_all("default")
    process.clock.advance(microseconds=STALE_AFTER - 1)
    assert process.workers.status(worker) == "active"
    process.clock.advance(microseconds=1)
    assert process.workers.status(worker) == "stale"


async def test_a_heartbeat_keeps_a_worker_and_adds_what_it_says(
    process: Process,
) -> None:
    await process.register(details={"capabilities": ["query_tasks"]})
    process.clock.advance(seconds=30)
    beat = await process.workers.heartbeat("default", "w1", {"task_slots": {"a": 1}})
    assert beat is not None
    assert beat.last_heartbeat_at == NOON + 30 * SECOND
    assert beat.details == {"capabilities": ["query_tasks"], "task_slots": {"a": 1}}
    assert await process.faults.real.find_worker("default", "w1") == beat


async def test_a_heartbeat_of_nobody(process: Process, other: Process) -> None:
    await process.register()
    await other.workers.deregister("default", "w1")
    assert await process.workers.heartbeat("default", "w1", {}) is None
    # Nor is it believed any longer that it exists.
    assert await process.workers.find("default", "w1") is None


async def test_a_heartbeat_never_brings_an_older_registration_back(
    process: Process, other: Process
) -> None:
    await process.register(build_id="b1", details={"capabilities": ["old"]})

    async def register_anew() -> None:
        await other.register(build_id="b2", details={"capabilities": ["new"]})

    process.faults.before_next("renew_worker", register_anew)
    beat = await process.workers.heartbeat("default", "w1", {"task_slots": {"a": 1}})
    assert beat is not None
    assert beat.build_id == "b2"
    assert beat.details == {"capabilities": ["new"], "task_slots": {"a": 1}}
    assert await process.faults.real.find_worker("default", "w1") == beat


async def test_a_heartbeat_never_brings_a_worker_back_that_left(
    process: Process, other: Process
) -> None:
    await process.register()

    async def leave() -> None:
        await other.workers.deregister("default", "w1")

    process.faults.before_next("renew_worker", leave)
    assert await process.workers.heartbeat("default", "w1", {}) is None
    assert await process.faults.real.find_worker("default", "w1") is None


async def test_what_others_write_all_the_time_is_contended(process: Process) -> None:
    await process.register()
    for _ in range(MAX_ATTEMPTS):
        process.faults.answer_next("renew_worker", None)
        process.faults.answer_next("put_worker", None)
    with pytest.raises(RunContended):
        await process.workers.heartbeat("default", "w1", {})
    with pytest.raises(RunContended):
        await process.register()


async def test_polls_count_as_heartbeats_written_together(process: Process) -> None:
    for number in range(3):
        await process.workers.register(a_worker(f"w{number}"))
        process.workers.saw("default", f"w{number}")
        process.workers.saw("default", f"w{number}")
    process.faults.calls.clear()
    process.clock.advance(seconds=10)
    await process.workers.write_seen()
    await process.workers.write_seen()
    assert process.faults.calls == {"touch_workers": 1}
    found = await process.workers.find_all("default")
    assert {worker.last_heartbeat_at for worker in found} == {NOON + 10 * SECOND}


async def test_heartbeats_that_could_not_be_written_are_written_later(
    process: Process,
) -> None:
    await process.register()
    process.workers.saw("default", "w1")
    process.faults.fail_next("touch_workers", StoreUnavailable("gone"))
    process.clock.advance(seconds=10)
    with pytest.raises(StoreUnavailable):
        await process.workers.write_seen()
    await process.workers.write_seen()
    [worker] = await process.workers.find_all("default")
    assert worker.last_heartbeat_at == NOON + 10 * SECOND


async def test_a_worker_that_left_is_not_touched(process: Process) -> None:
    await process.register()
    process.workers.saw("default", "w1")
    await process.workers.deregister("default", "w1")
    await process.workers.write_seen()
    assert process.faults.calls["touch_workers"] == 0


async def test_a_worker_that_was_silent_for_a_day_is_forgotten(
    process: Process,
) -> None:
    await process.register()
    process.clock.advance(seconds=86_400)
    assert await process.workers.forget_silent() is None
    assert len(await process.workers.find_all("default")) == 1
    process.clock.advance(microseconds=1)
    await process.workers.forget_silent()
    assert await process.workers.find_all("default") == []
