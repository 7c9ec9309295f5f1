"""A run as Markdown for people and as a JSON document for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from benchmarks.bounds import judge
from benchmarks.comparison import Comparison
from benchmarks.figures import Figures, figures_of
from benchmarks.measure import Point, Windows
from benchmarks.result import Circumstances
from benchmarks.workloads import WORKLOADS, Kind, Workload

Columns: TypeAlias = tuple[tuple[str, str], ...]

NOTHING = "–"
MOST_STATEMENTS = 8
STATEMENT_WIDTH = 100

# Columns of the comparing tables: heading and the figure's name.
LOOP_COLUMNS: Columns = (
    ("{unit}s/s", "per_second"),
    ("p50 ms", "p50_ms"),
    ("p99 ms", "p99_ms"),
    ("CPU ms each", "cpu_ms_each"),
    ("commits each", "commits_each"),
)
IDLE_COLUMNS: Columns = (
    ("CPU % of a core", "cpu_percent"),
    ("queries/s", "queries_per_second"),
    ("kB per poll", "kb_per_poll"),
    ("kB per registration", "kb_per_registration"),
)
GROWTH_COLUMNS: Columns = (
    ("append at 0k ms", "first_append_ms"),
    ("append at 9k ms", "last_append_ms"),
    ("growth", "growth"),
    ("turn ms", "turn_ms"),
    ("page of 100 ms", "small_page_ms"),
    ("page of 1,000 ms", "large_page_ms"),
    ("CPU ms each", "cpu_ms_each"),
)
# Columns of the table with what each target did.
LOOP_DETAILS: Columns = (
    ("server CPU ms", "server_cpu_ms_each"),
    ("PostgreSQL CPU ms", "database_cpu_ms_each"),
    ("transactions", "transactions_each"),
    ("rows", "rows_each"),
    ("WAL kB", "wal_kb_each"),
    ("generator CPU ms", "generator_cpu_ms_each"),
)
IDLE_DETAILS: Columns = (
    ("server CPU %", "server_cpu_percent"),
    ("PostgreSQL CPU %", "database_cpu_percent"),
    ("polls returned/s", "polls_returned_per_second"),
)


COLUMNS_OF: dict[Kind, tuple[Columns, Columns]] = {
    Kind.IDLE_POLLS: (IDLE_COLUMNS, IDLE_DETAILS),
    Kind.GROWTH: (GROWTH_COLUMNS, ()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything about one call of the runner."""

    circumstances: Circumstances
    postgres_version: str
    postgres_settings: dict[str, str]
    windows: Windows
    repetitions: int
    comparisons: Sequence[Comparison]
    failures: Sequence[str] = ()

    @property
    def points(self) -> list[Point]:
        pairs = ((compared.ours, compared.floor) for compared in self.comparisons)
        return [point for pair in pairs for point in pair if point is not None]


def errors_of(run: Run) -> list[str]:
    """What could not be measured and what the load met: such a run is no result."""
    return [
        *run.failures,
        *_load_errors(run),
    ]


def _load_errors(run: Run) -> list[str]:
    return [
        f"{point.target} {point.workload} C={point.concurrency}: {times} × {text}"
        for point in run.points
        for text, times in point.load.errors.items()
    ]


# --- Markdown -------------------------------------------------------------------------


def to_markdown(run: Run) -> str:
    lines = run.circumstances.heading("Benchmark")
    lines += [f"- {line}" for line in _conditions(run)]
    for name in dict.fromkeys(compared.workload for compared in run.comparisons):
        lines += ["", *_workload_lines(run, WORKLOADS[name])]
    lines += ["", "## Bounds", "", *_bound_lines(run)]
    lines += ["", "## Errors", ""]
    lines += [f"- {line}" for line in errors_of(run)] or ["None."]
    return "\n".join(lines) + "\n"


def _conditions(run: Run) -> Iterator[str]:
    settings = ", ".join(f"{k} {v}" for k, v in run.postgres_settings.items())
    yield f"PostgreSQL {run.postgres_version} on the same machine: {settings}"
    yield (
        f"windows of {run.windows.window_seconds:g} s (idle polls:"
        f" {run.windows.idle_window_seconds:g} s) after"
        f" {run.windows.warmup_seconds:g} s of warm-up;"
        f" of {run.repetitions} repetition(s) the median by CPU"
    )
    yield "the load generator and the database use the same cores as the server"


