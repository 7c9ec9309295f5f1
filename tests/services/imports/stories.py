"""Workflows of every kind as lists of steps, which any server can go on with.

A step finds what it works on by polling, so it does the same on the server where the
workflow began and on the one that took it over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.commands.children import StartChildWorkflow
from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.commands.markers import (
    RecordSideEffect,
    RecordVersionMarker,
    UpsertSearchAttributes,
)
from dwserver.engine.commands.terminal import (
    CompleteWorkflow,
    ContinueAsNew,
    FailWorkflow,
)
from dwserver.engine.commands.timers import StartTimer
from dwserver.engine.commands.updates import CompleteUpdate, FailUpdate
from dwserver.engine.commands.waits import OpenConditionWait, OpenSignalWait
from dwserver.engine.lifecycle.activity_outcome import AttemptFailure
from dwserver.engine.model import JsonMap, Payload, RetryPolicy
from dwserver.engine.words import CommandType, ParentClosePolicy, TaskKind
from dwserver.matching.pollers import Delivery
from dwserver.services.command_targets import Target
from tests.services.operator_room import a_close, a_message
from tests.support.small_server import (
    ACTIVITY,
    ARGUMENTS,
    CHARGE,
    LONG,
    NAMESPACE,
    WORKFLOW,
    SmallServer,
    a_poll,
    attempt_of,
    ref_of,
)

Step: TypeAlias = Callable[[SmallServer, str], Awaitable[None]]

DONE = CompleteWorkflow(result=Payload("avro", "AAAC"))
RETRIED = ScheduleActivity(
    activity_type=ACTIVITY,
    arguments=ARGUMENTS,
    retry_policy=RetryPolicy(
        max_attempts=3,
        backoff_seconds=(2, 4),
        start_to_close_timeout=50,
        schedule_to_start_timeout=600,
        schedule_to_close_timeout=6000,
        heartbeat_timeout=20,
    ),
)
KID = StartChildWorkflow(workflow_type=WORKFLOW, arguments=ARGUMENTS)
FAR_KID = StartChildWorkflow(
    workflow_type=WORKFLOW, arguments=ARGUMENTS, queue="elsewhere"
)


def group(index: int, *, base: int = 1, size: int = 2) -> JsonMap:
    """Metadata of a member of a parallel group, as workers send it."""
    member = {
        "parallel_group_id": f"parallel-activities:{base}:{size}",
        "parallel_group_kind": "activity",
        "parallel_group_base_sequence": base,
        "parallel_group_size": size,
        "parallel_group_index": index,
    }
    return {**member, "parallel_group_path": [member]}


def tells(*commands: WorkflowCommand) -> Step:
    """A worker takes the workflow task and answers it."""

    async def step(server: SmallServer, workflow_id: str) -> None:
        await server.complete(await _leased(server), commands)

    return step


def loses(kind: TaskKind) -> Step:
    """A worker takes a task and is never heard of again."""

    async def step(server: SmallServer, workflow_id: str) -> None:
        await _leased(server, kind)
        server.clock.advance(seconds=301)
        await server.core.leases.requeue_expired()

    return step


def does(*, fails: bool = False) -> Step:
    """A worker takes the activity that is due, and carries it out or fails."""

    async def step(server: SmallServer, workflow_id: str) -> None:
        delivery = await _leased(server, TaskKind.ACTIVITY)
        if fails:
            await server.services.activity_tasks.fail(
                attempt_of(delivery), AttemptFailure(message="boom", type="Boom")
            )
        else:
            await server.complete_activity(delivery)

    return step


def waits(seconds: float) -> Step:
    async def step(server: SmallServer, workflow_id: str) -> None:
        server.clock.advance(seconds=seconds)
        await server.core.deadlines.enforce()
        await server.core.timers.fire_due()
        server.core.matcher.sweep()

    return step


def hears(name: str = "approve") -> Step:
    async def step(server: SmallServer, workflow_id: str) -> None:
        target = await _target(server, workflow_id)
        await server.services.commands.signal(
            target, a_message(name, arguments=ARGUMENTS)
        )

    return step


def is_asked(name: str = "change") -> Step:
    async def step(server: SmallServer, workflow_id: str) -> None:
        target = await _target(server, workflow_id)
        message = a_message(name, arguments=ARGUMENTS, request_id=f"r-{name}")
        await server.services.commands.update(target, message)

    return step


def answers(*, fails: bool = False) -> Step:
    """A worker takes the task of an update and closes it."""

    async def step(server: SmallServer, workflow_id: str) -> None:
        delivery = await _leased(server)
        update_id = str(delivery.leased.task.resume["workflow_update_id"])
        command = (
            FailUpdate(update_id=update_id, message="no")
            if fails
            else CompleteUpdate(update_id=update_id, result=ARGUMENTS)
        )
        await server.complete(delivery, [command])

    return step


def stumbles() -> Step:
    """A worker takes the workflow task and cannot go on with it."""

    async def step(server: SmallServer, workflow_id: str) -> None:
        await server.services.workflow_tasks.fail(
            ref_of(await _leased(server)), message="no", is_waiting=False
        )

    return step


def is_closed(verb: CommandType) -> Step:
    async def step(server: SmallServer, workflow_id: str) -> None:
        target = await _target(server, workflow_id)
        await server.services.commands.close(target, a_close(verb, reason="enough"))

    return step


async def _leased(server: SmallServer, kind: TaskKind = TaskKind.WORKFLOW) -> Delivery:
    """A task that is due, which matching may have yet to look for."""
    delivery = await server.poll(a_poll(kind, wait_seconds=LONG))
    assert delivery is not None
    return delivery


async def _target(server: SmallServer, workflow_id: str) -> Target:
    found = await server.services.commands.find_target(NAMESPACE, workflow_id, None)
    assert isinstance(found, Target), found
    return found


STORIES: Mapping[str, Sequence[Step]] = {
    "simple": [tells(DONE)],
    "failing": [stumbles(), tells(FailWorkflow(message="broken"))],
    "timers": [tells(StartTimer(delay_seconds=30)), waits(31), tells(DONE)],
    "timers_side_by_side": [
        tells(StartTimer(delay_seconds=30), StartTimer(delay_seconds=60)),
        waits(31),
        waits(31),
        tells(DONE),
    ],
    "activity": [tells(CHARGE), does(), tells(CHARGE), does(fails=True), tells(DONE)],
    "retries": [
        tells(RETRIED),
        does(fails=True),
        waits(3),
        loses(TaskKind.ACTIVITY),
        does(),
        tells(DONE),
    ],
    "retries_in_vain": [
        tells(RETRIED),
        does(fails=True),
        waits(3),
        does(fails=True),
        waits(5),
        does(fails=True),
        tells(FailWorkflow(message="it failed")),
    ],
    "lost_workflow_task": [loses(TaskKind.WORKFLOW), tells(CHARGE), does()],
    "parallel": [
        tells(
            ScheduleActivity(activity_type=ACTIVITY, parallel=group(0)),
            ScheduleActivity(activity_type=ACTIVITY, parallel=group(1)),
        ),
        does(),
        does(fails=True),
        tells(DONE),
    ],
    "markers": [
        tells(
            RecordSideEffect(result=ARGUMENTS),
            RecordVersionMarker(
                change_id="c", version=2, min_supported=1, max_supported=2
            ),
            CHARGE,
            UpsertSearchAttributes(attributes={"region": "eu", "size": 3}),
            StartTimer(delay_seconds=5),
        ),
        does(),
        waits(6),
        tells(DONE),
    ],
    "signals_for_a_condition": [
        hears(),
        tells(OpenConditionWait(condition_key="ready", timeout_seconds=600)),
        hears("other"),
        tells(OpenConditionWait(condition_key="ready", timeout_seconds=600)),
        hears(),
        tells(CHARGE),
        does(),
        tells(DONE),
    ],
    "condition_that_times_out": [
        tells(OpenConditionWait(condition_key="ready", timeout_seconds=30)),
        waits(31),
        tells(OpenConditionWait(condition_key="next")),
        hears(),
        tells(DONE),
    ],
    "signal_wait": [
        tells(OpenSignalWait(name="approve", timeout_seconds=60)),
        hears(),
        tells(OpenSignalWait(name="approve")),
        hears("unrelated"),
        tells(StartTimer(delay_seconds=1)),
        waits(2),
        tells(DONE),
    ],
    "updates": [
        tells(OpenConditionWait(condition_key="ready")),
        is_asked(),
        answers(),
        tells(OpenConditionWait(condition_key="ready")),
        is_asked("again"),
        hears(),
        answers(fails=True),
        tells(DONE),
    ],
    "update_before_the_first_task": [is_asked(), tells(CHARGE), answers(), does()],
    "child": [tells(KID), tells(DONE), tells(DONE)],
    "child_beside_a_signal": [
        tells(CHARGE, FAR_KID),
        does(),
        hears(),
        # A worker that replays sends what is pending again.
        tells(CHARGE, FAR_KID),
        hears("again"),
        tells(DONE),
    ],
    "child_with_policy": [
        tells(
            StartChildWorkflow(
                workflow_type=WORKFLOW,
                parent_close_policy=ParentClosePolicy.TERMINATE,
            ),
            OpenConditionWait(condition_key="never"),
        ),
    ],
    "continued": [
        hears(),
        tells(CHARGE, ContinueAsNew()),
        tells(CHARGE),
        does(),
        tells(DONE),
    ],
    "cancelled": [
        tells(CHARGE, StartTimer(delay_seconds=60)),
        is_asked(),
        is_closed(CommandType.CANCEL),
    ],
    "terminated": [
        tells(OpenSignalWait(name="approve", timeout_seconds=60)),
        is_closed(CommandType.TERMINATE),
    ],
}
