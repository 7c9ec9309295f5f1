"""Whole families of recorded exchanges, played again on a live server."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from operator import itemgetter
from typing import Any

import pytest

from tests.golden.deviations import EVERYWHERE, Deviation, normal
from tests.golden.families import FAMILIES
from tests.golden.families.family import Family, Otherwise
from tests.golden.live_node import live_node
from tests.golden.replaying import Exchange, Replay, exchanges_of
from tests.golden.shapes import Difference, differences
from tests.support.run_bundles import doubts

# Whose order of rows matters most.
MESSAGES = frozenset({"commands", "queries", "signals", "updates"})


async def compared(
    replay: Replay, family: Family, exchange: Exchange
) -> list[Difference]:
    answered = await replay.answer(exchange)
    other = family.otherwise.get(exchange.label)
    expected = other.status if other and other.status else exchange.status
    if answered.status != expected:
        what = f"{exchange.status} there, {answered.status} here: {answered.body}"
        return [Difference("status", what)]
    if other:
        return list(differences_otherwise(other, answered.body))
    theirs, ours = (
        ordered(family, family.events.applied(body))
        for body in (exchange.answer, answered.body)
    )
    return [
        *differences(theirs, ours),
        *differences_of_headers(exchange.answer_headers, answered.headers),
    ]


def ordered(family: Family, body: Any) -> Any:
    if not isinstance(body, dict):
        return body
    return {
        name: sorted(value, key=itemgetter(family.unordered[name]))
        if name in family.unordered
        else value
        for name, value in body.items()
    }


def differences_of_headers(
    theirs: dict[str, str], ours: dict[str, str]
) -> Iterator[Difference]:
    """Recorded headers are there; others may be as well."""
    present = {name: value for name, value in ours.items() if name in theirs}
    yield from differences(theirs, present, "headers")


def differences_otherwise(other: Otherwise, body: Any) -> Iterator[Difference]:
    if other.members:
        yield from differences(other.members, only(other.members, body))
    if other.events:
        types = [event["event_type"] for event in body["events"]]
        yield from differences(list(other.events), types, "events")


def only(wanted: Any, value: Any) -> Any:
    """Of a document the members that are wanted."""
    if isinstance(wanted, dict) and isinstance(value, dict):
        return {k: only(wanted[k], v) for k, v in value.items() if k in wanted}
    if isinstance(wanted, list) and isinstance(value, list):
        return [only(*each) for each in zip_longest(wanted, value)]
    return value


def unexplained(
    family: Family, exchange: Exchange, found: list[Difference], used: set[Deviation]
) -> list[str]:
    """What no deviation covers; ``used`` collects those that cover something."""
    told = []
    for difference in found:
        own = [d for d in family.deviations if d.covers(difference)]
        common = [d for d in EVERYWHERE if d.covers(difference)] if not own else []
        used.update(own, common)
        if not own and not common:
            told.append(f"{exchange.label}: {normal(difference.place)}: {difference}")
    return told


async def played(replay: Replay, family: Family, used: set[Deviation]) -> list[str]:
    by_label = {exchange.label: exchange for exchange in replay.exchanges}
    told = []
    for label, exchange in by_label.items():
        replay.exchange = exchange
        if label in family.before:
            await family.before[label](replay)
        for early, when in family.early.items():
            if when == label:
                replay.begin(by_label[early])
        if label not in family.left_out:
            found = await compared(replay, family, exchange)
            told += unexplained(family, exchange, found, used)
    return told


def cases() -> Iterator[Any]:
    """Every family on SQLite; on PostgreSQL those of messages, and with ``--full`` all
    of them."""
    for name in FAMILIES:
        yield pytest.param(name, "sqlite", id=name)
        marks = () if name in MESSAGES else pytest.mark.full
        yield pytest.param(name, "postgres", id=f"{name}-postgres", marks=marks)


@pytest.fixture(scope="module")
def used_everywhere() -> Iterator[dict[str, set[Deviation]]]:
    """The common deviations by the family that shows them; each must occur."""
    used: dict[str, set[Deviation]] = {}
    yield used
    if used.keys() == FAMILIES.keys():
        occurred = set().union(*used.values())
        assert [d.place for d in EVERYWHERE if d not in occurred] == []


@pytest.mark.parametrize(("name", "engine"), list(cases()))
async def test_a_family_is_answered_as_recorded(
    name: str,
    engine: str,
    request: pytest.FixtureRequest,
    used_everywhere: dict[str, set[Deviation]],
) -> None:
    family = FAMILIES[name]
    exchanges = exchanges_of(name)
    named = [exchange.namespace for exchange in exchanges]
    own = next((name for name in named if name not in (None, "default")), "default")
    used: set[Deviation] = set()
    url = request.getfixturevalue(f"{engine}_url")
    async with live_node(url, family.env, began_at=family.began_at) as node:
        replay = Replay(node, exchanges, family.namespace or str(own))
        replay.exchange = exchanges[0]
        await family.prepare(replay)
        told = await played(replay, family, used)
        told += await doubts(node.core.services.history_exports, url)
    assert not told, "\n".join(told)
    assert set(family.deviations) <= used
    used_everywhere.setdefault(name, set()).update(used)
