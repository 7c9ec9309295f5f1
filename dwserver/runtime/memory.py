"""Garbage collection fit for a server of short-lived records."""

from __future__ import annotations

import gc

# Decisions allocate thousands of small records per second that reference counting
# frees; scanning for cycles that often finds none and costs a tenth of the CPU.
_THRESHOLDS = (50_000, 20, 50)


def tune_garbage_collection() -> None:
    """Call once, when everything that lives as long as the process exists."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
