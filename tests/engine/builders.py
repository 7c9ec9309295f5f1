"""A stage on which a test plays the story of workflow runs, decision by decision.

:class:`Play` stands for the service and the store: it makes a draft of the run's
state, lets a decision work on it, and keeps the change the way a store would, with a
store's guards. It is strict: a refusal that left a trace, a row inserted twice, a
history number given twice fail the test at the spot.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

import orjson

from dwserver.engine import leases, wakes
from dwserver.engine.background import Background
from dwserver.engine.commands.batch import Completed, Completion, complete_workflow_task
from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.context import Context, Policy
from dwserver.engine.draft import Draft
from dwserver.engine.leases import Leased
from dwserver.engine.lifecycle.activity_outcome import (
    AttemptFailure,
    Recorded,
    Report,
    record_outcome,
)
from dwserver.engine.lifecycle.child_outcome import hear_of_child
from dwserver.engine.lifecycle.signal import Received, SignalRequest, receive_signal
from dwserver.engine.lifecycle.start import Start, Started, start_again, start_new
from dwserver.engine.lifecycle.task_failure import (
    TaskFailed,
    TaskFailure,
    fail_workflow_task,
)
from dwserver.engine.lifecycle.timer_due import fire
from dwserver.engine.lifecycle.update import (
    AcceptedUpdate,
    UpdateRequest,
    accept_update,
)
from dwserver.engine.model import (
    Instance,
    JsonMap,
    Run,
    RunInput,
    RunState,
    Signal,
    Task,
    Update,
)
from dwserver.engine.outcome import Rejection
from dwserver.engine.transition import RunChange
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import CommandStatus, TaskKind, TaskStatus
from tests.engine.kept_rows import Rows
from tests.engine.parts import NOON, avro

MESSAGES = 1 << 39
"""Events held below the negative of this are arrivals of messages."""

_Reply = TypeVar("_Reply")


class Play:
    """Runs, a clock that a test moves by hand, and ids ``id-1``, ``id-2``, …

    ``run_id`` is the run that the verbs are about: the one started last, and its
    successor after a continue-as-new.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self.now = NOON
        self.policy = policy or Policy()
        self.rows: dict[str, Rows] = {}
        self.instances: dict[str, Instance] = {}
        self.run_id = ""
        self._ids = count(1)

    # the stage ------------------------------------------------------------------
    def context(self) -> Context:
        return Context(self.now, self._next_id, orjson.dumps, self.policy)

    def _next_id(self) -> str:
        return f"id-{next(self._ids)}"

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * MICROS)

    @property
    def here(self) -> Rows:
        return self.rows[self.run_id]

    @property
    def run(self) -> Run:
        return self.here.run

    @property
    def state(self) -> RunState:
        return self.here.state

    def draft(self, run_id: str | None = None) -> Draft:
        return Draft(self.rows[run_id or self.run_id].state, self.context())

    def decide(
        self, decision: Callable[[Draft], _Reply], run_id: str | None = None
    ) -> _Reply:
        """Let ``decision`` work on a run and keep what it changed."""
        before = self.rows[run_id or self.run_id].state
        draft = self.draft(run_id)
        reply = decision(draft)
        if isinstance(reply, Rejection):
            assert_untouched(draft, before)
        if draft.touched:
            self.commit(draft)
        return reply

    def commit(self, draft: Draft) -> RunChange:
        """Keep the changes of a draft, of its parents that must hear of it, and of the
        runs that all of them make."""
        heads = [draft]
        while heads[-1].for_parent in self.rows:
            child, parent = heads[-1], self.draft(heads[-1].for_parent)
            hear_of_child(parent, child, self.background(child.run))
            if not parent.touched:
                break
            heads.append(parent)
        changes = {}
        for each in [each for head in heads for each in head.family()]:
            changes[each.run.id] = each.freeze()
            self._write(changes[each.run.id])
            self._keep_instance(each)
        instance = draft.new_instance or draft.instance
        if instance is not None and self.run_id in ("", draft.run.id):
            self.run_id = instance.current_run_id
        return changes[draft.run.id]

    def _keep_instance(self, draft: Draft) -> None:
        instance = draft.new_instance or draft.instance
        if instance is not None:
            known = self.instances.get(instance.workflow_id)
            assert (known is None) == (draft.new_instance is not None)
            self.instances[instance.workflow_id] = instance

    def background(self, run: Run) -> Background:
        run_input = self.rows[run.id].input
        assert run_input is not None
        payloads = {c.sequence: c.payload for c in self.rows[run.id].commands}
        return Background(
            input=run_input,
            instance=self.instances[run.workflow_id],
            payloads=payloads,
        )

    def _write(self, change: RunChange) -> None:
        run_id = change.run.id
        is_new = run_id not in self.rows
        if is_new:
            self.rows[run_id] = Rows(RunState(change.run, {}, {}, {}))
        self.rows[run_id].keep(change, is_new=is_new)

    # what happens ---------------------------------------------------------------
    def start(self, **fields: Any) -> Run:
        draft = start_new(a_start(**fields), self.context())
        self.run_id = draft.run.id
        self.commit(draft)
        return self.run

    def start_again(self, **fields: Any) -> Started:
        return self.decide(lambda draft: start_again(draft, a_start(**fields)))

    def poll(self, owner: str = "w1") -> Task:
        """The workflow task of the run, leased."""
        leased = self.lease(self.workflow_task, owner)
        assert leased is not None, "the workflow task could not be claimed"
        return leased.task

    def lease(
        self, task: Task, owner: str = "w1", *, fingerprint: str | None = None
    ) -> Leased | None:
        return self.decide(
            lambda draft: leases.lease(
                draft, leases.current(draft, task), owner, fingerprint=fingerprint
            ),
            task.run_id,
        )

    def complete(
        self, task: Task, *commands: WorkflowCommand, **claim: Any
    ) -> Completed | Rejection:
        """``claim``: an owner or attempt other than those of ``task``, and
        ``unseen``."""
        completion = Completion(
            task=self.task(task),
            commands=commands,
            owner=claim.get("owner") or str(task.lease_owner),
            attempt=claim.get("attempt", task.attempt),
            background=self.background(self.rows[task.run_id].run),
            unseen=claim.get("unseen", frozenset()),
        )
        return self.decide(
            lambda draft: complete_workflow_task(draft, completion), task.run_id
        )

    def completed(self, task: Task, *commands: WorkflowCommand) -> Completed:
        """:meth:`complete` that must be accepted."""
        reply = self.complete(task, *commands)
        assert isinstance(reply, Completed), reply
        return reply

    def fail_task(
        self, task: Task, *, is_waiting: bool = False, **claim: Any
    ) -> TaskFailed | Rejection:
        failure = TaskFailure(
            task=self.task(task),
            owner=claim.get("owner") or str(task.lease_owner),
            attempt=claim.get("attempt", task.attempt),
            message="cannot replay",
            is_waiting=is_waiting,
        )
        return self.decide(
            lambda draft: fail_workflow_task(draft, failure), task.run_id
        )

    def poll_activity(
        self, activity_type: str | None = None, owner: str = "w1"
    ) -> Leased:
        """The first claimable activity task (of that type), leased."""
        ready = [
            task
            for task in self.state.tasks.values()
            if task.kind is TaskKind.ACTIVITY
            and task.status is TaskStatus.READY
            and activity_type in (None, task.type_name)
        ]
        leased = self.lease(ready[0], owner) if ready else None
        assert leased is not None, "no activity task could be claimed"
        return leased

    def report(self, task: Task, **fields: Any) -> Recorded | Rejection:
        """An outcome for the attempt that ``task`` carries, or of ``fields``."""
        rows = self.rows[task.run_id]
        attempt_id = fields.pop("attempt_id", task.attempt_id)
        report = Report(
            task=rows.tasks[task.id],
            attempt_id=attempt_id,
            owner=fields.pop("owner", task.lease_owner),
            closed=rows.attempts.get(attempt_id),
            **fields,
        )
        return self.decide(lambda draft: record_outcome(draft, report), task.run_id)

    def succeed(self, leased: Leased, result: str | None = None) -> str | None:
        """Report success, which must count; the id of the next task."""
        payload = None if result is None else avro(result)
        reply = self.report(leased.task, result=payload)
        assert isinstance(reply, Recorded), reply
        return reply.next_task_id

    def fail(self, leased: Leased, message: str = "boom", **fields: Any) -> str | None:
        """Report a failure, which must count; the id of the next task."""
        failure = AttemptFailure(message=message, **fields)
        reply = self.report(leased.task, failure=failure)
        assert isinstance(reply, Recorded), reply
        return reply.next_task_id

    def run_activity(self, activity_type: str, result: str | None = None) -> str | None:
        return self.succeed(self.poll_activity(activity_type), result)

    def fire(self, step: int, run_id: str | None = None) -> bool:
        return self.decide(lambda draft: fire(draft, step), run_id)

    def expire(self, task: Task) -> bool:
        return self.decide(
            lambda draft: leases.expire(draft, leases.current(draft, task)), task.run_id
        )

    def requeue(self, task: Task) -> bool:
        return self.decide(
            lambda draft: leases.requeue(draft, leases.current(draft, task)),
            task.run_id,
        )

    def signal(
        self, name: str, arguments: str | None = None, **fields: Any
    ) -> Received:
        """A signal for the run (``run_id``), accepted or not."""
        run_id = fields.pop("run_id", None)
        request = SignalRequest(
            namespace="default",
            name=name,
            arguments=None if arguments is None else avro(arguments),
            **fields,
        )
        return self.decide(lambda draft: receive_signal(draft, request), run_id)

    def signalled(self, name: str, arguments: str | None = None) -> Signal:
        """:meth:`signal` that must be accepted."""
        signal = self.signal(name, arguments).signal
        assert signal is not None
        return signal

    def update(
        self, name: str, arguments: str | None = None, **fields: Any
    ) -> AcceptedUpdate:
        """An update for the run (``run_id``), accepted or not."""
        run_id = fields.pop("run_id", None)
        request = UpdateRequest(
            namespace="default",
            name=name,
            arguments=None if arguments is None else avro(arguments),
            **fields,
        )
        return self.decide(lambda draft: accept_update(draft, request), run_id)

    def updated(self, name: str, arguments: str | None = None) -> Update:
        """:meth:`update` that must be accepted."""
        reply = self.update(name, arguments)
        assert reply.command.status is CommandStatus.ACCEPTED
        return reply.update

    def wake(self, resume: JsonMap) -> str | None:
        return self.decide(lambda draft: wakes.wake(draft, resume))

    # what can be seen -----------------------------------------------------------
    @property
    def workflow_task(self) -> Task:
        """The open workflow task of the run; there must be one."""
        open_tasks = self.workflow_tasks
        assert len(open_tasks) == 1, open_tasks
        return open_tasks[0]

    @property
    def workflow_tasks(self) -> list[Task]:
        tasks = self.state.tasks.values()
        return [task for task in tasks if task.kind is TaskKind.WORKFLOW]

    def task(self, task: Task | str) -> Task:
        """The row of a task as it is now, open or closed."""
        task_id = task if isinstance(task, str) else task.id
        return next(
            rows.tasks[task_id] for rows in self.rows.values() if task_id in rows.tasks
        )

    def history(self, run_id: str | None = None) -> list[tuple[str, dict[str, Any]]]:
        """(type, payload) of every event, in order; gaps fail."""
        rows = self.rows[run_id or self.run_id]
        numbers = sorted(number for number in rows.events if number > 0)
        assert numbers == list(range(1, len(numbers) + 1))
        return [(str(rows.events[n].event_type), rows.payloads[n]) for n in numbers]

    def event_types(self, run_id: str | None = None) -> list[str]:
        return [event_type for event_type, _ in self.history(run_id)]

    def steps_of(self, *event_types: str) -> list[int]:
        """Step numbers of the events of these types, in the order of history."""
        return [
            payload["sequence"]
            for event_type, payload in self.history()
            if event_type in event_types
        ]

    def held(self) -> list[int]:
        """Steps whose resolution event is stored but not yet part of history."""
        return sorted(-number for number in self.here.events if -MESSAGES < number < 0)


