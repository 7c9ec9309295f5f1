"""Runs that only host a standalone activity (``lifecycle/standalone.py``)."""

from __future__ import annotations

from typing import Final

from dwserver.engine.model import Run

HOST_TYPE: Final = "durable-workflow.standalone-activity"
"""The workflow type of such runs; no workflow may have it."""


def is_host(run: Run) -> bool:
    return run.workflow_type == HOST_TYPE