def _workload_lines(run: Run, workload: Workload) -> Iterator[str]:
    compared = [item for item in run.comparisons if item.workload == workload.name]
    columns, details = COLUMNS_OF.get(workload.kind, (LOOP_COLUMNS, LOOP_DETAILS))
    yield f"## {workload.label}: {workload.title}"
    yield ""
    yield "dwserver / floor (dwserver ÷ floor)"
    yield ""
    headings = [heading.format(unit=workload.unit) for heading, _ in columns]
    yield from heading(["C", *headings])
    for item in compared:
        yield row([str(item.concurrency), *(_compare(item, f) for _, f in columns)])
    yield ""
    yield from heading(["C", "target", *(h for h, _ in details), "foreign cores"])
    for item in compared:
        for point in (item.ours, item.floor):
            if point is not None:
                yield _detail_row(point, [figure for _, figure in details])
    for item in compared:
        yield from _statement_lines(item.ours)
        if not workload.has_floor:
            yield from _latency_lines(item.ours)


def _latency_lines(point: Point | None) -> Iterator[str]:
    if point is None or not point.load.latencies:
        return
    yield ""
    yield from heading([f"C={point.concurrency}", "times", "p50 ms", "p99 ms", "max"])
    for name, found in point.load.latencies.items():
        values = (found.p50_ms, found.p99_ms, found.max_ms)
        yield row([name, number(found.count), *map(number, values)])


def _statement_lines(point: Point | None) -> Iterator[str]:
    if point is None or not point.statements:
        return
    yield ""
    yield f"Statements of {point.target}, most called first:"
    yield ""
    yield from heading(["calls/s", "statement"])
    for text, calls in list(point.statements.items())[:MOST_STATEMENTS]:
        shown = text[:STATEMENT_WIDTH].replace("|", "\\|")
        yield row([number(calls / point.seconds), f"`{shown}`"])


def _compare(compared: Comparison, figure: str) -> str:
    ours = number(compared.value(figure, is_ratio=False))
    floor = number(_figure(compared.floor_figures, figure))
    ratio = compared.ratios.get(figure)
    tail = f" ({ratio:.2f})" if ratio is not None else ""
    return f"{ours} / {floor}{tail}"


def _detail_row(point: Point, names: Sequence[str]) -> str:
    figures = figures_of(point)
    cells = [str(point.concurrency), str(point.target)]
    cells += [number(_figure(figures, name)) for name in names]
    return row([*cells, number(point.usage.foreign_cores)])


def _figure(figures: Figures | None, name: str) -> float | None:
    value: float | None = getattr(figures, name) if figures else None
    return value


def _bound_lines(run: Run) -> Iterator[str]:
    verdicts = judge(run.comparisons)
    if not verdicts:
        yield "None of the bounded points was measured."
        return
    yield from heading(["bound", "at most", "measured", "kept"])
    for verdict in verdicts:
        bound = verdict.bound
        kept = "yes" if verdict.is_kept else "NO"
        yield row([bound.text, f"{bound.most:g}", number(verdict.value), kept])


def heading(cells: Sequence[str]) -> list[str]:
    return [row(cells), "|" + "---|" * len(cells)]


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def number(value: float | None) -> str:
    """Three significant digits, all digits before the point."""
    if value is None:
        return NOTHING
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


# --- JSON -----------------------------------------------------------------------------


def to_document(run: Run) -> dict[str, Any]:
    """Everything measured, with the figures and ratios derived from it."""
    return {
        **run.circumstances.document(),
        "postgres": {"version": run.postgres_version, **run.postgres_settings},
        "windows": asdict(run.windows),
        "repetitions": run.repetitions,
        "comparisons": [_comparison_document(item) for item in run.comparisons],
        "bounds": [
            {**asdict(verdict), "is_kept": verdict.is_kept}
            for verdict in judge(run.comparisons)
        ],
        "errors": errors_of(run),
    }


def _comparison_document(compared: Comparison) -> dict[str, Any]:
    pair = {"dwserver": compared.ours, "floor": compared.floor}
    return {
        "workload": compared.workload,
        "concurrency": compared.concurrency,
        "ratios": compared.ratios,
        **{
            name: {"figures": asdict(figures_of(point)), "measured": asdict(point)}
            for name, point in pair.items()
            if point is not None
        },
    }
