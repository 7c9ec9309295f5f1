"""Where a test plays the story of workflow runs: their rows, a clock, and ids.

:class:`Stage` stands for the service and the store: it makes a draft of the run's
state, lets a decision work on it, and keeps the change the way a store would, with a
store's guards. It is strict: a refusal that left a trace, a row inserted twice, a
history number given twice fail the test at the spot.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

import orjson

from dwserver.engine.background import Background
from dwserver.engine.context import Context, Policy
from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.child_outcome import hear_of_child
from dwserver.engine.model import Instance, Run, RunState, Task
from dwserver.engine.outcome import Rejection
from dwserver.engine.transition import RunChange
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import TaskKind
from tests.engine.kept_rows import Rows
from tests.engine.parts import NOON

MESSAGES = 1 << 39
"""Events held below the negative of this are arrivals of messages."""

_Reply = TypeVar("_Reply")


class Stage:
    """Runs, a clock that a test moves by hand, and ids ``id-1``, ``id-2``, …

    ``run_id`` is the run that a test is about: the one started last, and its successor
    after a continue-as-new.
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
