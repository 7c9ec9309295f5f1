"""Polls that are sent again (``spec/worker-protocol.md §5.1``)."""

from __future__ import annotations

import asyncio

import pytest

from dwserver.coordination.wake_signals import SilentSignals
from dwserver.engine.wire_time import MICROS
from dwserver.matching.pollers import Delivery
from dwserver.services.poll_news import LeaseNote, PollNews, PollRequestKey
from dwserver.services.poll_requests import PollRequests, forgotten_at
from dwserver.store.api import StoreUnavailable
from tests.matching.stage import ORDERS, a_workflow_task, delivery_of
from tests.support.waiting import eventually

LEASE = 300 * MICROS
WAIT_SECONDS = 30.0


def key(request_id: str = "r1", worker_id: str = "worker-1") -> PollRequestKey:
    return PollRequestKey(ORDERS, worker_id, None, request_id)


class Client:
    """Polls that lease a new task each, or none."""

    def __init__(self, *, max_entries: int = 100) -> None:
        self.requests = PollRequests(
            news=PollNews(SilentSignals(), now=lambda: self.now),
            note=self._note,
            restore=self._restore,
            now=lambda: self.now,
            max_entries=max_entries,
        )
        self.now = 0
        self.leased: dict[str, Delivery] = {}
        self.polls = 0
        self.is_empty = False
        self.errors: list[Exception] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def _note(self, delivery: Delivery) -> LeaseNote:
        task = delivery.leased.task
        self.leased[task.id] = delivery
        return LeaseNote(task.run_id, task.id, task.attempt, self.now + LEASE)

    async def _restore(self, note: LeaseNote, worker_id: str) -> Delivery | None:
        await asyncio.sleep(0)
        delivery = self.leased.get(note.task_id)
        is_its = delivery and delivery.leased.task.lease_owner == worker_id
        return delivery if is_its else None

    def lose(self, delivery: Delivery | None) -> None:
        """The lease is over."""
        assert delivery is not None
        del self.leased[delivery.leased.task.id]

    async def _poll(self) -> Delivery | None:
        self.polls += 1
        await self.may_answer.wait()
        if self.errors:
            raise self.errors.pop()
        if self.is_empty:
            return None
        return delivery_of(a_workflow_task(id=f"task-{self.polls}"), "worker-1")

    async def ask(self, request: PollRequestKey | None = None) -> Delivery | None:
        return await self.requests.once(
            request or key(), self._poll, wait_seconds=WAIT_SECONDS
        )

    def asking(self, count: int) -> list[asyncio.Task[Delivery | None]]:
        return [asyncio.create_task(self.ask()) for _ in range(count)]


@pytest.fixture
async def client() -> Client:
    return Client()


async def test_the_same_request_gets_the_same_lease(client: Client) -> None:
    first = await client.ask()
    assert first is not None
    assert await client.ask() is first
    assert client.polls == 1


async def test_followers_wait_for_the_leader(client: Client) -> None:
    client.may_answer.clear()
    asking = client.asking(4)
    await eventually(lambda: client.polls)
    client.may_answer.set()
    found = await asyncio.gather(*asking)
    assert found[0] is not None
    assert all(delivery is found[0] for delivery in found)
    assert client.polls == 1


@pytest.mark.parametrize("other", [key("r2"), key("r1", "worker-2")])
async def test_other_requests_poll_for_themselves(
    client: Client, other: PollRequestKey
) -> None:
    first = await client.ask()
    assert await client.ask(other) is not first


async def test_an_empty_answer_is_remembered_as_well(client: Client) -> None:
    client.is_empty = True
    assert await client.ask() is None
    client.is_empty = False
    assert await client.ask() is None
    assert client.polls == 1


async def test_an_answer_is_forgotten_in_time(client: Client) -> None:
    first = await client.ask()
    client.now = LEASE + 5 * MICROS - 1
    assert await client.ask() is first
    client.now += 1
    assert await client.ask() is not first


@pytest.mark.parametrize(
    ("wait_seconds", "kept_seconds"), [(0.0, 5), (30.0, 35), (59.0, 60)]
)
def test_an_empty_answer_is_forgotten_when_its_poll_must_have_ended(
    wait_seconds: float, kept_seconds: int
) -> None:
    until = forgotten_at(None, now=7, wait_seconds=wait_seconds)
    assert until == 7 + kept_seconds * MICROS


@pytest.mark.parametrize(
    ("lease_seconds", "kept_seconds"), [(-10, 5), (300, 305), (100_000, 3600)]
)
def test_a_lease_is_remembered_a_little_longer_than_it_lasts(
    lease_seconds: int, kept_seconds: int
) -> None:
    note = LeaseNote("run", "task", 1, lease_seconds * MICROS)
    assert forgotten_at(note, now=0, wait_seconds=1.0) == kept_seconds * MICROS


async def test_a_lease_that_is_over_is_replaced(client: Client) -> None:
    first = await client.ask()
    client.lose(first)
    second = await client.ask()
    assert second is not None
    assert second is not first
    assert await client.ask() is second


async def test_only_one_replaces_a_lease_that_is_over(client: Client) -> None:
    first = await client.ask()
    client.lose(first)
    found = await asyncio.gather(*client.asking(4))
    assert client.polls == 2
    assert all(delivery is found[0] for delivery in found)


async def test_an_error_reaches_the_followers_and_is_not_remembered(
    client: Client,
) -> None:
    client.errors = [StoreUnavailable("gone")]
    client.may_answer.clear()
    asking = client.asking(3)
    await eventually(lambda: client.polls)
    client.may_answer.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(error) for error in found] == [StoreUnavailable] * 3
    assert await client.ask() is not None


async def test_a_leader_that_is_cancelled_leaves_no_trace(client: Client) -> None:
    client.may_answer.clear()
    [leader] = client.asking(1)
    await eventually(lambda: client.polls)
    leader.cancel()
    await asyncio.wait([leader])
    client.may_answer.set()
    assert await client.ask() is not None
    assert client.polls == 2


async def test_memory_is_bounded() -> None:
    client = Client(max_entries=2)
    first = await client.ask(key("r1"))
    await client.ask(key("r2"))
    third = await client.ask(key("r3"))
    assert await client.ask(key("r3")) is third
    assert await client.ask(key("r1")) is not first
