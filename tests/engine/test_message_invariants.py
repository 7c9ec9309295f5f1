"""Random stories with waits, signals and updates."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from dwserver.engine.commands.batch import Completed
from dwserver.engine.commands.kinds import BlockingCommand, WorkflowCommand
from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.commands.updates import CompleteUpdate, FailUpdate
from dwserver.engine.run_timeout import RunTimedOut
from dwserver.engine.wakes import update_of
from dwserver.engine.words import CommandStatus, UpdateStatus
from tests.engine.kept_rows import Rows
from tests.engine.parts import (
    condition,
    signal_wait,
)
from tests.engine.test_ending_invariants import EndingStory
from tests.engine.test_invariants import (
    BLOCKING,
    BRIEF,
    LONG,
    MOVES,
    RARELY,
    batches,
)

TIMEOUTS = st.sampled_from([None, None, 0, 1, 60])
NAMES = st.sampled_from(["go", "go", "stop"])
WAITS: st.SearchStrategy[BlockingCommand] = st.one_of(
    st.builds(condition, st.sampled_from(["k", "k", "other", None]), TIMEOUTS),
    st.builds(condition, st.just("k"), TIMEOUTS),
    st.builds(signal_wait, NAMES, TIMEOUTS),
)
MESSAGE_MOVES = [*["send_signal"] * 6, *["send_update"] * 4, *["close_update"] * 5]


class MessageStory(EndingStory):
    batch = st.one_of(
        st.lists(WAITS, min_size=1, max_size=1),
        batches(st.one_of(BLOCKING, WAITS)),
    )

    @rule(move=st.sampled_from([*MOVES, "an_operator", *MESSAGE_MOVES]), data=st.data())
    def something_happens(self, move: str, data: st.DataObject) -> None:
        self.draw = data.draw
        getattr(self, move)()

    def receiver(self) -> Rows:
        is_old = self.draw(RARELY, "any run")
        runs = list(self.play.rows) if is_old else [self.play.run_id]
        return self.play.rows[self.draw(st.sampled_from(runs))]

    def send_signal(self) -> None:
        rows = self.receiver()
        is_open, events = not rows.run.status.is_terminal, len(rows.events)
        arguments = self.draw(st.sampled_from([None, "AA=="]))
        reply = self.play.signal(self.draw(NAMES), arguments, run_id=rows.run.id)
        assert (reply.command.status is CommandStatus.ACCEPTED) is is_open
        assert (reply.signal is not None) is is_open
        assert len(rows.events) == events + is_open

    def send_update(self) -> None:
        rows = self.receiver()
        is_open, events = not rows.run.status.is_terminal, len(rows.events)
        known = self.draw(st.sampled_from([None, None, None, frozenset({"other"})]))
        reply = self.play.update(
            self.draw(NAMES), "AA==", known_names=known, run_id=rows.run.id
        )
        must_count = is_open and known is None
        assert (reply.update.status is UpdateStatus.ACCEPTED) is must_count
        assert len(rows.events) == events + is_open

    def close_update(self) -> None:
        """The worker runs the handler of an update, perhaps of one that is not its
        turn, and perhaps goes on with the workflow as well."""
        claim = self.claim()
        if claim is None:
            return
        rows = self.play.rows[claim.run_id]
        own = update_of(self.play.task(claim.task))
        known = [update.id for update in rows.updates.values()]
        others = self.draw(RARELY, "another update") or own is None
        update_id = self.draw(st.sampled_from(known or ["none"])) if others else own
        is_accepted = any(
            u.is_open and u.event_sequence and u.id == update_id
            for u in rows.updates.values()
        )
        must_count = (
            self.holds(claim) and is_accepted and (own is None or own == update_id)
        )
        commands: list[WorkflowCommand] = [
            self.draw(
                st.sampled_from(
                    [
                        CompleteUpdate(update_id=str(update_id)),
                        FailUpdate(update_id=str(update_id), message="no"),
                    ]
                )
            )
        ]
        more = self.draw(st.sampled_from(["", "", "", "batch", "end"]))
        if more == "batch":
            commands += self.draw(self.batch)
        elif more == "end":
            commands.append(CompleteWorkflow())
        overdue = self.holds(claim) and self.is_overdue(claim.run_id)
        last_step = rows.run.last_step
        reply = self.play.complete(claim.task, *commands, **claim.fields)
        if overdue and must_count:
            assert isinstance(reply, RunTimedOut)
            return
        assert isinstance(reply, Completed) is must_count, reply
        if isinstance(reply, Completed):
            self._remember(rows, commands, last_step)
            row = next(u for u in rows.updates.values() if u.id == update_id)
            assert not row.is_open

    def _remember(
        self, rows: Rows, commands: Sequence[WorkflowCommand], last_step: int
    ) -> None:
        if rows.run.status.is_terminal:
            self.sent.pop(rows.run.id, None)
        elif rows.run.last_step != last_step:
            self.sent[rows.run.id] = [
                c for c in commands if not isinstance(c, CompleteUpdate | FailUpdate)
            ]


@pytest.mark.timeout(400)  # takes seconds, unless a failing story has to be shrunk
def test_any_story_with_messages_keeps_the_invariants() -> None:
    run_state_machine_as_test(MessageStory, settings=BRIEF)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_many_long_stories_with_messages_keep_the_invariants() -> None:
    run_state_machine_as_test(MessageStory, settings=LONG)
