"""Workers of two definitions on one queue, over HTTP on every database (R8).

What is decided below HTTP is tested in ``tests/services/test_definitions.py``.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.durability.conftest import SHORT_LEASES
from tests.support.databases import ENGINES
from tests.support.definition_workers import CLOSE, Shop
from tests.support.json_http import operator
from tests.support.processes import TEST_TOKEN, CommonServers, new_namespace
from tests.support.server_process import ServerProcess

F1, F2 = "sha256:f1", "sha256:f2"
LEASE_SECONDS = int(SHORT_LEASES["DW_WORKFLOW_TASK_TIMEOUT"])


def shop_of(server: ServerProcess) -> Shop:
    namespace = new_namespace(server)
    client = operator(server.base_url, TEST_TOKEN, namespace=namespace)
    return Shop(client, f"shop-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def shop(common_server: ServerProcess) -> Shop:
    return shop_of(common_server)


def test_a_run_stays_with_its_definition_until_it_closes(shop: Shop) -> None:
    old, new = shop.worker("old", F1), shop.worker("new", F2)
    workflow_id = shop.begun(old)
    # However silent the workers of its own definition are.
    assert new.poll(seconds=1) is None
    task = old.poll()
    assert (task["workflow_id"], task["workflow_task_attempt"]) == (workflow_id, 1)
    old.complete(task, CLOSE)
    after = shop.start()
    assert new.poll()["workflow_id"] == after


def test_a_task_is_handed_past_a_poll_of_another_definition(shop: Shop) -> None:
    old, new = shop.worker("old", F1), shop.worker("new", F2)
    workflow_id = shop.start()
    old.complete(old.poll())
    with ThreadPoolExecutor(2) as threads:
        newer = threads.submit(new.poll, seconds=3)
        older = threads.submit(old.poll, seconds=30)
        shop.wake(workflow_id)
        assert older.result()["workflow_id"] == workflow_id
        assert newer.result() is None


def test_a_worker_that_tells_nothing_is_not_refused(shop: Shop) -> None:
    workflow_id = shop.begun(shop.worker("old", F1))
    assert shop.worker("silent", None).poll()["workflow_id"] == workflow_id


def test_a_new_run_is_for_any_definition(shop: Shop) -> None:
    old, new = shop.worker("old", F1), shop.worker("new", F2)
    shop.begun(old)
    old.complete(old.poll(), {"type": "continue_as_new"})
    assert new.poll() is not None


def test_operators_see_who_waits_for_which_definition(shop: Shop) -> None:
    old = shop.worker("old", F1)
    shop.worker("new", F2)
    workflow_id = shop.begun(old)
    assert shop.debug(workflow_id)["findings"] == []
    old.leave()
    shown = shop.debug(workflow_id)
    state = "workflow_task_waiting_for_compatible_worker"
    assert shown["execution"]["liveness_state"] == state
    [found] = [
        each
        for each in shown["findings"]
        if each["code"] == "no_compatible_worker_for_task"
    ]
    assert F1 in found["message"]
    [task] = shown["pending_workflow_tasks"]
    assert (task["status"], task["attempt_count"], task["repair_count"]) == (
        "ready",
        0,
        0,
    )


def test_a_worker_that_comes_back_with_other_code(shop: Shop) -> None:
    """Under its old id only after it has left; then it is a worker like any other."""
    workflow_id = shop.begun(shop.worker("w", F1))
    again = shop.worker("w", F1)
    changed = {
        "worker_id": "w",
        "task_queue": shop.queue,
        "runtime": "python",
        "workflow_definition_fingerprints": {"orders.Ship": F2},
    }
    refused = again.post("register", changed).expect(409)
    assert refused["reason"] == "workflow_definition_changed"
    again.leave()
    other_code = shop.worker("w", F2)
    assert other_code.poll(seconds=1) is None
    after = shop.start()
    assert other_code.poll()["workflow_id"] == after
    assert shop.worker("old", F1).poll()["workflow_id"] == workflow_id


@pytest.mark.full
@pytest.mark.parametrize("engine", ENGINES)
def test_a_lease_that_ends_goes_to_its_own_definition(
    engine: str, common_servers: CommonServers
) -> None:
    shop = shop_of(common_servers.on(engine, SHORT_LEASES))
    old, new = shop.worker("old", F1), shop.worker("new", F2)
    workflow_id = shop.start()
    assert old.poll()["workflow_task_attempt"] == 1
    with ThreadPoolExecutor(2) as threads:
        newer = threads.submit(new.poll, seconds=LEASE_SECONDS + 2)
        other = shop.worker("other", F1)
        task = threads.submit(other.poll, seconds=30).result()
        assert (task["workflow_id"], task["workflow_task_attempt"]) == (workflow_id, 2)
        assert newer.result() is None


@pytest.mark.parametrize("engine", ENGINES)
def test_the_setting_lets_every_definition_go_on(
    engine: str, common_servers: CommonServers
) -> None:
    environ = {"DW_V2_PIN_TO_RECORDED_FINGERPRINT": "false"}
    shop = shop_of(common_servers.on(engine, environ))
    old, new = shop.worker("old", F1), shop.worker("new", F2)
    workflow_id = shop.begun(old)
    assert new.poll()["workflow_id"] == workflow_id
