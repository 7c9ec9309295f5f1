"""dwserver and the floor at the same workload and concurrency."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.figures import Figures, figures_of, ratios
from benchmarks.measure import Point
from benchmarks.servers import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """``ours`` or ``floor`` is None when only the other one was measured."""

    workload: str
    concurrency: int
    ours: Point | None = None
    floor: Point | None = None

    @property
    def place(self) -> tuple[str, int]:
        return self.workload, self.concurrency

    @property
    def our_figures(self) -> Figures | None:
        return figures_of(self.ours) if self.ours else None

    @property
    def floor_figures(self) -> Figures | None:
        return figures_of(self.floor) if self.floor else None

    @property
    def ratios(self) -> dict[str, float | None]:
        """Ours ÷ floor; empty unless both were measured."""
        ours, floor = self.our_figures, self.floor_figures
        return ratios(ours, floor) if ours and floor else {}

    def value(self, figure: str, *, is_ratio: bool) -> float | None:
        """Of ours; None when it was not measured."""
        if is_ratio:
            return self.ratios.get(figure)
        ours = self.our_figures
        value: float | None = getattr(ours, figure) if ours else None
        return value


def compare(points: Iterable[Point]) -> list[Comparison]:
    """One for each workload and concurrency, in the order in which they came."""
    found: dict[tuple[str, int], dict[str, Point]] = {}
    for point in points:
        place = found.setdefault((point.workload, point.concurrency), {})
        place[point.target] = point
    return [
        Comparison(
            workload=workload,
            concurrency=concurrency,
            ours=by_target.get(Target.DWSERVER),
            floor=by_target.get(Target.FLOOR),
        )
        for (workload, concurrency), by_target in found.items()
    ]
