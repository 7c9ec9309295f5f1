"""Every queue gets its turn when tasks are chosen for repair."""

from __future__ import annotations

from dwserver.services.repair_selection import RepairScope, select
from dwserver.store.repair import RepairCandidate


def candidate(
    task_id: str, queue: str, at: int, compatibility: str | None = None
) -> RepairCandidate:
    return RepairCandidate(task_id, f"run-{task_id}", queue, compatibility, at, at)


def test_nothing_to_choose_from() -> None:
    selection = select((), scan_limit=3)
    assert (selection.selected, selection.scopes) == ((), ())
    assert selection.oldest_created_at is None
    assert not selection.is_limit_reached


def test_scopes_take_turns_the_oldest_first() -> None:
    crowd = [candidate(f"a{n}", "crowded", 10 + n) for n in range(5)]
    late = candidate("b", "late", 50)
    marked = candidate("c", "crowded", 5, "build-2")
    selection = select([*reversed(crowd), late, marked], scan_limit=4)
    assert [each.task_id for each in selection.selected] == ["c", "a0", "b", "a1"]
    assert selection.candidates == 7
    assert selection.is_limit_reached
    assert selection.oldest_created_at == 5
    assert selection.scopes == (
        RepairScope("crowded", None, 5, 2, 10),
        RepairScope("crowded", "build-2", 1, 1, 5),
        RepairScope("late", None, 1, 1, 50),
    )
    assert [scope.key for scope in selection.scopes] == [
        "default:crowded:any",
        "default:crowded:build-2",
        "default:late:any",
    ]
