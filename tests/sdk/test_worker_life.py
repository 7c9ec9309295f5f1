"""Registration and shutdown, which releases judge by the server's answers."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.sdk.conftest import Site

pytestmark = pytest.mark.timeout(300)


def test_worker_stops_without_complaint(site: Site, tmp_path: Path) -> None:
    queue = f"stop-{uuid.uuid4().hex[:8]}"
    worker = site.programs.start_worker(queue, tmp_path / "worker.log")
    try:
        seen = site.programs.run_client("hello", queue, f"{queue}-1")
        assert seen["result"] == {"greeting": "hello, ada"}
        assert worker.terminate() == 0, worker.log_tail()
    finally:
        worker.kill()


def test_worker_is_still_there_after_other_workers_stopped(
    site: Site, tmp_path: Path
) -> None:
    other = site.programs.start_worker(site.queue, tmp_path / "worker.log")
    try:
        site.programs.run_client("hello", site.queue, f"two-{uuid.uuid4().hex[:8]}")
        assert other.terminate() == 0, other.log_tail()
    finally:
        other.kill()
    assert site.worker.is_running, site.worker.log_tail()
    seen = site.programs.run_client("chain", site.queue, f"one-{uuid.uuid4().hex[:8]}")
    assert seen["result"] == 115
