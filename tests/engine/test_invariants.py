"""Random stories over the pure engine, with every invariant checked at every step.

The machine plays honest and dishonest workers at once: it leases, completes, sends
commands twice, reports late, with another's name or an old attempt number, lets leases
lapse, and starts over. It predicts from the rows alone whether a request must be
accepted; :mod:`tests.engine.invariants` says what must hold afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from dwserver.engine.commands.batch import Completed
from dwserver.engine.commands.kinds import BlockingCommand, WorkflowCommand
from dwserver.engine.commands.terminal import (
    CompleteWorkflow,
    ContinueAsNew,
    FailWorkflow,
)
from dwserver.engine.context import Policy
from dwserver.engine.lifecycle.activity_outcome import AttemptFailure, Recorded
from dwserver.engine.lifecycle.start import DuplicatePolicy
from dwserver.engine.lifecycle.task_failure import TaskFailed
from dwserver.engine.liveness import is_overdue
from dwserver.engine.model import RetryPolicy, Task, Wait
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import RunStatus, TaskKind, TaskStatus
from tests.engine import invariants
from tests.engine.builders import Play
from tests.engine.children import DONE, child
from tests.engine.endings import archive_run, repair_run
from tests.engine.kept_rows import Rows
from tests.engine.parts import (
    activity,
    avro,
    group,
    signal,
    timer,
)
from tests.engine.stage import MESSAGES

OWNERS = st.sampled_from(["w1", "w2"])
NEWEST_FIRST = st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2, 3, 5])
RARELY = st.sampled_from([False] * 9 + [True])
REDISPATCH = Policy().redispatch_after
RETRIES: list[dict[str, Any]] = [
    {},
    {"max_attempts": 2},
    {"max_attempts": 3, "backoff_seconds": (1, 5)},
    {"max_attempts": 9, "schedule_to_close_timeout": 5},
    {"max_attempts": 2, "schedule_to_start_timeout": 5},
    {"start_to_close_timeout": 5, "heartbeat_timeout": 2},
]
BLOCKING: st.SearchStrategy[BlockingCommand] = st.one_of(
    st.builds(
        lambda name, arguments, policy: activity(name, arguments, **policy),
        st.sampled_from("ab"),
        st.sampled_from([None, "AA=="]),
        st.sampled_from(RETRIES),
    ),
    st.builds(timer, st.sampled_from([0, 1, 60])),
    st.builds(
        lambda name, policy: child(name, retry_policy=policy),
        st.sampled_from("cd"),
        st.sampled_from([None, RetryPolicy(max_attempts=2, backoff_seconds=(1,))]),
    ),
)
ENDS: list[WorkflowCommand] = [
    ContinueAsNew(),
    ContinueAsNew(arguments=avro("again")),
    CompleteWorkflow(),
    FailWorkflow(message="no"),
]


FAILURES = st.sampled_from(
    [
        None,
        None,
        AttemptFailure(message="boom"),
        AttemptFailure(message="boom", is_non_retryable=True),
    ]
)
MOVE_WEIGHTS = {
    "go_on": 6,
    "settle": 4,
    "report": 5,
    "fire": 2,
    "send_the_pending_batch_again": 2,
    "finish": 2,
    "say_nothing": 1,
    "give_up": 1,
    "nudge": 1,
    "poll": 1,
    "poll_activity": 1,
    "finish_a_child": 1,
    "take_a_lease_away": 1,
    "advance": 1,
    "start_again": 1,
    "look_after": 1,
}
MOVES = [move for move, weight in MOVE_WEIGHTS.items() for _ in range(weight)]


@dataclass(frozen=True)
class Claim:
    """What a request says about the task that it holds, truly or not."""

    task: Task
    owner: str
    attempt: int

    @classmethod
    def of(cls, task: Task) -> Claim:
        """What the holder of ``task`` says, even if it is no longer the holder."""
        return cls(task, str(task.lease_owner), task.attempt)

    @property
    def run_id(self) -> str:
        return self.task.run_id

    @property
    def fields(self) -> dict[str, Any]:
        return {"owner": self.owner, "attempt": self.attempt}


@st.composite
def batches(
    draw: st.DrawFn, blocking: st.SearchStrategy[BlockingCommand] = BLOCKING
) -> list[BlockingCommand]:
    """A list as one workflow yields it: all members with metadata or none, or mixed
    as no SDK would send it."""
    commands = draw(st.lists(blocking, min_size=1, max_size=3))
    kind = draw(st.sampled_from(["bare", "bare", "group", "mixed"]))
    base = draw(st.integers(1, 9))
    return [
        replace(command, parallel=group(base=base, size=len(commands), index=index))
        if kind == "group" or (kind == "mixed" and draw(st.booleans()))
        else command
        for index, command in enumerate(commands)
    ]


class Story(RuleBasedStateMachine):
    """``claims`` and ``attempts``: every workflow and activity lease ever taken.

    ``batch``: what a workflow may yield. All moves are one rule. With a rule for each
    of them hypothesis leaves many of them out of a story, and most stories come to
    nothing.
    """

    batch: st.SearchStrategy[list[BlockingCommand]] = batches()

    def __init__(self) -> None:
        super().__init__()
        self.play = Play()
        self.claims: list[Task] = []
        self.attempts: list[Task] = []
        self.sent: dict[str, list[BlockingCommand]] = {}
        self.counted: Counter[str] = Counter()
        self.checked: dict[str, Rows] = {}
        self.started = 0

    @initialize()
    def start(self) -> None:
        self.started += 1
        self.play.start(workflow_id=f"wf-{self.started}")

    @rule(move=st.sampled_from(MOVES), data=st.data())
    def something_happens(self, move: str, data: st.DataObject) -> None:
        self.draw = data.draw
        getattr(self, move)()

    def jump_to(self, instant: int) -> None:
        """Let time pass until something is due, or just before."""
        too_early = self.draw(RARELY, "too early")
        self.play.now = max(self.play.now, instant - too_early)

    # the operator ---------------------------------------------------------------
    def start_again(self) -> None:
        """The same id again; after the end of a run, also a new one."""
        policy = self.draw(st.sampled_from(DuplicatePolicy))
        is_open = not self.play.run.status.is_terminal
        reply = self.play.start_again(
            workflow_id=self.play.run.workflow_id, duplicate_policy=policy
        )
        is_accepted = is_open and policy is DuplicatePolicy.USE_EXISTING
        assert (reply.rejection_reason is None) is is_accepted
        if not is_open:
            self.start()

    def look_after(self) -> None:
        """Repair or archive a run. Stories leave nothing out, so a repair only takes
        back what is over and announces what nobody takes."""
        run_id = self.draw(st.sampled_from([*self.play.rows, self.play.run_id]))
        rows, now = self.play.rows[run_id], self.play.now
        is_closed, was_archived = rows.run.status.is_terminal, rows.run.archived_at
        tasks = list(rows.state.tasks.values())
        last_sequence, kept_back = rows.run.last_sequence, self.held(rows)
        if self.draw(st.booleans(), "archive"):
            archived = archive_run(self.play, run_id)
            expected = "archive_not_needed" if was_archived else "archived"
            assert archived.command.outcome == (
                expected if is_closed else "rejected_run_not_closed"
            )
            return
        repaired = repair_run(self.play, run_id)
        if is_closed:
            assert repaired.command.outcome == "rejected_not_active"
            return
        lapsed = [task for task in tasks if (task.lease_expires_at or now + 1) <= now]
        overdue = [
            task for task in tasks if is_overdue(task, now=now, after=REDISPATCH)
        ]
        is_needed = bool(lapsed or overdue)
        expected = "repair_dispatched" if is_needed else "repair_not_needed"
        assert repaired.command.outcome == expected
        released = any(task.kind is TaskKind.WORKFLOW for task in lapsed) * kept_back
        assert rows.run.last_sequence == last_sequence + released + 1

    def advance(self) -> None:
        self.play.advance(self.draw(st.sampled_from([0.5, 1, 5, 60, 300])))

    def nudge(self) -> None:
        """Something from outside wakes the run, however little it helps."""
        if not self.play.run.status.is_terminal:
            self.play.wake(signal("go"))

    # a workflow worker ----------------------------------------------------------
    def poll(self) -> None:
        if not self.play.workflow_tasks:
            return
        task = self.play.workflow_task
        self.jump_to(task.available_at)
        leased = self.play.lease(task, self.draw(OWNERS))
        is_due = task.available_at <= self.play.now
        assert (leased is not None) is (task.status is TaskStatus.READY and is_due)
        if leased is not None:
            assert leased.task.attempt == task.attempt + 1
            assert leased.task.snapshot_sequence == leased.run.last_sequence
            self.claims.append(leased.task)

    def claim(self) -> Claim | None:
        """The newest claim that is possible, or an older one; perhaps not even that."""
        pick = self.draw(NEWEST_FIRST)
        if pick == 0:
            if not self.play.workflow_tasks:
                getattr(self, self.draw(st.sampled_from(["settle", "nudge"])))()
            self.poll()
        if not self.claims:
            return None
        task = self.claims[-1 - pick % len(self.claims)]
        owner = "w9" if self.draw(RARELY, "wrong owner") else str(task.lease_owner)
        off = self.draw(RARELY, "wrong attempt")
        return Claim(task, owner, task.attempt + off)

    def holds(self, claim: Claim) -> bool:
        row = self.play.task(claim.task)
        return (
            row.status is TaskStatus.LEASED
            and (row.lease_owner, row.attempt) == (claim.owner, claim.attempt)
            and row.lease_expires_at is not None
            and row.lease_expires_at > self.play.now
        )

    def complete_with(
        self, commands: Sequence[WorkflowCommand], claim: Claim
    ) -> Completed | Rejection:
        """Complete, then complete once more: that must never count."""
        must_count = self.holds(claim)
        reply = self.play.complete(claim.task, *commands, **claim.fields)
        assert isinstance(reply, Completed) is must_count, reply
        if must_count:
            again = self.play.complete(claim.task, *commands, **claim.fields)
            assert isinstance(again, Rejection)
        return reply

    def go_on(self, claim: Claim | None = None) -> None:
        claim = claim or self.claim()
        if claim is None:
            return
        batch, rows = self.draw(self.batch), self.play.rows[claim.run_id]
        last_step = rows.run.last_step
        reply = self.complete_with(batch, claim)
        if isinstance(reply, Completed):
            assert reply.run_status is RunStatus.WAITING
            if rows.run.last_step != last_step:
                self.sent[reply.run_id] = batch

    def send_the_pending_batch_again(self) -> None:
        claim = self.claim()
        if claim is None or claim.run_id not in self.sent:
            return
        rows, batch = self.play.rows[claim.run_id], self.sent[claim.run_id]
        was_seen = self.was_seen(rows, batch, claim.task)
        last_step = rows.run.last_step
        reply = self.complete_with(batch, claim)
        if isinstance(reply, Rejection):
            return
        assert rows.run.last_step == last_step + (len(batch) if was_seen else 0)
        if not was_seen:
            assert reply.created_task_ids == ()

    def was_seen(
        self, rows: Rows, batch: Sequence[BlockingCommand], task: Task
    ) -> bool:
        """The history that ``task`` showed has the outcome of every member."""
        steps, first = invariants.steps_of(rows), rows.run.batch_first
        members = [steps[first + i] for i in range(len(batch))]
        waits = [member for member in members if isinstance(member, Wait)]
        shown = {
            signal.wait_id
            for signal in rows.signals.values()
            if signal.is_open and 0 < signal.event_sequence <= task.snapshot_sequence
        }
        if any(wait.is_open and wait.id not in shown for wait in waits):
            return False
        if len(waits) == len(members):
            return True
        is_pending = any(m.is_open for m in members if not isinstance(m, Wait))
        return (
            not is_pending
            and rows.run.batch_resolved_sequence <= task.snapshot_sequence
        )

    def say_nothing(self) -> None:
        claim = self.claim()
        if claim is not None:
            reply = self.complete_with([], claim)
            assert isinstance(reply, Rejection) or reply.created_task_ids == ()

    def finish(self) -> None:
        if self.draw(st.booleans(), "an activity still runs"):
            self.poll_activity()
        claim = self.claim()
        if claim is None:
            return
        end = self.draw(st.sampled_from(ENDS))
        batch = self.draw(st.one_of(st.just([]), self.batch))
        if batch:  # nothing may follow the end
            refused = self.play.complete(claim.task, end, *batch, **claim.fields)
            assert isinstance(refused, Rejection)
        reply = self.complete_with([*batch, end], claim)
        if isinstance(reply, Completed):
            assert self.play.rows[reply.run_id].run.status is reply.run_status
            assert reply.run_status.is_terminal
            self.sent.pop(reply.run_id, None)
            for task in list(self.play.rows[reply.run_id].state.tasks.values()):
                self.report_on(task)

    def give_up(self) -> None:
        """The worker fails the task, or waits for history at a pending step."""
        claim = self.claim()
        if claim is None:
            return
        rows = self.play.rows[claim.run_id]
        can_wait = bool(rows.run.wakes) or any(
            step.is_open for step in invariants.steps_of(rows).values()
        )
        is_waiting = can_wait and self.draw(st.booleans(), "waits")
        if claim.run_id == self.play.run_id and self.draw(st.booleans(), "woken"):
            self.nudge()
        must_count = self.holds(claim)
        last_sequence, held = rows.run.last_sequence, self.held(rows)
        reply = self.play.fail_task(claim.task, is_waiting=is_waiting, **claim.fields)
        assert isinstance(reply, TaskFailed) is must_count
        assert rows.run.last_sequence == last_sequence + held * must_count
        if must_count and not is_waiting:
            task = self.play.workflow_task
            assert (task.status, task.attempt) == (TaskStatus.READY, 0)

    def held(self, rows: Rows) -> int:
        """Events that take their place when the leased workflow task closes."""
        messages = sum(number < -MESSAGES for number in rows.events)
        waits = rows.waits.items()
        with_signal = {s.wait_id for s in rows.signals.values() if s.is_open}
        timeouts = sum(
            rows.timers[step].is_held
            for step, wait in waits
            if step in rows.timers and wait.is_open and wait.id not in with_signal
        )
        return messages + timeouts

    # an activity worker ---------------------------------------------------------
    def poll_activity(self) -> None:
        tasks = [
            task
            for task in self.play.state.tasks.values()
            if task.kind is TaskKind.ACTIVITY
        ]
        if not tasks:
            return
        task = self.draw(st.sampled_from(tasks))
        self.jump_to(task.available_at)
        leased = self.play.lease(task, self.draw(OWNERS))
        is_due = task.available_at <= self.play.now
        assert (leased is not None) is (task.status is TaskStatus.READY and is_due)
        if leased is not None:
            assert leased.task.attempt == task.attempt + 1
            self.attempts.append(leased.task)

    def report(self) -> None:
        pick = self.draw(NEWEST_FIRST)
        if pick == 0:
            self.poll_activity()
        if not self.attempts:
            return
        self.report_on(self.attempts[-1 - pick % len(self.attempts)])

    def report_on(self, task: Task) -> None:
        owner = "w9" if self.draw(RARELY, "wrong owner") else task.lease_owner
        row, run = self.play.task(task), self.play.rows[task.run_id].run
        must_count = (
            owner == task.lease_owner
            and row.status is TaskStatus.LEASED
            and row.attempt_id == task.attempt_id
        )
        reply = self.play.report(task, owner=owner, failure=self.draw(FAILURES))
        assert isinstance(reply, Recorded) is must_count, reply
        if isinstance(reply, Recorded):
            self.counted[str(task.attempt_id)] += 1
            assert self.counted[str(task.attempt_id)] == 1
            if run.status.is_terminal:
                assert reply.next_task_id is None
                after = self.play.rows[task.run_id].run
                assert after.last_sequence == run.last_sequence

    def settle(self) -> None:
        """Every open step gets its outcome, in any order."""
        open_steps = [
            number
            for number, step in invariants.steps_of(self.play.here).items()
            if step.is_open and not isinstance(step, Wait)
        ]
        if self.play.run.status.is_terminal or not open_steps:
            return
        for step in self.draw(st.permutations(open_steps)):
            timer = self.play.here.timers.get(step)
            if timer is not None:
                self.play.now = max(self.play.now, timer.fire_at)
                assert self.play.fire(step)
            elif step in self.play.here.children:
                self.finish_child(self.play.here, step)
            else:
                self.finish_activity(self.play.here.activities[step].id)

    def finish_activity(self, activity_id: str) -> None:
        [task] = [
            task
            for task in self.play.state.tasks.values()
            if task.activity_id == activity_id
        ]
        if task.status is TaskStatus.READY:
            self.play.now = max(self.play.now, task.available_at)
            leased = self.play.lease(task)
            assert leased is not None
            task = leased.task
            self.attempts.append(task)
        failure = self.draw(FAILURES)
        assert isinstance(self.play.report(task, failure=failure), Recorded)
        self.counted[str(task.attempt_id)] += 1

    def finish_a_child(self) -> None:
        """Of the current run, or of one that has closed."""
        calls = [
            (rows, step)
            for rows in self.play.rows.values()
            for step, call in rows.children.items()
            if call.is_open
        ]
        if calls:
            self.finish_child(*self.draw(st.sampled_from(calls)))

    def finish_child(self, parent: Rows, step: int) -> None:
        """It comes to an end, in one run or in several."""
        ends = st.sampled_from(ENDS)
        for end in [*(self.draw(ends, "a run of the child") for _ in range(3)), DONE]:
            run_id = parent.children[step].child_run_id
            [task] = self.play.rows[run_id].state.tasks.values()
            self.play.now = max(self.play.now, task.available_at)
            leased = self.play.lease(task)
            assert leased is not None
            assert isinstance(self.play.complete(leased.task, end), Completed)
            if not parent.children[step].is_open:
                return

    # time -----------------------------------------------------------------------
    def fire(self) -> None:
        is_old = self.draw(RARELY, "any run")
        runs = list(self.play.rows) if is_old else [self.play.run_id]
        run_id = self.draw(st.sampled_from(runs))
        rows = self.play.rows[run_id]
        if not rows.timers:
            return
        pending = [step for step, row in rows.timers.items() if row.is_open]
        step = self.draw(st.sampled_from(pending or list(rows.timers)))
        row = rows.timers[step]
        if row.is_open and row.fire_at > self.play.now:
            self.play.now = row.fire_at - 1
            assert not self.play.fire(step, run_id)
        self.jump_to(row.fire_at)
        is_due = row.fire_at <= self.play.now
        must_fire = row.is_open and is_due and not row.is_held
        assert self.play.fire(step, run_id) is must_fire

    def take_a_lease_away(self) -> None:
        tasks = [*self.claims, *self.attempts]
        if not tasks:
            return
        task = tasks[-1 - self.draw(NEWEST_FIRST) % len(tasks)]
        row = self.play.task(task)
        is_leased = row.status is TaskStatus.LEASED
        rows = self.play.rows[task.run_id]
        last_sequence = rows.run.last_sequence
        held = self.held(rows) if task.kind is TaskKind.WORKFLOW else 0
        if self.draw(st.booleans(), "by force"):
            lapsed = is_leased
            assert self.play.requeue(task) is is_leased
        else:
            expires_at = row.lease_expires_at or 0
            self.jump_to(expires_at)
            lapsed = is_leased and expires_at <= self.play.now
            assert self.play.expire(task) is lapsed
        assert rows.run.last_sequence == last_sequence + held * lapsed
        if task.kind is TaskKind.WORKFLOW and self.draw(st.booleans(), "go on"):
            self.poll()
            self.go_on(Claim.of(task))

    # what must hold -------------------------------------------------------------
    @invariant()
    def everything_holds(self) -> None:
        for run_id, rows in self.play.rows.items():
            known = self.checked.get(run_id)
            if known is not None and known.run.version == rows.run.version:
                continue
            invariants.check(rows)
            invariants.check_family(rows, self.play.rows)
            if known is not None and known.run.status.is_terminal:
                invariants.check_is_final(known, rows)
            self.checked[run_id] = _snapshot(rows)


def _snapshot(rows: Rows) -> Rows:
    kept = copy(rows)
    kept.events = dict(rows.events)
    return kept


BRIEF = settings(
    max_examples=50,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(BRIEF, max_examples=1000, stateful_step_count=120, derandomize=False)


@pytest.mark.timeout(400)  # takes seconds, unless a failing story has to be shrunk
def test_any_story_keeps_the_invariants() -> None:
    run_state_machine_as_test(Story, settings=BRIEF)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_many_long_stories_keep_the_invariants() -> None:
    run_state_machine_as_test(Story, settings=LONG)