def a_start(**fields: Any) -> Start:
    defaults: dict[str, Any] = {
        "namespace": "default",
        "workflow_id": "wf",
        "workflow_type": "demo",
        "task_queue": "q",
        "input": RunInput(arguments=avro("in")),
        "payload_codec": "avro",
    }
    return Start(**{**defaults, **fields})


def assert_untouched(draft: Draft, before: RunState) -> None:
    """A refusal leaves nothing behind, neither in the counters nor in the rows."""
    assert draft.touched == 0
    assert draft.events == []
    assert draft.created == []
    now = RunState(
        draft.run,
        draft.tasks,
        draft.activities,
        draft.timers,
        draft.children,
        draft.waits,
        draft.signals,
        draft.updates,
    )
    assert now == before
    assert (draft.last_sequence, draft.last_step) == (
        before.run.last_sequence,
        before.run.last_step,
    )


def begun(policy: Policy | None = None, **fields: Any) -> tuple[Play, Task]:
    """A play with one started run whose first workflow task is leased by ``w1``."""
    play = Play(policy)
    play.start(**fields)
    return play, play.poll()


def after_commands(
    *commands: WorkflowCommand, policy: Policy | None = None
) -> tuple[Play, Completed]:
    """A play whose first workflow task was completed with ``commands``."""
    play, task = begun(policy)
    return play, play.completed(task, *commands)
