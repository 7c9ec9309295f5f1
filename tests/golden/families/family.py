"""What a recorded family needs to be played again, and where it is different here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from tests.golden.deviations import Deviation
from tests.golden.replaying import EventRules, Replay
from tests.support.builders import NOON

Act = Callable[[Replay], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Otherwise:
    """An exchange that is answered differently as a whole, and why: of ours only the
    status (None: the recorded one), the given members and the types of the events in a
    history are looked at."""

    why: str
    status: int | None = None
    members: Mapping[str, object] = field(default_factory=dict)
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """All by label. ``before``: what the recording does not show and happened before an
    exchange, ``early``: exchanges that are sent before another one, because they waited
    for their answer.

    ``began_at``: the time of the node (epoch microseconds).
    ``namespace``: of what is not shown, unless it is the first one that is named.
    ``otherwise``: exchanges that are not compared as a whole, ``left_out``: those that
    are not sent, with the reason. ``events``: how histories are compared.
    ``unordered``: lists, by name, that are compared by a member of their items.
    """

    prepare: Act
    namespace: str | None = None
    began_at: int = NOON
    before: Mapping[str, Act] = field(default_factory=dict)
    early: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    deviations: tuple[Deviation, ...] = ()
    otherwise: Mapping[str, Otherwise] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    events: EventRules = field(default_factory=EventRules)
    unordered: Mapping[str, str] = field(default_factory=dict)

    def labels(self) -> set[str]:
        """Every exchange that is named here."""
        return {
            *self.before,
            *self.early,
            *self.early.values(),
            *self.left_out,
            *self.otherwise,
        }


def later(seconds: float) -> Act:
    """The time passes, and what is due then happens."""

    async def act(replay: Replay) -> None:
        await replay.node.pass_time(seconds)

    return act
