"""Everything that a worker of the scenarios runs."""

from __future__ import annotations

from examples.order_processing.workflow import ProcessOrder
from tests.sdk.programs import basic_workflows, family_workflows, message_workflows
from tests.sdk.programs.activities import ACTIVITIES

__all__ = ["ACTIVITIES", "WORKFLOWS"]

WORKFLOWS = (
    *basic_workflows.WORKFLOWS,
    *message_workflows.WORKFLOWS,
    *family_workflows.WORKFLOWS,
    ProcessOrder,
)
