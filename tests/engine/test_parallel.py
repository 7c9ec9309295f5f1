"""Metadata of parallel groups follows the step numbers that were really assigned."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwserver.engine.parallel import GROUP_KEYS, rebase
from tests.engine.builders import (
    after_commands,
    begun,
)
from tests.engine.parts import (
    activity,
    group,
    timer,
)


def test_no_metadata() -> None:
    assert rebase(None, step=7) is None


def test_metadata_that_is_right_stays_as_it_is() -> None:
    given_group = group(base=3, size=2, index=1)
    assert rebase(given_group, step=4) is given_group


@pytest.mark.parametrize(
    ("base", "index", "step", "moved"), [(1, 0, 5, 5), (1, 1, 6, 5), (9, 2, 3, 1)]
)
def test_a_flat_group_moves(base: int, index: int, step: int, moved: int) -> None:
    given_group = group(base=base, size=3, index=index)
    assert rebase(given_group, step=step) == group(base=moved, size=3, index=index)


def entry(prefix: str, base: int, size: int, index: int) -> dict[str, Any]:
    return {
        "parallel_group_id": f"parallel-{prefix}:{base}:{size}",
        "parallel_group_kind": "mixed",
        "parallel_group_base_sequence": base,
        "parallel_group_size": size,
        "parallel_group_index": index,
    }


def test_every_level_of_a_nested_group_moves_alike() -> None:
    outer, inner = entry("calls", 4, 4, 2), entry("timers", 6, 2, 0)
    moved = rebase({**inner, "parallel_group_path": [outer, inner]}, step=16)
    outer, inner = entry("calls", 14, 4, 2), entry("timers", 16, 2, 0)
    assert moved == {**inner, "parallel_group_path": [outer, inner]}


@given(
    base=st.integers(1, 500),
    size=st.integers(1, 20),
    step=st.integers(1, 500),
    data=st.data(),
)
def test_base_and_index_name_the_step(
    base: int, size: int, step: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1))
    moved = rebase(group(base=base, size=size, index=index), step=step)
    assert moved is not None
    path = moved["parallel_group_path"]
    assert isinstance(path, list)
    for level in (moved, *path):
        new_base = level["parallel_group_base_sequence"]
        assert new_base + level["parallel_group_index"] == step
        assert level["parallel_group_id"] == f"parallel-activities:{new_base}:{size}"
    assert {key: moved[key] for key in GROUP_KEYS} == path[-1]
    assert rebase(moved, step=step) is moved


def test_a_worker_that_counts_differently_is_corrected() -> None:
    """Such a worker takes the length of history for the last step number."""
    play, _ = after_commands(timer(0))
    play.fire(1)
    play.completed(
        play.poll(),
        activity("a", parallel=group(base=5, size=2, index=0)),
        timer(9, group(base=5, size=2, index=1)),
    )
    assert play.here.activities[2].parallel == group(base=2, size=2, index=0)
    assert play.here.timers[3].parallel == group(base=2, size=2, index=1)
    scheduled = play.history()[-2][1]
    assert scheduled["parallel_group_base_sequence"] == 2
    assert scheduled["parallel_group_path"][0]["parallel_group_base_sequence"] == 2


def test_a_group_behind_another_command_of_the_same_completion() -> None:
    play, task = begun()
    play.completed(
        task,
        timer(9),
        activity("a", parallel=group(base=1, size=2, index=0)),
        activity("b", parallel=group(base=1, size=2, index=1)),
    )
    assert play.here.activities[2].parallel == group(base=2, size=2, index=0)
    assert play.here.activities[3].parallel == group(base=2, size=2, index=1)
