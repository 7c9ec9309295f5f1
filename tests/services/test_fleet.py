"""The fleet as discovery shows it: only workers heard of lately."""

from __future__ import annotations

from dwserver.services.fleet import worker_fleet
from tests.support.builders import SECOND
from tests.support.small_server import SmallServer


async def test_live_workers_and_what_they_serve(server: SmallServer) -> None:
    server.clock.advance(seconds=3600)
    now = server.clock.now()
    await server.register("b", build_id="b1", last_heartbeat_at=now)
    await server.register("a", task_queue="bills", last_heartbeat_at=now)
    fleet = await worker_fleet(
        server.services.workers, "default", expires_after=30 * SECOND
    )
    # The first worker has been silent for an hour.
    assert fleet["active_workers"] == 2
    assert fleet["queues"] == ["bills", "orders"]
    assert fleet["build_ids"] == ["b1"]
    workers = fleet["workers"]
    assert [(each["worker_id"], each["build_ids"]) for each in workers] == [
        ("a", []),
        ("b", ["b1"]),
    ]
    assert workers[0]["recorded_at"] < workers[0]["expires_at"]


async def test_another_namespace_has_nobody(server: SmallServer) -> None:
    fleet = await worker_fleet(server.services.workers, "other", expires_after=SECOND)
    assert (fleet["active_workers"], fleet["workers"]) == (0, [])
