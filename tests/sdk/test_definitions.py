"""Workers are deployed with other code for a workflow that runs (topology §5.10)."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.sdk.environments import RELEASES, Feature, SdkRelease, provide
from tests.sdk.matrix import Ground, Sites
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(300)

# That the workflow waits for.
SIGNALS = 2


@pytest.fixture(
    params=[
        pytest.param(
            release,
            id=release.name,
            marks=() if release.in_default_run else pytest.mark.full,
        )
        for release in RELEASES
        if Feature.FINGERPRINTS in release.features
    ]
)
def ground(sites: Sites, request: pytest.FixtureRequest) -> Ground:
    release: SdkRelease = request.param
    return sites.ground("postgres", provide(release), has_short_leases=True)


class Replaced:
    """A run of the workflow that is replaced."""

    def __init__(self, ground: Ground, queue: str) -> None:
        self.ground = ground
        self.workflow_id = f"replaced-{uuid.uuid4().hex[:12]}"
        body = {
            "workflow_id": self.workflow_id,
            "workflow_type": "sdk.replaced",
            "task_queue": queue,
            "input": [],
        }
        ground.operator.request("POST", "/api/workflows", body).expect(201)

    def signal(self) -> None:
        path = f"/api/workflows/{self.workflow_id}/signal/go"
        self.ground.operator.request("POST", path, {"input": []}).expect(202)

    def await_waits(self, count: int) -> None:
        wait_until(
            lambda: (
                self.ground.count(self.workflow_id, "ConditionWaitOpened") == count
                or self.shown["is_terminal"]
            )
        )
        assert not self.shown["is_terminal"], self.shown

    @property
    def shown(self) -> dict[str, object]:
        path = f"/api/workflows/{self.workflow_id}"
        shown: dict[str, object] = self.ground.operator.request("GET", path).expect(200)
        return shown

    def has_failing_task(self) -> bool:
        """A worker has complained that it cannot go on with the run."""
        path = f"/api/workflows/{self.workflow_id}/debug"
        shown = self.ground.operator.request("GET", path).expect(200)
        badge = shown["execution"].get("task_problem_badge", {"code": None})
        return bool(badge["code"] == "task_failing" or self.shown["is_terminal"])

    def output(self) -> object:
        wait_until(lambda: self.shown["is_terminal"])
        return self.shown["output"]


def test_a_run_stays_with_the_code_that_began_it(
    ground: Ground, tmp_path: Path
) -> None:
    """While both are there, while only the other one is, and when it comes back."""
    queue = f"replaced-{uuid.uuid4().hex[:8]}"
    start = ground.programs.start_worker

    def registered(count: int) -> bool:
        path = f"/api/workers?task_queue={queue}"
        return len(ground.operator.request("GET", path).expect(200)["workers"]) == count

    first = start(queue, tmp_path / "first.log", "first")
    workers = [first]
    try:
        run = Replaced(ground, queue)
        run.await_waits(1)
        workers.append(start(queue, tmp_path / "second.log", "second"))
        wait_until(lambda: registered(2), what="both workers")
        run.signal()
        run.await_waits(2)
        first.kill()
        run.signal()
        later = Replaced(ground, queue)
        for waits in range(1, SIGNALS + 1):
            later.await_waits(waits)
            later.signal()
        assert later.output() == "second"
        assert not run.has_failing_task()
        workers.append(start(queue, tmp_path / "third.log", "first"))
        assert run.output() == "first"
    finally:
        for worker in workers:
            worker.kill()
