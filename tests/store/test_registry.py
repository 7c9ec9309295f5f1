"""Namespaces, search attributes and worker registrations."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from dwserver.store.api import Store
from tests.support.builders import NOON, a_namespace, a_worker

DOCUMENT = {"driver": "s3", "options": {"bucket": "b", "limit": 1}, "list": [1, None]}


# namespaces -------------------------------------------------------------------------
async def test_namespace_is_read_back_whole(store: Store) -> None:
    full = a_namespace(
        "full",
        description="naïve Ω",
        retention_days=7,
        status="inactive",
        external_storage=DOCUMENT,
        updated_at=NOON + 1,
    )
    empty = a_namespace("empty", external_storage={})
    bare = a_namespace("bare")
    for namespace in (full, empty, bare):
        assert await store.create_namespace(namespace)
        assert await store.find_namespace(namespace.name) == namespace
    assert await store.list_namespaces() == [bare, empty, full]
    assert await store.find_namespace("none") is None


async def test_namespace_that_exists_is_not_created_again(store: Store) -> None:
    first = a_namespace("orders", description="first")
    assert await store.create_namespace(first)
    assert not await store.create_namespace(replace(first, description="second"))
    assert await store.list_namespaces() == [first]


async def test_namespace_created_at_once_is_created_once(store: Store) -> None:
    offers = [a_namespace("orders", retention_days=days) for days in range(1, 9)]
    results = await asyncio.gather(*map(store.create_namespace, offers))
    assert sorted(results) == [False] * 7 + [True]
    winner = offers[results.index(True)]
    assert await store.find_namespace("orders") == winner


async def test_namespace_is_updated_but_keeps_its_birth(store: Store) -> None:
    first, other = a_namespace("orders", external_storage=DOCUMENT), a_namespace("x")
    await store.create_namespace(first)
    await store.create_namespace(other)
    changed = await store.update_namespace(
        "orders", description="changed", retention_days=1, at=NOON + 6
    )
    assert changed == replace(
        first, description="changed", retention_days=1, updated_at=NOON + 6
    )
    assert await store.list_namespaces() == [changed, other]
    emptied = await store.update_namespace("orders", external_storage={}, at=NOON + 7)
    assert emptied == replace(changed, external_storage={}, updated_at=NOON + 7)
    assert await store.find_namespace("orders") == emptied
    assert await store.update_namespace("none", retention_days=1, at=NOON) is None
    assert await store.find_namespace("none") is None


async def test_namespace_keeps_every_field_that_somebody_changes_at_once(
    store: Store,
) -> None:
    await store.create_namespace(a_namespace("orders"))
    for number in range(1, 9):
        changes: list[dict[str, Any]] = [
            {"description": f"number {number}"},
            {"retention_days": number},
            {"external_storage": {"number": number}},
        ]
        await asyncio.gather(
            *(store.update_namespace("orders", **each, at=NOON) for each in changes)
        )
        found = await store.find_namespace("orders")
        assert found == a_namespace(
            "orders",
            description=f"number {number}",
            retention_days=number,
            external_storage={"number": number},
        )


# search attributes ------------------------------------------------------------------
async def test_search_attributes_are_of_their_namespace(store: Store) -> None:
    given = [
        ("billing", "Region", "keyword"),
        ("default", "Total", "double"),
        ("default", "Customer", "keyword_list"),
        ("default", "customer", "text"),
    ]
    for namespace, name, value_type in given:
        assert await store.put_search_attribute(
            namespace, name, value_type=value_type, created_at=NOON
        )
    types = await store.search_attribute_types("default")
    assert list(types.items()) == [
        ("Customer", "keyword_list"),
        ("Total", "double"),
        ("customer", "text"),
    ]
    assert await store.search_attribute_types("billing") == {"Region": "keyword"}
    assert await store.search_attribute_types("none") == {}


async def test_search_attribute_that_exists_keeps_its_type(store: Store) -> None:
    offers = ["int", "keyword", "bool", "text"]
    results = await asyncio.gather(
        *(
            store.put_search_attribute(
                "default", "Total", value_type=value_type, created_at=NOON
            )
            for value_type in offers
        )
    )
    assert sorted(results) == [False] * 3 + [True]
    winner = offers[results.index(True)]
    assert await store.search_attribute_types("default") == {"Total": winner}


async def test_deleted_search_attribute_is_free_again(store: Store) -> None:
    async def put(namespace: str, value_type: str) -> bool:
        return await store.put_search_attribute(
            namespace, "Total", value_type=value_type, created_at=NOON
        )

    assert await put("default", "int")
    assert await put("billing", "int")
    assert await store.delete_search_attribute("default", "Total")
    assert not await store.delete_search_attribute("default", "Total")
    assert await store.search_attribute_types("default") == {}
    assert await put("default", "double")
    assert await store.search_attribute_types("default") == {"Total": "double"}
    assert await store.search_attribute_types("billing") == {"Total": "int"}


# workers ----------------------------------------------------------------------------
async def test_worker_is_read_back_whole(store: Store) -> None:
    full = a_worker("full", build_id="build-1", details={"slots": [1, {"a": None}]})
    bare = a_worker(
        "bare",
        sdk_version=None,
        workflow_types=(),
        activity_types=(),
        fingerprints={},
    )
    for worker in (full, bare):
        await store.put_worker(worker)
        assert await store.find_worker("default", worker.worker_id) == worker
    assert await store.find_worker("billing", "full") is None
    assert await store.find_worker("default", "none") is None


async def test_worker_is_replaced_by_its_key(store: Store) -> None:
    first = a_worker("w", build_id="build-1", details={"a": 1})
    elsewhere = replace(first, namespace="billing")
    await store.put_worker(first)
    await store.put_worker(elsewhere)
    second = replace(
        first,
        task_queue="other",
        runtime="php",
        sdk_version=None,
        build_id=None,
        workflow_types=(),
        activity_types=("a",),
        fingerprints={"b": "c"},
        max_workflow_tasks=1,
        max_activity_tasks=2,
        registered_at=NOON + 1,
        last_heartbeat_at=NOON + 2,
        details={},
    )
    await store.put_worker(second)
    assert await store.list_workers("default", queue=None) == [second]
    assert await store.list_workers("billing", queue=None) == [elsewhere]


async def test_worker_is_replaced_only_over_the_fingerprints_that_were_read(
    store: Store,
) -> None:
    first = a_worker("w", fingerprints={"a": "1"})
    assert await store.put_worker(first, over={}) == first
    second = replace(first, fingerprints={"a": "1", "b": "2"})
    for others in ({}, {"a": "2"}, {"a": "1", "b": "2"}):
        assert await store.put_worker(second, over=others) is None
        assert await store.find_worker("default", "w") == first
    assert await store.put_worker(second, over={"a": "1"}) == second
    assert await store.find_worker("default", "w") == second


async def test_worker_registered_at_once_is_registered_once(store: Store) -> None:
    offers = [a_worker("w", fingerprints={"a": str(number)}) for number in range(8)]
    written = await asyncio.gather(
        *(store.put_worker(each, over={}) for each in offers)
    )
    [winner] = filter(None, written)
    assert await store.find_worker("default", "w") == winner


async def test_worker_is_renewed_while_it_says_what_was_read(store: Store) -> None:
    first = a_worker("w", details={"a": 1})
    await store.put_worker(first)
    second = replace(first, task_queue="other")
    await store.put_worker(second)
    renewed = await store.renew_worker(first, details={"a": 2}, at=NOON + 5)
    assert renewed == replace(second, details={"a": 2}, last_heartbeat_at=NOON + 5)
    assert await store.find_worker("default", "w") == renewed
    assert await store.renew_worker(first, details={}, at=NOON + 6) is None
    assert await store.find_worker("default", "w") == renewed


async def test_worker_that_is_gone_is_not_renewed(store: Store) -> None:
    worker = a_worker("w")
    await store.put_worker(worker)
    await store.delete_worker("default", "w")
    assert await store.renew_worker(worker, details={}, at=NOON) is None
    assert await store.find_worker("default", "w") is None


async def test_worker_is_deleted_once(store: Store) -> None:
    for namespace in ("default", "billing"):
        await store.put_worker(a_worker("w", namespace=namespace))
    assert await store.delete_worker("default", "w")
    assert not await store.delete_worker("default", "w")
    assert await store.find_worker("default", "w") is None
    assert await store.find_worker("billing", "w") is not None


async def test_workers_are_listed_by_last_heartbeat(store: Store) -> None:
    workers = [
        a_worker("a", last_heartbeat_at=NOON + 1),
        a_worker("b", last_heartbeat_at=NOON + 3, task_queue="billing"),
        a_worker("d", last_heartbeat_at=NOON + 2),
        a_worker("c", last_heartbeat_at=NOON + 2),
    ]
    for worker in workers:
        await store.put_worker(worker)

    async def listed(queue: str | None) -> list[str]:
        found = await store.list_workers("default", queue=queue)
        return [worker.worker_id for worker in found]

    assert await listed(None) == ["b", "c", "d", "a"]
    assert await listed("orders") == ["c", "d", "a"]
    assert await listed("nobody") == []


async def test_touch_raises_the_heartbeats_of_those_seen(store: Store) -> None:
    seen, unseen, ahead = (
        a_worker("seen"),
        a_worker("unseen"),
        a_worker("ahead", last_heartbeat_at=NOON + 9),
    )
    elsewhere = a_worker("unseen", namespace="billing")
    for worker in (seen, unseen, ahead, elsewhere):
        await store.put_worker(worker)
    pairs = [
        ("default", "seen"),
        ("default", "ahead"),
        ("billing", "unseen"),
        ("default", "no-such-worker"),
    ]
    found = await store.touch_workers(pairs, at=NOON + 5)
    assert await store.touch_workers([], at=NOON + 7) == []
    touched = {"last_heartbeat_at": NOON + 5}
    assert sorted(found, key=lambda worker: (worker.namespace, worker.worker_id)) == [
        replace(elsewhere, **touched),
        ahead,
        replace(seen, **touched),
    ]
    assert await store.list_workers("default", queue=None) == [
        ahead,
        replace(seen, **touched),
        unseen,
    ]
    assert await store.find_worker("billing", "unseen") == replace(elsewhere, **touched)


async def test_workers_that_are_long_silent_are_forgotten(store: Store) -> None:
    for number, heard_at in enumerate((NOON - 3, NOON - 2, NOON - 1, NOON)):
        namespace = "default" if number % 2 else "other"
        worker = a_worker(f"w{number}", namespace=namespace, last_heartbeat_at=heard_at)
        await store.put_worker(worker)
    assert await store.delete_silent_workers(before=NOON - 1, limit=1) == 1
    assert await store.delete_silent_workers(before=NOON - 1, limit=9) == 1
    assert await store.delete_silent_workers(before=NOON - 1, limit=9) == 0
    left = [
        worker.worker_id
        for namespace in ("default", "other")
        for worker in await store.list_workers(namespace, queue=None)
    ]
    assert left == ["w3", "w2"]
