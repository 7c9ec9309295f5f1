"""What becomes of children when their parent has closed (§8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dwserver.engine.closing import close_run
from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.commands.terminal import (
    ContinueAsNew,
    FailWorkflow,
)
from dwserver.engine.draft import AppliedPolicy, Draft
from dwserver.engine.lifecycle.child_outcome import (
    give_up_on_child,
    policy_reason,
)
from dwserver.engine.words import (
    ChildStatus,
    ClosedReason,
    OutboxKind,
    ParentClosePolicy,
    RunStatus,
)
from tests.engine.builders import (
    after_commands,
    begun,
)
from tests.engine.children import (
    DONE,
    TWICE,
    child,
    finish,
)
from tests.engine.parts import (
    NOON,
    signal,
    timer,
)

# parents that close ------------------------------------------------------------------


@pytest.mark.parametrize("policy", list(ParentClosePolicy))
def test_a_child_may_outlive_its_parent(policy: ParentClosePolicy) -> None:
    play, _ = after_commands(child(parent_close_policy=policy, retry_policy=TWICE))
    play.wake(signal("go"))
    play.completed(play.poll(), DONE)
    before = play.history()
    assert play.here.children[1].is_open
    finish(play, 1, FailWorkflow(message="no"))
    assert play.here.children[1].status is ChildStatus.FAILED
    assert play.history() == before
    assert play.state.tasks == {}


@pytest.mark.parametrize(
    ("policies", "leaves"),
    [
        ([], False),
        ([ParentClosePolicy.ABANDON], False),
        ([ParentClosePolicy.ABANDON, ParentClosePolicy.TERMINATE], True),
        ([ParentClosePolicy.REQUEST_CANCEL], True),
    ],
)
@pytest.mark.parametrize(
    ("end", "reason"),
    [(DONE, "completed"), (FailWorkflow(message="no"), "failed")],
)
def test_a_parent_leaves_word_for_its_children(
    policies: list[ParentClosePolicy],
    leaves: bool,
    end: WorkflowCommand,
    reason: str,
) -> None:
    play, task = begun()
    children = [child(parent_close_policy=policy) for policy in policies]
    play.completed(task, timer(0), *children)
    play.wake(signal("go"))
    play.completed(play.poll(), end)
    assert len(play.here.outbox) == leaves
    for entry in play.here.outbox:
        assert (entry.kind, entry.run_id, entry.namespace) == (
            OutboxKind.PARENT_CLOSE,
            play.run_id,
            "default",
        )
        assert entry.payload == {
            "workflow_id": "wf",
            "closed_reason": reason,
            "inherits_children": False,
        }
        assert entry.available_at > entry.created_at == NOON


def test_closed_children_need_no_word() -> None:
    play, _ = after_commands(child(parent_close_policy=ParentClosePolicy.TERMINATE))
    finish(play, 1)
    play.completed(play.poll(), DONE)
    assert play.here.outbox == []


def test_children_of_a_continued_parent() -> None:
    """They stay with the run that started them; the last one leaves word."""
    policy = ParentClosePolicy.REQUEST_CANCEL
    play, _ = after_commands(child(parent_close_policy=policy))
    first = play.run_id
    for _ in range(2):
        if play.run_id == first:
            play.wake(signal("go"))
        play.completed(play.poll(), ContinueAsNew())
        assert play.run.inherits_children
    assert [rows.outbox for rows in play.rows.values()] == [[]] * 4
    play.completed(play.poll(), DONE)
    [entry] = play.here.outbox
    assert entry.run_id == play.run_id
    assert entry.payload["inherits_children"] is True
    play.run_id = first
    assert play.here.children[1].is_open
    finish(play, 1)
    assert play.here.children[1].status is ChildStatus.COMPLETED
    assert play.event_types()[-1] == "WorkflowContinuedAsNew"


def test_a_continued_parent_of_abandoned_children_leaves_nothing() -> None:
    play, task = begun()
    play.completed(task, child(), ContinueAsNew())
    assert not play.run.inherits_children


def test_a_policy_that_closed_the_child_is_on_record() -> None:
    policy = ParentClosePolicy.TERMINATE
    play, _ = after_commands(child(parent_close_policy=policy))
    play.wake(signal("go"))
    play.completed(play.poll(), DONE)
    reason = policy_reason(policy, "completed")
    assert reason == (
        "Parent workflow closed (completed); parent-close policy: terminate."
    )

    def decide(draft: Draft) -> None:
        close_run(draft, RunStatus.TERMINATED, ClosedReason.TERMINATED)
        draft.policy = AppliedPolicy(policy, reason)

    call = play.here.children[1]
    play.decide(decide, call.child_run_id)
    assert play.here.children[1].status is ChildStatus.TERMINATED
    assert play.history()[-1] == (
        "ParentClosePolicyApplied",
        {
            "child_instance_id": call.child_workflow_id,
            "child_run_id": call.child_run_id,
            "policy": "terminate",
            "reason": reason,
        },
    )


def test_a_policy_that_cannot_be_carried_out_is_on_record_once() -> None:
    policy = ParentClosePolicy.TERMINATE
    play, _ = after_commands(child(parent_close_policy=policy))
    play.wake(signal("go"))
    play.completed(play.poll(), DONE)
    applied = AppliedPolicy(policy, "why")
    call = play.here.children[1]

    def decide(draft: Draft) -> bool:
        return give_up_on_child(draft, call, applied, error="gone")

    def too_late(draft: Draft) -> bool:
        earlier = replace(call, child_run_id="the one before")
        return give_up_on_child(draft, earlier, applied, error="gone")

    assert not play.decide(too_late)
    assert play.decide(decide)
    assert not play.decide(decide)
    assert play.here.children[1].status is ChildStatus.ABANDONED
    assert play.history()[-1] == (
        "ParentClosePolicyFailed",
        {
            "child_instance_id": call.child_workflow_id,
            "child_run_id": call.child_run_id,
            "policy": "terminate",
            "reason": "why",
            "error": "gone",
        },
    )
    assert play.event_types().count("ParentClosePolicyFailed") == 1
