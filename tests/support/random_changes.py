"""Changes of a run drawn at random: all kinds of rows, in every state.

They obey the rules of storage (versions, sequences, what a held event is), not those of
workflows: a task may complete while its activity goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from dwserver.engine.context import Context, Policy
from dwserver.engine.draft import Draft
from dwserver.engine.model import (
    Payload,
    RunInput,
    RunState,
    Task,
    Wake,
)
from dwserver.engine.transition import LeaseGuard, RunChange
from dwserver.engine.words import (
    ClosedReason,
    CommandStatus,
    EventType,
    RunStatus,
    TaskStatus,
)
from tests.support.builders import (
    NOON,
    SECOND,
    a_closed_attempt,
    a_command,
    a_failure,
    a_task,
    an_id,
    an_outbox_entry,
)
from tests.support.random_messages import apply_message, deliver, receive
from tests.support.random_steps import (
    change_activity,
    change_child,
    change_timer,
    change_wait,
    new_batch,
    release,
)
from tests.support.random_values import TEXTS, choose, document, maybe


def a_random_change(state: RunState, random: Random) -> RunChange:
    """One to four things that happen to the run at once."""
    now = NOON + random.randrange(3600) * SECOND
    context = Context(
        now=now, next_id=an_id, encode=lambda _: _payload(random), policy=Policy()
    )
    draft = Draft(state, context)
    for step in random.sample(_STEPS, k=random.randint(1, 4)):
        step(draft, random)
    change = draft.freeze()
    if random.random() < 0.3:
        change = replace(change, lease_guards=_valid_guards(state))
    return change


def _payload(random: Random) -> bytes:
    return f'{{"text":"{random.randrange(10**9)}"}}'.encode()


def _valid_guards(state: RunState) -> tuple[LeaseGuard, ...]:
    return tuple(
        LeaseGuard(task.id, task.lease_expires_at)
        for task in state.tasks.values()
        if task.lease_expires_at is not None
    )


def _new_workflow_task(draft: Draft, random: Random) -> None:
    task = a_task(
        draft.run,
        available_at=draft.context.now + random.randrange(-9, 9) * SECOND,
        compatibility=maybe(random, "build-7"),
        definition_fingerprint=draft.run.definition_fingerprint,
        resume=random.choice([{}, document(random)]),
    )
    draft.tasks.add(task)


def _change_task(draft: Draft, random: Random) -> None:
    """Lease, requeue or close one that is open."""
    task = choose(list(draft.open_tasks()), random)
    if task is None:
        return
    draft.tasks.put(random.choice((_leased, _requeued, _closed))(draft, task, random))


def _leased(draft: Draft, task: Task, random: Random) -> Task:
    return replace(
        task,
        status=TaskStatus.LEASED,
        lease_owner=f"worker-{random.randrange(3)}",
        leased_at=draft.context.now,
        lease_expires_at=draft.context.now + random.randrange(600) * SECOND,
        attempt=task.attempt + 1,
        attempt_id=None if task.activity_id is None else an_id("attempt"),
        snapshot_sequence=draft.last_sequence,
        definition_fingerprint=maybe(random, random.choice(TEXTS)),
    )


def _requeued(draft: Draft, task: Task, random: Random) -> Task:
    if task.attempt_id is not None:
        draft.close_attempt(a_closed_attempt(task))
    return replace(
        task,
        status=TaskStatus.READY,
        available_at=draft.context.now + random.randrange(60) * SECOND,
        lease_owner=None,
        leased_at=None,
        lease_expires_at=None,
        attempt_id=None,
        repair_count=task.repair_count + 1,
        last_error=random.choice(TEXTS),
    )


def _closed(draft: Draft, task: Task, random: Random) -> Task:
    status = random.choice(
        (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED)
    )
    return replace(task, status=status, closed_at=draft.context.now)


def _leave_work(draft: Draft, random: Random) -> None:
    """Work for after the commit."""
    now = draft.context.now
    draft.leave(
        an_outbox_entry(
            draft.run,
            payload=random.choice([{}, document(random)]),
            available_at=now + random.randrange(-9, 9) * SECOND,
            created_at=now,
        )
    )


def _replace_input(draft: Draft, random: Random) -> None:
    """What the run was started with, with other search attributes."""
    draft.input = RunInput(
        arguments=Payload("json", random.choice(TEXTS)),
        memo=random.choice([{}, document(random)]),
        search_attributes=random.choice([{}, document(random)]),
        business_key=maybe(random, "key 3"),
    )


def _change_run(draft: Draft, random: Random) -> None:
    status = random.choice(list(RunStatus))
    wakes = tuple(Wake(document(random)) for _ in range(random.randrange(3)))
    draft.set_run(
        status=status,
        closed_reason=maybe(random, random.choice(list(ClosedReason))),
        closed_at=draft.context.now if status.is_terminal else None,
        compatibility=maybe(random, random.choice(TEXTS)),
        definition_fingerprint=maybe(random, random.choice(TEXTS)),
        wakes=wakes,
        task_failures=random.randrange(5),
        run_deadline_at=maybe(random, draft.context.now),
        execution_deadline_at=maybe(random, draft.context.now + SECOND),
    )
    if status.is_terminal:
        draft.output = Payload("avro", random.choice(TEXTS))


def _record(draft: Draft, random: Random) -> None:
    """A command, a failure and an event that belong to nothing."""
    sequence = draft.run.command_sequence + 1
    draft.set_run(command_sequence=sequence)
    payload = Payload("json", random.choice(TEXTS))
    draft.record_command(
        a_command(
            draft.run,
            sequence=sequence,
            status=random.choice(list(CommandStatus)),
            request_id=maybe(random, f"request-{random.randrange(6)}"),
            rejection_reason=maybe(random, random.choice(TEXTS)),
            payload=maybe(random, payload),
            context=random.choice([{}, document(random)]),
        )
    )
    message = random.choice(TEXTS)
    draft.record_failure(
        a_failure(
            draft.run,
            message=message,
            created_at=draft.context.now,
            non_retryable=random.random() < 0.5,
        )
    )
    draft.append(EventType.WORKFLOW_FAILED, {}, command_id=an_id("command"))


_STEPS: tuple[Callable[[Draft, Random], None], ...] = (
    new_batch,
    _new_workflow_task,
    _change_task,
    change_activity,
    change_timer,
    change_child,
    change_wait,
    receive,
    deliver,
    apply_message,
    _leave_work,
    _replace_input,
    release,
    _change_run,
    _record,
)
