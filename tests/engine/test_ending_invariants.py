"""Random stories in which operators and deadlines end runs and attempts, too."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from dwserver.engine.commands.batch import Completed
from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.lifecycle.activity_timeout import TimeoutSkip, expired_kind
from dwserver.engine.lifecycle.heartbeat import HeartbeatState
from dwserver.engine.model import Task
from dwserver.engine.outcome import Rejection
from dwserver.engine.run_timeout import RunTimedOut
from dwserver.engine.words import (
    AttemptStatus,
    ClosedReason,
    CommandStatus,
    CommandType,
    EventType,
    RunStatus,
    TaskStatus,
)
from tests.engine.endings import beat, close, time_out, time_out_step
from tests.engine.test_invariants import BRIEF, LONG, MOVES, NEWEST_FIRST, Claim, Story

ENDING_MOVES = [
    *["heartbeat"] * 3,
    *["a_deadline_of_an_activity"] * 4,
    "a_deadline_of_a_run",
    "an_operator",
]
KINDS = st.sampled_from([CommandType.CANCEL, CommandType.TERMINATE])
STOPPED = (RunStatus.CANCELLED, RunStatus.TERMINATED)
TIMEOUTS = st.sampled_from([None, None, None, 30, 600])


class EndingStory(Story):
    @initialize()
    def start(self) -> None:
        self.started += 1
        self.play.start(
            workflow_id=f"wf-{self.started}",
            run_timeout_seconds=self.draw_or_none("run timeout"),
            execution_timeout_seconds=self.draw_or_none("execution timeout"),
        )

    def draw_or_none(self, label: str) -> int | None:
        """The first start comes before there is anything to draw from."""
        return self.draw(TIMEOUTS, label) if hasattr(self, "draw") else None

    @rule(move=st.sampled_from([*MOVES, *ENDING_MOVES]), data=st.data())
    def something_happens(self, move: str, data: st.DataObject) -> None:
        self.draw = data.draw
        getattr(self, move)()

    def is_overdue(self, run_id: str) -> bool:
        run = self.play.rows[run_id].run
        return (
            not run.status.is_terminal
            and run.deadline_at is not None
            and run.deadline_at <= self.play.now
        )

    def complete_with(
        self, commands: Sequence[WorkflowCommand], claim: Claim
    ) -> Completed | Rejection:
        """A completion that comes after the deadline counts as a time-out."""
        if not (self.holds(claim) and self.is_overdue(claim.run_id)):
            return super().complete_with(commands, claim)
        reply = self.play.complete(claim.task, *commands, **claim.fields)
        assert isinstance(reply, RunTimedOut), reply
        run = self.play.rows[claim.run_id].run
        assert (run.status, run.closed_reason) == (
            RunStatus.FAILED,
            ClosedReason.TIMED_OUT,
        )
        return Rejection("run_timed_out")

    def heartbeat(self) -> None:
        pick = self.draw(NEWEST_FIRST)
        if pick == 0:
            self.poll_activity()
        if not self.attempts:
            return
        task: Task = self.attempts[-1 - pick % len(self.attempts)]
        self.play.advance(self.draw(st.sampled_from([0, 0.4, 1])))
        row, rows = self.play.task(task), self.play.rows[task.run_id]
        events = len(rows.events)
        goes_on = (
            row.status is TaskStatus.LEASED
            and row.attempt_id == task.attempt_id
            and not rows.run.status.is_terminal
        )
        state = beat(self.play, task)
        assert isinstance(state, HeartbeatState), state
        assert state.can_continue is goes_on, state.reason
        assert len(rows.events) == events + state.is_recorded
        if not goes_on:
            closed = rows.attempts.get(str(task.attempt_id))
            is_cancelled = rows.run.status in STOPPED or (
                closed is not None and closed.status is AttemptStatus.CANCELLED
            )
            assert state.cancel_requested is is_cancelled

    def a_deadline_of_an_activity(self) -> None:
        rows = self.play.here
        if not rows.activities:
            return
        step = self.draw(st.sampled_from(list(rows.activities)))
        row = rows.activities[step]
        if row.deadline_at is not None:
            self.jump_to(row.deadline_at)
        kind = expired_kind(row, now=self.play.now)
        must_end = row.is_open and kind and not rows.run.status.is_terminal
        last_sequence = rows.run.last_sequence
        reply = time_out_step(self.play, step)
        if must_end:
            assert not isinstance(reply, TimeoutSkip), reply
            assert reply.kind is kind
            assert rows.activities[step].attempt_count >= row.attempt_count
        else:
            assert isinstance(reply, TimeoutSkip)
            assert rows.run.last_sequence == last_sequence

    def a_deadline_of_a_run(self) -> None:
        deadline = self.play.run.deadline_at
        if deadline is not None:
            self.jump_to(deadline)
        must_end = self.is_overdue(self.play.run_id)
        assert time_out(self.play) is must_end

    def an_operator(self) -> None:
        run_id = self.draw(st.sampled_from(list(self.play.rows)))
        rows = self.play.rows[run_id]
        was_closed, events = rows.run.status.is_terminal, len(rows.events)
        sequence = rows.run.command_sequence
        closed = close(self.play, self.draw(KINDS), run_id=run_id)
        assert rows.run.command_sequence == closed.command.sequence == sequence + 1
        if was_closed:
            assert closed.command.status is CommandStatus.REJECTED
            assert len(rows.events) == events
            return
        assert closed.command.status is CommandStatus.ACCEPTED
        types = {event.event_type for event in rows.events.values()}
        assert types & {EventType.WORKFLOW_CANCELLED, EventType.WORKFLOW_TERMINATED}


@pytest.mark.timeout(400)  # takes seconds, unless a failing story has to be shrunk
def test_any_story_with_ends_from_outside_keeps_the_invariants() -> None:
    run_state_machine_as_test(EndingStory, settings=BRIEF)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_many_long_stories_with_ends_from_outside_keep_the_invariants() -> None:
    run_state_machine_as_test(EndingStory, settings=LONG)
