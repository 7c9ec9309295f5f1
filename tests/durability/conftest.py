"""Fixtures: leases end soon, so that the ones lost by a crash come back."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.durability.client_log import ClientLog

SHORT_LEASES = {"DW_WORKFLOW_TASK_TIMEOUT": "2", "DW_ACTIVITY_TASK_TIMEOUT": "2"}


@pytest.fixture
def client_log(tmp_path: Path) -> ClientLog:
    return ClientLog(tmp_path / "client-log.jsonl")


@pytest.fixture
def choice(record_property: Callable[[str, object], None]) -> random.Random:
    """Random moments and workflows. Its seed depends on the session's, which
    pytest-randomly prints."""
    seed = random.randrange(2**32)
    record_property("choice_seed", seed)
    return random.Random(seed)
