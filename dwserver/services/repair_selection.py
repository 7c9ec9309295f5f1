"""Which of the tasks that do not move a pass of repair looks after.

Source: ``spec/scheduling-and-maintenance.md`` §8.2. Tasks are grouped by queue and
compatibility marker, and every group gets its turn: one that is stuck as a whole does
not keep the others waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from dwserver.store.repair import RepairCandidate


@dataclass(frozen=True, slots=True)
class RepairScope:
    """The candidates of one queue and marker. ``selected``: how many of them a pass
    looks after. ``oldest_created_at``: of all of them."""

    queue: str
    compatibility: str | None
    candidates: int
    selected: int
    oldest_created_at: int

    @property
    def key(self) -> str:
        return f"default:{self.queue}:{self.compatibility or 'any'}"


@dataclass(frozen=True, slots=True)
class RepairSelection:
    """``selected``: in the order in which they are looked after. ``scopes``: the
    fullest first, then the oldest, then by key."""

    candidates: int
    selected: tuple[RepairCandidate, ...]
    scopes: tuple[RepairScope, ...]
    scan_limit: int

    @property
    def is_limit_reached(self) -> bool:
        return self.candidates >= self.scan_limit

    @property
    def oldest_created_at(self) -> int | None:
        return min((scope.oldest_created_at for scope in self.scopes), default=None)


def select(
    candidates: Iterable[RepairCandidate], *, scan_limit: int
) -> RepairSelection:
    """At most ``scan_limit`` of the candidates, one of each scope in turn; scopes with
    the oldest candidate begin."""
    by_scope: dict[tuple[str, str], list[RepairCandidate]] = {}
    for candidate in candidates:
        key = (candidate.queue, candidate.compatibility or "")
        by_scope.setdefault(key, []).append(candidate)
    groups = [sorted(group, key=_age) for group in by_scope.values()]
    groups.sort(key=lambda group: (_age(group[0]), group[0].queue))
    turns = chain.from_iterable(zip_longest(*groups))
    selected = [candidate for candidate in turns if candidate is not None][:scan_limit]
    return RepairSelection(
        candidates=sum(map(len, groups)),
        selected=tuple(selected),
        scopes=tuple(_scopes(groups, selected)),
        scan_limit=scan_limit,
    )


def _age(candidate: RepairCandidate) -> tuple[int, int, str]:
    return candidate.available_at, candidate.created_at, candidate.task_id


def _scopes(
    groups: Sequence[Sequence[RepairCandidate]], selected: Iterable[RepairCandidate]
) -> list[RepairScope]:
    chosen = {candidate.task_id for candidate in selected}
    scopes = [
        RepairScope(
            queue=group[0].queue,
            compatibility=group[0].compatibility,
            candidates=len(group),
            selected=sum(candidate.task_id in chosen for candidate in group),
            oldest_created_at=min(candidate.created_at for candidate in group),
        )
        for group in groups
    ]
    return sorted(scopes, key=_fullest)


def _fullest(scope: RepairScope) -> tuple[int, int, str]:
    return -scope.candidates, scope.oldest_created_at, scope.key
