"""Which coordination a process has, and what readiness says of it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from dwserver.config.settings import load_settings
from dwserver.roles.coordination import Coordination, build_coordination
from dwserver.roles.errors import BootError
from dwserver.runtime.clock import SystemClock
from dwserver.runtime.metrics import Metrics
from dwserver.runtime.supervisor import Supervisor

UNREACHABLE = "redis://127.0.0.1:1/0"


def coordination(**environ: str) -> Coordination:
    return build_coordination(
        load_settings(environ),
        cast("Any", None),
        clock=SystemClock(),
        metrics=Metrics(),
        supervisor=Supervisor(),
    )


@pytest.mark.parametrize(
    ("environ", "is_alone"),
    [
        ({}, True),
        ({"DW_V2_MULTI_NODE": "true"}, False),
        ({"DW_SERVER_TOPOLOGY_SHAPE": "split_control_execution"}, False),
    ],
)
async def test_several_processes_without_redis_are_warned(
    environ: dict[str, str], is_alone: bool
) -> None:
    built = coordination(**environ)
    assert built.store_name == "memory"
    assert built.services == ()
    await built.probe()
    wakes = await built.wake_check()
    assert (wakes.status, wakes.category) == (
        "ok" if is_alone else "warning",
        "acceleration",
    )
    assert (wakes.message is None) is is_alone
    assert (await built.backend_check()).status == "ok"


async def test_a_redis_that_does_not_answer_is_a_warning() -> None:
    built = coordination(DW_REDIS_URL=UNREACHABLE)
    assert built.store_name == "redis"
    assert [service.name for service in built.services] == ["wake-signals"]
    with pytest.raises(Exception, match="Connect call failed"):
        await built.probe()
    for check in (await built.wake_check(), await built.backend_check()):
        assert check.status == "warning"
        assert check.message is not None


def test_a_url_that_names_no_redis_keeps_the_process_from_starting() -> None:
    with pytest.raises(BootError, match="DW_REDIS_URL: the database must be a number"):
        coordination(DW_REDIS_URL="redis://cache/one")
