"""Scenarios of the client's methods about schedules, and ``schedule_<method>`` for
those of a schedule's handle."""

from __future__ import annotations

import asyncio

import durable_workflow

from tests.sdk.programs.method_stage import LEAP_DAY, TYPE, Stage, same


async def get_schedule_handle(stage: Stage) -> None:
    same(stage.client.get_schedule_handle("s").schedule_id, "s")


async def create_schedule(stage: Stage) -> None:
    same((await stage.schedule()).schedule_id, stage.name)


async def list_schedules(stage: Stage) -> None:
    await stage.schedule()
    found = await stage.client.list_schedules()
    assert stage.name in [each.schedule_id for each in found.schedules], found


async def describe_schedule(stage: Stage) -> None:
    await stage.schedule()
    found = await stage.client.describe_schedule(stage.name)
    same((found.schedule_id, found.status), (stage.name, "active"))


async def update_schedule(stage: Stage) -> None:
    handle = await stage.schedule()
    await stage.client.update_schedule(stage.name, note="changed")
    same((await handle.describe()).note, "changed")


async def pause_schedule(stage: Stage) -> None:
    handle = await stage.schedule()
    await stage.client.pause_schedule(stage.name, note="now")
    same((await handle.describe()).status, "paused")


async def resume_schedule(stage: Stage) -> None:
    handle = await stage.schedule(paused=True)
    await stage.client.resume_schedule(stage.name)
    same((await handle.describe()).status, "active")


async def trigger_schedule(stage: Stage) -> None:
    await stage.schedule()
    fired = await stage.client.trigger_schedule(stage.name)
    same(fired.outcome, "triggered")
    started = await stage.client.describe_workflow(fired.workflow_id)
    same((started.run_id, started.workflow_type), (fired.run_id, TYPE))


async def delete_schedule(stage: Stage) -> None:
    handle = await stage.schedule()
    await stage.client.delete_schedule(stage.name)
    [gone] = await asyncio.gather(handle.describe(), return_exceptions=True)
    assert isinstance(gone, durable_workflow.ScheduleNotFound), gone


async def backfill_schedule(stage: Stage) -> None:
    await stage.schedule()
    done = await stage.client.backfill_schedule(stage.name, **LEAP_DAY)
    same((done.outcome, done.fires_attempted), ("backfill_started", 1))


async def get_schedule_history(stage: Stage) -> None:
    await stage.schedule()
    page = await stage.client.get_schedule_history(stage.name)
    same([event.event_type for event in page.events], ["ScheduleCreated"])


async def iter_schedule_history(stage: Stage) -> None:
    handle = await stage.schedule()
    await handle.pause()
    events = stage.client.iter_schedule_history(stage.name, limit=1)
    types = [event.event_type async for event in events]
    same(types, ["ScheduleCreated", "SchedulePaused"])


async def schedule_describe(stage: Stage) -> None:
    same((await (await stage.schedule()).describe()).status, "active")


async def schedule_update(stage: Stage) -> None:
    handle = await stage.schedule()
    await handle.update(note="changed")
    same((await handle.describe()).note, "changed")


async def schedule_pause(stage: Stage) -> None:
    handle = await stage.schedule()
    await handle.pause()
    same((await handle.describe()).status, "paused")


async def schedule_resume(stage: Stage) -> None:
    handle = await stage.schedule(paused=True)
    await handle.resume()
    same((await handle.describe()).status, "active")


async def schedule_trigger(stage: Stage) -> None:
    same((await (await stage.schedule()).trigger()).outcome, "triggered")


async def schedule_delete(stage: Stage) -> None:
    handle = await stage.schedule()
    await handle.delete()
    [gone] = await asyncio.gather(handle.describe(), return_exceptions=True)
    assert isinstance(gone, durable_workflow.ScheduleNotFound), gone


async def schedule_backfill(stage: Stage) -> None:
    done = await (await stage.schedule()).backfill(**LEAP_DAY)
    same(done.fires_attempted, 1)


async def schedule_history(stage: Stage) -> None:
    page = await (await stage.schedule()).history()
    same([event.event_type for event in page.events], ["ScheduleCreated"])


async def schedule_iter_history(stage: Stage) -> None:
    events = (await stage.schedule()).iter_history()
    same([event.event_type async for event in events], ["ScheduleCreated"])
