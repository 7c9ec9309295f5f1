"""What schedules must do, said a second time: no code of the server, no cleverness.

Time goes minute by minute; an occurrence is a minute whose wall clock matches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

MINUTE = 60
LOOK_AHEAD_MINUTES = 2 * 24 * 60

Matches = Callable[[datetime], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """A spec of the server, and which local minutes it means."""

    spec: dict[str, object]
    zone: str
    matches: Matches

    def next_after(self, second: int) -> int | None:
        minute = second - second % MINUTE
        for _ in range(LOOK_AHEAD_MINUTES):
            minute += MINUTE
            local = datetime.fromtimestamp(minute, UTC).astimezone(ZoneInfo(self.zone))
            if self.matches(local):
                return minute
        return None


def cron(expression: str, matches: Matches, zone: str = "UTC") -> Rule:
    spec = {"cron_expressions": [expression], "timezone": zone}
    return Rule(spec, zone, matches)


RULES = (
    cron("*/7 * * * *", lambda t: t.minute % 7 == 0),
    cron("13 * * * *", lambda t: t.minute == 13),
    cron("0 9-17/2 * * *", lambda t: t.minute == 0 and t.hour in range(9, 18, 2)),
    cron(
        "30 8 * * MON-FRI",
        lambda t: (t.hour, t.minute) == (8, 30) and t.isoweekday() < 6,
        "America/New_York",
    ),
    cron("*/20 22,23 * * *", lambda t: t.minute % 20 == 0 and t.hour in (22, 23)),
    cron("5,35 * * * *", lambda t: t.minute in (5, 35), "Asia/Kathmandu"),
    Rule(
        {"intervals": [{"every": "PT25M", "offset": "PT3M"}]},
        "UTC",
        lambda t: (int(t.timestamp()) // MINUTE - 3) % 25 == 0,
    ),
)


@dataclass
class Model:
    """One schedule as it should be."""

    rule: Rule
    policy: str
    now: int
    max_runs: int | None = None
    can_start: bool = True
    is_active: bool = True
    is_deleted: bool = False
    plan: int | None = None
    open_runs: list[str] = field(default_factory=list)
    latest: str | None = None
    buffered: list[int] = field(default_factory=list)
    fires: list[str] = field(default_factory=list)
    skips: int = 0
    failures: int = 0

    def __post_init__(self) -> None:
        self.plan = self.rule.next_after(self.now)

    def is_open(self) -> bool:
        return self.latest in self.open_runs

    def tick(self, name: str, now: int) -> None:
        """What the pass of a scheduler does to it."""
        if not self.is_active or self.is_deleted:
            return
        if self.buffered and not self.is_open():
            self.start(f"schedule:{name}:{self.buffered.pop(0)}")
            self.plan = None if self.is_deleted else self.rule.next_after(now)
        if self.is_deleted or self.plan is None or self.plan > now:
            return
        due = self.plan
        self.plan = self.rule.next_after(now)
        self.fire(f"schedule:{name}:{due}", due)

    def fire(self, workflow_id: str, due: int) -> None:
        if self.is_open():
            if self.policy == "skip":
                self.skips += 1
                return
            if self.policy in ("buffer_one", "buffer_all"):
                if self.policy == "buffer_one" and self.buffered:
                    self.skips += 1
                else:
                    self.buffered.append(due)
                return
            if self.policy == "terminate_other" and self.latest is not None:
                self.open_runs.remove(self.latest)
        self.start(workflow_id)

    def start(self, workflow_id: str) -> None:
        if not self.can_start:
            self.failures += 1
            return
        self.fires.append(workflow_id)
        self.open_runs.append(workflow_id)
        self.latest = workflow_id
        if self.max_runs is not None and len(self.fires) >= self.max_runs:
            self.is_deleted = True
            self.plan = None
            self.buffered.clear()

    def pause(self) -> None:
        self.is_active = False

    def resume(self, now: int) -> None:
        if not self.is_active:
            self.is_active = True
            self.plan = self.rule.next_after(now)

    def backfill(self, name: str, start: int, end: int, now: int) -> None:
        """With ``allow_all``; what was backfilled is not fired again."""
        if self.is_deleted:
            return
        at = self.rule.next_after(start - 1)
        while at is not None and at < end and not self.is_deleted:
            workflow_id = f"schedule:{name}:backfill:{at}"
            if not self.is_active:
                self.skips += 1
            elif workflow_id not in self.fires:
                self.start(workflow_id)
                if not self.is_deleted:
                    self.plan = self.rule.next_after(now)
            at = self.rule.next_after(at)
