"""Finish what a closing transition left for after its commit."""

from __future__ import annotations

from dwserver.runtime.service import FailurePolicy, Loop, TaskHost
from dwserver.services.close_policies import ClosePolicies

# What the process that closed a run does itself is done at once: this is for what a
# process has left behind that died.
LOOK_EVERY_SECONDS = 2.0


def outbox_loop(policies: ClosePolicies, host: TaskHost) -> Loop:
    return Loop(
        "outbox",
        policies.deliver_due,
        host,
        interval_seconds=LOOK_EVERY_SECONDS,
        on_failure=FailurePolicy.RESTART,
    )
