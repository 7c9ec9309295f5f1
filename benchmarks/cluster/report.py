"""The parts of a run as Markdown for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from benchmarks.cluster.idle import IdlePolls
from benchmarks.cluster.losses import Losses
from benchmarks.cluster.places import ONE_PROCESS, SPLIT
from benchmarks.cluster.rates import Rate
from benchmarks.hop import Hop, table
from benchmarks.report import heading, number, row
from benchmarks.result import Circumstances

LEAST_SPLIT_RATIO: Final = 0.7
"""The rate of the split shape ÷ that of one process, on two cores."""
STATEMENT_WIDTH: Final = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was measured; parts that were not asked for are None or empty."""

    circumstances: Circumstances
    window_seconds: float
    repetitions: int
    split: Sequence[Rate] = ()
    hop: Hop | None = None
    scale: Sequence[Rate] = ()
    losses: Sequence[Losses] = ()
    polls: IdlePolls | None = None
    failures: Sequence[str] = field(default=())

    @property
    def split_ratio(self) -> float | None:
        rates = {rate.variant: rate.per_second for rate in self.split}
        one = rates.get(ONE_PROCESS.name)
        return rates[SPLIT.name] / one if one and SPLIT.name in rates else None

    def errors(self) -> list[str]:
        """What could not be measured and what the load met."""
        loads: list[tuple[str, Mapping[str, int]]] = [
            *((rate.variant, rate.errors) for rate in (*self.split, *self.scale)),
            *(
                (f"losses, {found.nodes} of each", found.errors)
                for found in self.losses
            ),
        ]
        if self.polls is not None:
            loads.append(("idle polls", self.polls.errors))
        met = [
            f"{name}: {times} × {text}"
            for name, errors in loads
            for text, times in errors.items()
        ]
        return [*self.failures, *met]


def to_document(report: Report) -> dict[str, Any]:
    parts = asdict(report)
    return {
        **parts.pop("circumstances"),
        **parts,
        "split_ratio": report.split_ratio,
        "least_split_ratio": LEAST_SPLIT_RATIO,
        "errors": report.errors(),
    }


def to_markdown(report: Report) -> str:
    lines = report.circumstances.heading("Clusters")
    lines.append("- PostgreSQL, Redis and the load generator on the same cores")
    lines.append(
        f"- rates: windows of {report.window_seconds:g} s, of {report.repetitions} "
        "repetition(s) the one in the middle"
    )
    if report.split:
        lines += ["", "## W1 at 64 in flight: split shape against one process", ""]
        lines += _rate_lines(report.split)
        ratio = report.split_ratio
        if ratio is not None:
            kept = "kept" if ratio >= LEAST_SPLIT_RATIO else "MISSED"
            lines += ["", f"Split ÷ one process: {ratio:.2f} ({kept}: 0.7 at least)."]
    if report.hop is not None:
        lines += ["", "## The hop", "", table(report.hop)]
    if report.scale:
        lines += ["", "## W1 at 64 in flight: more processes", ""]
        lines += _rate_lines(report.scale)
    if report.losses:
        lines += ["", "## A node is killed and started again", "", *_losses(report)]
    if report.polls is not None:
        lines += ["", *_polls(report.polls)]
    lines += ["", "## Errors", ""]
    lines += [f"- {line}" for line in report.errors()] or ["None."]
    return "\n".join(lines) + "\n"


def _rate_lines(rates: Sequence[Rate]) -> Iterator[str]:
    first = rates[0]
    yield from heading(
        [
            "",
            "workflows/s",
            f"÷ {first.variant}",
            "p50 ms",
            "p99 ms",
            "CPU ms each",
            "commits each",
            "transactions each",
            "Redis commands each",
            "busy cores",
            "foreign cores",
        ]
    )
    for rate in rates:
        ratio = rate.per_second / first.per_second if first.per_second else 0.0
        figures = (
            rate.per_second,
            ratio,
            rate.p50_ms,
            rate.p99_ms,
            rate.total_cpu_ms,
            rate.commits_each,
            rate.transactions_each,
            rate.redis_commands_each,
            rate.busy_cores,
            rate.foreign_cores,
        )
        yield row([rate.variant, *map(number, figures)])
    yield ""
    parts = list(dict.fromkeys(part for rate in rates for part in rate.cpu_ms))
    yield from heading(["CPU ms per workflow", *(rate.variant for rate in rates)])
    for part in parts:
        yield row([part, *(number(rate.cpu_ms.get(part)) for rate in rates)])


def _losses(report: Report) -> Iterator[str]:
    yield "90 % back: seconds from the kill until a second has 90 % of the rate before."
    yield "Lost: seconds of that rate that are missing in all until the next kill."
    yield ""
    yield from heading(
        [
            "killed",
            "nodes of each class",
            "rate before",
            "90 % back after s",
            "lost s",
            "ready again after s",
            "rate at the end",
        ]
    )
    for found in report.losses:
        for loss in found.losses:
            felt = loss.recovery
            figures = (
                felt.before_per_second,
                felt.seconds,
                felt.lost_seconds,
                loss.ready_seconds,
                felt.after_per_second,
            )
            before, *rest = map(number, figures)
            yield row([loss.process_class.value, str(loss.nodes), before, *rest])
    yield ""
    words = ("started", "lost", "completed twice", "sent again", "not waited for")
    yield from heading(["nodes of each class", *(f"workflows {w}" for w in words)])
    for found in report.losses:
        counts = (f"{found.counts.get(word, 0):,}" for word in words)
        yield row([str(found.nodes), *counts])


def _polls(found: IdlePolls) -> Iterator[str]:
    figures = found.figures
    yield f"## {found.polls:,} idle long polls through the ingress"
    yield ""
    yield from heading(["process", "CPU % of a core", "kB per poll"])
    for part, percent in found.cpu_percent.items():
        yield row([part, number(percent), number(found.kb_per_poll.get(part))])
    total = sum(found.cpu_percent.values())
    yield row(["all", number(total), number(figures.kb_per_poll)])
    yield ""
    yield f"- queries per second to PostgreSQL: {number(figures.queries_per_second)}"
    yield f"- Redis commands per second: {number(found.redis_commands_per_second)}"
    returned = number(figures.polls_returned_per_second)
    yield f"- polls that returned and were sent again, per second: {returned}"
    yield f"- foreign cores: {number(found.foreign_cores)}"
    if found.statements:
        yield ""
        yield from heading(["calls/s", "statement"])
        for text, calls in found.statements.items():
            shown = text[:STATEMENT_WIDTH].replace("|", "\\|")
            yield row([number(calls), f"`{shown}`"])
