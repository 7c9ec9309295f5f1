"""The form in which expectations are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.sdk.environments import Feature, SdkRelease


class _Any:
    """Equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__


ANY = _Any()


class Refused:
    """Equal to the answer of a query or update that was refused with such a text."""

    def __init__(self, kind: str, text: str = "") -> None:
        self._kind = kind
        self._text = text

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, dict)
            and other.get("refused") == self._kind
            and self._text in other["message"]
        )

    def __repr__(self) -> str:
        return f"Refused({self._kind!r}, {self._text!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """``events``: how many of each type, in the run that was started.

    ``result``, or ``error`` and ``message``: what the client sees. ``answers``: of the
    steps. ``status``: of the run that was started. ``ends_with``: last command of its
    replay; None when the run was closed from outside. ``details``: what the payload of
    an event of the type contains. ``output`` and ``attributes``: in the description of
    the last run of the workflow id.

    A release without the feature ``needs`` has to do with ``otherwise``.
    """

    events: Counter[str]
    status: str = "completed"
    result: object = None
    error: str | None = None
    message: object = ANY
    answers: tuple[Any, ...] = ()
    ends_with: str | None = "CompleteWorkflow"
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    output: object = ANY
    attributes: Mapping[str, Any] = field(default_factory=dict)
    needs: Feature | None = None
    otherwise: Expected | None = None

    def of(self, release: SdkRelease) -> Expected:
        """What is expected of a release."""
        if self.needs is None or self.needs in release.features:
            return self
        assert self.otherwise is not None, f"what it does without {self.needs}"
        return self.otherwise

    @property
    def seen(self) -> dict[str, object]:
        """What the client tells."""
        answers = {"answers": list(self.answers)}
        if self.error is None:
            return {**answers, "result": self.result}
        return {**answers, "error": self.error, "message": self.message}


def history(*parts: Mapping[str, int]) -> Counter[str]:
    events: Counter[str] = Counter()
    for part in parts:
        events.update(part)
    return events


def times(count: int, *event_types: str) -> dict[str, int]:
    return dict.fromkeys(event_types, count)
