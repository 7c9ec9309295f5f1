"""What a closing run means for its parent and its children (``spec/engine.md §8``).

The parent hears of it in the same transition (decision 22). What happens to the
children is left for after the commit, so that no transition grows with their number.
"""

from __future__ import annotations

from dwserver.engine.draft import Draft
from dwserver.engine.model import OutboxEntry
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import ClosedReason, OutboxKind, ParentClosePolicy

# The process that commits an entry works it off at once; others leave it that time.
OUTBOX_GRACE = 5 * MICROS


def tell_family(draft: Draft, reason: ClosedReason) -> None:
    """The run has just closed. A continued one goes on as far as its children are
    concerned."""
    draft.for_parent = draft.run.parent_run_id
    if reason is not ClosedReason.CONTINUED and leaves_children(draft):
        draft.leave(_parent_close(draft, reason))


def leaves_children(draft: Draft) -> bool:
    """The run, or one before it in its chain, may have open children that are not to
    outlive it."""
    return draft.run.inherits_children or any(
        child.is_open and child.parent_close_policy is not ParentClosePolicy.ABANDON
        for child in draft.children.values()
    )


def _parent_close(draft: Draft, reason: ClosedReason) -> OutboxEntry:
    run, context = draft.run, draft.context
    return OutboxEntry(
        id=context.next_id(),
        kind=OutboxKind.PARENT_CLOSE,
        namespace=run.namespace,
        run_id=run.id,
        payload={
            "workflow_id": run.workflow_id,
            "closed_reason": reason,
            "inherits_children": run.inherits_children,
        },
        available_at=context.now + OUTBOX_GRACE,
        created_at=context.now,
    )
