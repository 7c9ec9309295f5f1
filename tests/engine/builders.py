"""The verbs of the story of a workflow run, decision by decision."""

from __future__ import annotations

from typing import Any

from dwserver.engine import leases, wakes
from dwserver.engine.commands.batch import Completed, Completion, complete_workflow_task
from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.context import Policy
from dwserver.engine.leases import Leased
from dwserver.engine.lifecycle.activity_outcome import (
    AttemptFailure,
    Recorded,
    Report,
    record_outcome,
)
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
    JsonMap,
    Run,
    RunInput,
    Signal,
    Task,
    Update,
)
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import CommandStatus, TaskKind, TaskStatus
from tests.engine.parts import avro
from tests.engine.stage import Stage


class Play(Stage):
    """What happens to the runs of a stage."""

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
