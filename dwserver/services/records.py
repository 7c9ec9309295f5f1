"""Rows that services take and hand out, for the layers that may not see the store."""

from __future__ import annotations

from dwserver.store.api import (
    Namespace,
    RunCursor,
    RunFilter,
    RunView,
    StoredEvent,
    WorkerRegistration,
)

__all__ = [
    "Namespace",
    "RunCursor",
    "RunFilter",
    "RunView",
    "StoredEvent",
    "WorkerRegistration",
]
