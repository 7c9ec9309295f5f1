"""The life of a node in the table of nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from dwserver.config.settings import load_settings
from dwserver.roles import membership as module
from dwserver.roles.membership import (
    MembershipService,
    build_membership,
    own_address,
)
from dwserver.runtime.clock import SystemClock
from dwserver.runtime.supervisor import Supervisor
from dwserver.store.api import Store, StoreUnavailable
from dwserver.topology.shapes import ProcessClass
from tests.support.faulty_store import FaultyStore
from tests.support.waiting import eventually

ENV = {
    "DW_DATABASE_URL": "postgresql://dw@localhost/unused",
    "DW_SERVER_ID": "node-1",
    "DW_NODE_HEARTBEAT_SECONDS": "0.1",
}


class Member:
    """A registered node on a store that can fail."""

    def __init__(self, store: Store) -> None:
        self.faults = FaultyStore(store)
        self.membership = build_membership(
            load_settings(ENV), self.faults.store, clock=SystemClock()
        )
        self.supervisor = Supervisor()
        self.service = MembershipService(
            self.membership,
            self.supervisor,
            address=lambda: "http://here:1",
            load=lambda: {"polls_waiting": 1},
        )

    async def rows(self) -> list[str]:
        nodes = await self.faults.real.live_nodes(within=10**9)
        return [live.node.internal_address for live in nodes]

    async def beats(self, count: int) -> None:
        """Wait for so many more heartbeats."""
        wanted = self.faults.calls["heartbeat_node"] + count
        await eventually(lambda: self.faults.calls["heartbeat_node"] >= wanted)


@pytest.fixture
async def member(sqlite_store: Store) -> AsyncIterator[Member]:
    member = Member(sqlite_store)
    yield member
    await member.service.stop()
    await member.supervisor.stop()


async def test_it_registers_under_its_address_and_leaves_before_it_ends(
    member: Member,
) -> None:
    await member.service.start()
    # The first has been written when the second begins.
    await member.beats(2)
    assert await member.rows() == ["http://here:1"]
    assert member.membership.own.process_class is ProcessClass.SERVER_HTTP_NODE
    await member.service.drain()
    assert await member.rows() == []
    # It still looks at the others, and does not come back.
    await eventually(lambda: member.faults.calls["live_nodes"] >= 2)
    assert await member.rows() == []


async def test_a_heartbeat_without_an_answer_does_not_cost_the_next_ones(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MIN_PATIENCE_SECONDS", 0.01)
    async with member.faults.holding("heartbeat_node") as hold:
        await member.service.start()
        await hold.reached(2)

    async def is_registered() -> bool:
        return await member.rows() == ["http://here:1"]

    await eventually(is_registered)


async def test_a_farewell_without_an_answer_does_not_hold_up_the_drain(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAREWELL_SECONDS", 0.05)
    await member.service.start()
    await member.beats(1)
    async with member.faults.holding("delete_node"):
        with capture_logs() as logs:
            await member.service.drain()
    assert [entry["event"] for entry in logs] == ["farewell_failed"]


async def test_a_farewell_that_fails_is_told(member: Member) -> None:
    member.faults.fail_next("delete_node", StoreUnavailable("gone"))
    with capture_logs() as logs:
        await member.service.drain()
    assert [(e["event"], e["error"]) for e in logs] == [("farewell_failed", "gone")]


@pytest.mark.parametrize(
    ("env", "address"),
    [
        ({}, "http://127.0.0.1:81"),
        ({"DW_HTTP_HOST": "10.0.0.1"}, "http://10.0.0.1:81"),
        ({"DW_HTTP_HOST": "fd00::1"}, "http://[fd00::1]:81"),
        ({"DW_INTERNAL_ADDRESS": "HTTP://a.b:7/"}, "HTTP://a.b:7"),
        (
            {"DW_INTERNAL_ADDRESS": "http://[fd00::2]:7", "DW_INTERNAL_PORT": "0"},
            "http://[fd00::2]:81",
        ),
    ],
)
def test_the_address_for_the_other_nodes(env: dict[str, str], address: str) -> None:
    assert own_address(load_settings({**ENV, **env}), 81) == address


def test_any_address_is_shown_as_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.socket, "gethostname", lambda: "pod-7")
    settings = load_settings({**ENV, "DW_HTTP_HOST": "0.0.0.0"})
    assert own_address(settings, 81) == "http://pod-7:81"
