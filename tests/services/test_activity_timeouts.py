"""Overdue activities are listed and ended on request, each at most once."""

from __future__ import annotations

from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.lifecycle.activity_timeout import ActivityTimedOut, TimeoutSkip
from dwserver.engine.model import RetryPolicy
from dwserver.engine.words import TaskKind
from dwserver.matching.pollers import Delivery
from dwserver.services.activity_timeouts import Enforced
from tests.support.small_server import SmallServer, attempt_of


async def leased_activity(
    server: SmallServer, workflow_id: str, **policy: int
) -> Delivery:
    await server.start(workflow_id)
    command = ScheduleActivity(
        activity_type="orders.Charge", retry_policy=RetryPolicy(**policy)
    )
    await server.complete(await server.leased(), [command])
    return await server.leased(TaskKind.ACTIVITY)


def id_of(activity: Delivery) -> str:
    activity_id = activity.leased.task.activity_id
    assert activity_id is not None
    return activity_id


def told(enforced: list[Enforced]) -> dict[str, object]:
    return {
        each.execution_id: each.outcome.is_retried
        if isinstance(each.outcome, ActivityTimedOut)
        else each.outcome
        for each in enforced
    }


async def test_the_longest_overdue_come_first_within_the_limit(
    server: SmallServer,
) -> None:
    late = await leased_activity(server, "late", start_to_close_timeout=20)
    later = await leased_activity(server, "later", start_to_close_timeout=10)
    await leased_activity(server, "punctual", start_to_close_timeout=60)
    expired = server.services.activity_timeouts.expired
    assert await expired(limit=100) == []
    server.clock.advance(seconds=20)
    assert await expired(limit=100) == [id_of(later), id_of(late)]
    assert await expired(limit=1) == [id_of(later)]


async def test_a_heartbeat_takes_an_activity_off_the_list(server: SmallServer) -> None:
    activity = await leased_activity(server, "order-1", heartbeat_timeout=20)
    server.clock.advance(seconds=15)
    await server.services.activity_tasks.heartbeat(attempt_of(activity))
    server.clock.advance(seconds=15)
    timeouts = server.services.activity_timeouts
    assert await timeouts.expired(limit=100) == []
    assert told(await timeouts.enforce_on([id_of(activity)])) == {
        id_of(activity): TimeoutSkip.NO_DEADLINE_EXPIRED
    }
    server.clock.advance(seconds=5)
    assert await timeouts.expired(limit=100) == [id_of(activity)]


async def test_a_pass_ends_what_is_overdue_once(server: SmallServer) -> None:
    policy = {"start_to_close_timeout": 10}
    last = await leased_activity(server, "last", **policy)
    retried = await leased_activity(server, "retried", max_attempts=2, **policy)
    server.clock.advance(seconds=10)
    timeouts = server.services.activity_timeouts
    ids = [id_of(last), id_of(retried)]
    assert told(await timeouts.enforce(limit=100)) == {ids[0]: False, ids[1]: True}
    assert (await server.event_types(last.leased.run.id))[-1] == "ActivityTimedOut"
    assert await timeouts.enforce(limit=100) == []
    assert told(await timeouts.enforce_on(ids)) == {
        ids[0]: TimeoutSkip.EXECUTION_ALREADY_TERMINAL,
        ids[1]: TimeoutSkip.NO_DEADLINE_EXPIRED,
    }
    lines = server.metrics.exposition().decode().splitlines()
    assert 'dw_timeouts_total{kind="start_to_close"} 2.0' in lines


async def test_named_activities_are_answered_in_their_order(
    server: SmallServer,
) -> None:
    activity = await leased_activity(server, "order-1", start_to_close_timeout=10)
    server.clock.advance(seconds=10)
    enforced = await server.services.activity_timeouts.enforce_on(
        ["nope", id_of(activity), "nope"]
    )
    assert [each.execution_id for each in enforced] == ["nope", id_of(activity)]
    assert enforced[0].outcome is TimeoutSkip.EXECUTION_NOT_FOUND


async def test_an_activity_of_a_closed_run(server: SmallServer) -> None:
    await server.start("order-1", run_timeout_seconds=10)
    command = ScheduleActivity(
        activity_type="orders.Charge",
        retry_policy=RetryPolicy(start_to_close_timeout=10),
    )
    await server.complete(await server.leased(), [command])
    activity = await server.leased(TaskKind.ACTIVITY)
    server.clock.advance(seconds=10)
    await server.core.deadlines.enforce()
    enforced = await server.services.activity_timeouts.enforce_on([id_of(activity)])
    assert told(enforced) == {id_of(activity): TimeoutSkip.EXECUTION_ALREADY_TERMINAL}
