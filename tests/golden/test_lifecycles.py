"""Whole runs, recorded from the reference server and played again."""

from __future__ import annotations

import pytest

from tests.golden.deviations import EVERYWHERE, normal
from tests.golden.lifecycle_deviations import FAMILIES, Family
from tests.golden.replaying import Exchange, Replay, coalesced, exchanges_of
from tests.golden.shapes import Difference, differences
from tests.support.json_http import JsonHttp
from tests.support.processes import TEST_TOKEN, StartServer

WORKFLOW_TYPES = ["l.flow", "l.parent", "l.child", "l.other"]
ACTIVITY_TYPES = ["l.act"]


def compared(replay: Replay, family: Family, exchange: Exchange) -> list[Difference]:
    status, body = replay.answer(exchange)
    found = []
    if exchange.label not in family.unlike:
        recorded = coalesced(exchange.answer, family.coalesced)
        found += differences(recorded, body)
    if status != exchange.status:
        found.append(
            Difference("status", f"{exchange.status} there, {status} here: {body}")
        )
    return found


def unexplained(
    family: Family, exchange: Exchange, found: list[Difference], used: set[str]
) -> list[str]:
    """What no deviation covers; ``used`` collects the deviations of the family."""
    told = []
    for difference in found:
        own = [d for d in family.deviations if d.covers(difference)]
        used.update(d.place for d in own)
        if not own and not any(d.covers(difference) for d in EVERYWHERE):
            told.append(f"{exchange.label}: {normal(difference.place)}: {difference}")
    return told


@pytest.mark.parametrize("name", FAMILIES)
def test_a_lifecycle_has_the_recorded_shape(
    name: str, sqlite_url: str, start_server: StartServer
) -> None:
    family = FAMILIES[name]
    exchanges = exchanges_of(name)
    labels = {exchange.label for exchange in exchanges}
    assert family.left_out.keys() | family.unlike.keys() <= labels
    server = start_server(sqlite_url)
    namespace = exchanges[0].answer["namespace"]
    replay = Replay(JsonHttp(server.base_url), namespace, TEST_TOKEN)
    replay.prepare(workflow_types=WORKFLOW_TYPES, activity_types=ACTIVITY_TYPES)
    used: set[str] = set()
    told = []
    for exchange in exchanges:
        if exchange.label not in family.left_out:
            found = compared(replay, family, exchange)
            told += unexplained(family, exchange, found, used)
    assert not told, "\n".join(told)
    assert used == {deviation.place for deviation in family.deviations}
