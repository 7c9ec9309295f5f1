"""Scenarios of the client's methods about standalone activities, and
``standalone_<method>`` for those of their handle."""

from __future__ import annotations

from tests.sdk.programs.method_stage import Stage, same


async def get_activity_handle(stage: Stage) -> None:
    same(stage.client.get_activity_handle("a").activity_id, "a")


async def start_activity(stage: Stage) -> None:
    same((await stage.standalone()).activity_id, stage.name)


async def describe_activity(stage: Stage) -> None:
    await stage.paid()
    found = await stage.client.describe_activity(stage.name)
    same((found.status, found.activity_status), ("completed", "completed"))
    same((found.result, found.attempt_count), ("paid", 1))


async def list_activities(stage: Stage) -> None:
    await stage.standalone()
    found = await stage.client.list_activities(status="running", page_size=200)
    assert stage.name in [each.activity_id for each in found.activities], found


async def get_activity_result(stage: Stage) -> None:
    handle = await stage.paid()
    same(await stage.client.get_activity_result(handle), "paid")


async def standalone_describe(stage: Stage) -> None:
    same((await (await stage.standalone()).describe()).activity_id, stage.name)


async def standalone_result(stage: Stage) -> None:
    same(await (await stage.paid()).result(), "paid")


async def standalone_cancel(stage: Stage) -> None:
    handle = await stage.standalone()
    await handle.cancel(reason="enough")
    same((await handle.describe()).status, "cancelled")
