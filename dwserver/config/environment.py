"""The process environment, read here and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping


def process_environment() -> Mapping[str, str]:
    """Return a copy of this process's environment variables."""
    return dict(os.environ)
