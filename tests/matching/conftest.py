from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.matching.stage import Stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    stage.matcher.drain()
    stage.may_query.set()
    stage.may_claim.set()
    if stage.spawned:
        await asyncio.wait(stage.spawned)
