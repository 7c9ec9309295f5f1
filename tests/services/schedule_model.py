"""What schedules must do, said a second time: no code of the server, no cleverness.

Time goes minute by minute; an occurrence is a minute whose wall clock matches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = 60
LOOK_AHEAD_MINUTES = 4 * 24 * 60

Matches = Callable[[datetime], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """A spec of the server, and which local minutes it means. ``counts_hours``: it
    names no hour, and so follows the real ones when the clocks change."""

    spec: dict[str, object]
    zone: str
    matches: Matches
    counts_hours: bool = False

    def next_after(self, second: int) -> int | None:
        minute = second - second % MINUTE
        for _ in range(LOOK_AHEAD_MINUTES):
            minute += MINUTE
            if self._fires_at(minute):
                return minute
        return None

    def _fires_at(self, minute: int) -> bool:
        local = self._local(minute)
        if self.counts_hours:
            return self.matches(local)
        if self.matches(local) and not local.fold:
            return True
        # What the clocks have just skipped, if they have.
        skipped = self._local(minute - MINUTE).replace(tzinfo=None)
        wall = local.replace(tzinfo=None)
        while (skipped := skipped + timedelta(minutes=1)) < wall:
            if self.matches(skipped):
                return True
        return False

    def _local(self, minute: int) -> datetime:
        return datetime.fromtimestamp(minute, UTC).astimezone(ZoneInfo(self.zone))


def cron(
    expression: str, matches: Matches, zone: str = "UTC", *, counts_hours: bool = False
) -> Rule:
    spec = {"cron_expressions": [expression], "timezone": zone}
    return Rule(spec, zone, matches, counts_hours)


def every_night(zone: str) -> Rule:
    """In the hours at which clocks are changed."""
    return cron(
        "15,45 1-3 * * *",
        lambda t: t.minute in (15, 45) and t.hour in (1, 2, 3),
        zone,
    )


RULES = (
    cron("*/7 * * * *", lambda t: t.minute % 7 == 0, counts_hours=True),
    every_night("America/New_York"),
    cron(
        "13 * * * *", lambda t: t.minute == 13, "Australia/Lord_Howe", counts_hours=True
    ),
    every_night("Europe/Berlin"),
    cron("0 9-17/2 * * *", lambda t: t.minute == 0 and t.hour in range(9, 18, 2)),
    cron(
        "30 8 * * MON-FRI",
        lambda t: (t.hour, t.minute) == (8, 30) and t.isoweekday() < 6,
        "America/New_York",
    ),
    cron("*/20 22,23 * * *", lambda t: t.minute % 20 == 0 and t.hour in (22, 23)),
    every_night("Australia/Sydney"),
    cron(
        "5,35 * * * *",
        lambda t: t.minute in (5, 35),
        "Asia/Kathmandu",
        counts_hours=True,
    ),
    Rule(
        {"intervals": [{"every": "PT25M", "offset": "PT3M"}]},
        "UTC",
        lambda t: (int(t.timestamp()) // MINUTE - 3) % 25 == 0,
        counts_hours=True,
    ),
)


@dataclass
class Model:
    """One schedule as it should be. ``jitter``: seconds that an occurrence is put off
    at most; how many is told by :meth:`planned`, once the server has said it."""

    name: str
    rule: Rule
    policy: str
    now: int
    max_runs: int | None = None
    can_start: bool = True
    jitter: int = 0
    is_active: bool = True
    is_deleted: bool = False
    plan: int | None = None
    is_to_be_told: bool = False
    open_runs: list[str] = field(default_factory=list)
    latest: str | None = None
    buffered: list[int | None] = field(default_factory=list)
    fires: list[str] = field(default_factory=list)
    skips: int = 0
    failures: int = 0

    def __post_init__(self) -> None:
        self.plan_after(self.now)

    def plan_after(self, second: int) -> None:
        self.plan = None if self.is_deleted else self.rule.next_after(second)
        self.is_to_be_told = self.jitter > 0 and self.plan is not None

    def planned(self, second: int | None) -> None:
        """The server has planned this; right if it is no other occurrence."""
        if self.is_to_be_told:
            assert self.plan is not None
            assert second is not None
            assert self.plan <= second <= self.plan + self.jitter
            self.plan, self.is_to_be_told = second, False

    def is_open(self) -> bool:
        return self.latest in self.open_runs

    def tick(self, now: int) -> None:
        """What the pass of a scheduler drains."""
        if not self.is_active or self.is_deleted:
            return
        if self.buffered and not self.is_open():
            at = self.buffered.pop(0)
            self.start(self._manual_id(now) if at is None else self._id(at))
            self.plan_after(now)

    def tick_due(self, now: int) -> None:
        """Then what is due."""
        if not self.is_active or self.is_deleted or self.plan is None:
            return
        if self.plan > now:
            return
        due = self.plan
        if not self.is_held_back(self.policy, due):
            self.start(self._id(due))
        self.plan_after(max(now, due))

    def trigger(self, policy: str | None, now: int) -> None:
        """An operator asks for a fire."""
        if self.is_deleted:
            return
        if not self.is_active:
            self.skips += 1
            return
        if not self.is_held_back(policy or self.policy, None):
            self.start(self._manual_id(now))
        self.plan_after(now)

    def is_held_back(self, policy: str, due: int | None) -> bool:
        """Skipped or buffered, as the latest workflow is open; or that one ends."""
        if not self.is_open():
            return False
        match policy:
            case "skip":
                self.skips += 1
            case "buffer_one" if self.buffered:
                self.skips += 1
            case "buffer_one" | "buffer_all":
                self.buffered.append(due)
            case "cancel_other" | "terminate_other":
                assert self.latest is not None
                self.open_runs.remove(self.latest)
                return False
            case _:
                return False
        return True

    def start(self, workflow_id: str) -> None:
        if not self.can_start:
            self.failures += 1
            return
        self.fires.append(workflow_id)
        self.open_runs.append(workflow_id)
        self.latest = workflow_id
        if self.max_runs is not None and len(self.fires) >= self.max_runs:
            self.is_deleted = True
            self.plan_after(0)
            self.buffered.clear()

    def pause(self) -> None:
        self.is_active = False

    def resume(self, now: int) -> None:
        if not self.is_active:
            self.is_active = True
            self.plan_after(now)

    def backfill(self, start: int, end: int, *, policy: str | None, now: int) -> None:
        """What was backfilled is not fired again, and fires nothing else."""
        policy = policy or self.policy
        if policy in ("buffer_one", "buffer_all"):
            policy = "allow_all"
        at = self.rule.next_after(start - 1)
        while at is not None and at < end and not self.is_deleted:
            workflow_id = f"schedule:{self.name}:backfill:{at}"
            if not self.is_active:
                self.skips += 1
            elif policy == "skip" and self.is_open():
                self.skips += 1
                self.plan_after(now)
            elif workflow_id not in self.fires:
                self.is_held_back(policy, None)
                self.start(workflow_id)
                self.plan_after(now)
            at = self.rule.next_after(at)

    def _id(self, at: int) -> str:
        return f"schedule:{self.name}:{at}"

    def _manual_id(self, now: int) -> str:
        """By the millisecond; of several in one, each takes the next."""
        number = now * 1000
        while f"schedule:{self.name}:{number}" in self.fires:
            number += 1
        return f"schedule:{self.name}:{number}"
