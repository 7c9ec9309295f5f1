"""Activities of the scenarios."""

from __future__ import annotations

import asyncio

from durable_workflow import ActivityCancelled, NonRetryableError, activity

from examples.order_processing.activities import ACTIVITIES as ORDER_ACTIVITIES
from tests.sdk.programs import marks
from tests.sdk.programs.scenario_values import large_text

BEAT_SECONDS = 0.2
BEATS_TO_STAY_ALIVE = 30


@activity.defn(name="sdk.greet")
async def greet(name: str) -> str:
    return f"hello, {name}"


@activity.defn(name="sdk.add")
async def add(total: int, number: int) -> int:
    return total + number


@activity.defn(name="sdk.square")
async def square(number: int) -> int:
    return number * number


@activity.defn(name="sdk.refuse")
async def refuse(reason: str) -> None:
    raise NonRetryableError(reason)


@activity.defn(name="sdk.enlarge")
async def enlarge(seed: str) -> str:
    return large_text(seed)


@activity.defn(name="sdk.linger")
async def linger(job: str) -> str:
    """Goes on when the client says so."""
    marks.make(job, "running")
    await marks.until(job, "released")
    return "lingered"


@activity.defn(name="sdk.stall")
async def stall(seconds: float) -> str:
    """Too slow, without any sign of life."""
    await asyncio.sleep(seconds)
    return "too late"


@activity.defn(name="sdk.stall_once")
async def stall_once(job: str, seconds: float) -> int:
    """The first attempt is too slow. Returns the number of the attempt."""
    attempt = activity.context().info.attempt_number
    if attempt == 1:
        marks.make(job, "running")
        await asyncio.sleep(seconds)
    return attempt


@activity.defn(name="sdk.beat")
async def beat() -> str:
    """Longer than its heartbeat time-out, but never silent."""
    for count in range(BEATS_TO_STAY_ALIVE):
        await activity.context().heartbeat({"count": count})
        await asyncio.sleep(BEAT_SECONDS)
    return "alive"


@activity.defn(name="sdk.beat_until_cancelled")
async def beat_until_cancelled(job: str) -> None:
    marks.make(job, "running")
    try:
        while True:
            await activity.context().heartbeat()
            await asyncio.sleep(BEAT_SECONDS)
    except ActivityCancelled:
        marks.make(job, "cancelled")
        raise


ACTIVITIES = (
    greet,
    add,
    square,
    refuse,
    enlarge,
    linger,
    stall,
    stall_once,
    beat,
    beat_until_cancelled,
    *ORDER_ACTIVITIES,
)
