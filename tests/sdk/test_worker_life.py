"""Workers that come late, stop, or are killed in the middle of their work."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.sdk.environments import SdkEnvironment
from tests.sdk.expectations import EXPECTED
from tests.sdk.matrix import Ground, Site, Sites, new_jobs
from tests.sdk.programs import marks
from tests.sdk.verdict import check
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(300)


def new_queue() -> str:
    return f"life-{uuid.uuid4().hex[:8]}"


def run_one(site: Site, scenario: str, queue: str) -> object:
    """The result that the client sees."""
    (job,) = jobs = new_jobs([scenario])
    return site.ground.programs.start_client(queue, jobs).answer()[job]["result"]


def test_worker_stops_without_complaint(site: Site, tmp_path: Path) -> None:
    queue = new_queue()
    worker = site.ground.programs.start_worker(queue, tmp_path / "worker.log")
    try:
        assert run_one(site, "hello", queue) == {"greeting": "hello, ada"}
        assert worker.terminate() == 0, worker.log_tail()
    finally:
        worker.kill()


def test_worker_is_still_there_after_other_workers_stopped(
    site: Site, tmp_path: Path
) -> None:
    other = site.ground.programs.start_worker(site.queue, tmp_path / "worker.log")
    try:
        run_one(site, "hello", site.queue)
        assert other.terminate() == 0, other.log_tail()
    finally:
        other.kill()
    assert site.worker.is_running, site.worker.log_tail()
    assert run_one(site, "chain", site.queue) == 115


@pytest.fixture
def ground(sites: Sites, engine: str, sdk: SdkEnvironment) -> Ground:
    return sites.ground(engine, sdk, has_short_leases=True)


def test_work_of_a_killed_worker_is_taken_over(ground: Ground, tmp_path: Path) -> None:
    """It comes late, and dies while one run sleeps, an activity of another one runs
    and a workflow task of a third one is leased."""
    queue = new_queue()
    jobs = new_jobs(["early_approvals", "long_nap", "second_attempt_in_time"])
    early, napping, stalling = jobs
    (held,) = held_jobs = new_jobs(["orphaned_task"])
    client = ground.programs.start_client(queue, jobs)
    wait_until(lambda: ground.count(early, "SignalReceived") == 2)
    first = ground.programs.start_worker(queue, tmp_path / "first.log")
    try:
        wait_until(lambda: ground.count(napping, "TimerScheduled") == 1)
        wait_until(lambda: ground.mark(stalling, "running").exists())
        other_client = ground.programs.start_client(queue, held_jobs)
        wait_until(lambda: ground.mark(held, marks.HELD).exists())
    finally:
        first.kill()
    ground.mark(held, marks.RELEASED).touch()
    second = ground.programs.start_worker(queue, tmp_path / "second.log")
    try:
        seen = {**client.answer(), **other_client.answer()}
    finally:
        second.kill()
    outcomes = ground.collect({**jobs, **held_jobs}, seen)
    for scenario, outcome in outcomes.items():
        check(outcome, EXPECTED[scenario].of(ground.sdk.release))
