"""What a route takes and answers, as data beside its handler.

Answers are ``TypedDict`` classes: the members of the body without the envelope of the
plane. The description of the API is made from these; so are the checks of the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Final, NotRequired, TypeAlias, TypedDict

from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.reasons import Reason
from dwserver.protocol.validation import Field

_NO_STATUSES: Final[Mapping[Reason, int]] = MappingProxyType({})
_NO_DETAILS: Final[Mapping[str, JsonObject]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RouteShape:
    """``query`` and ``body`` are the fields that the handler checks. ``answers`` are
    bodies by status, of refusals too when they have a shape of their own. ``reasons``
    are the refusals that are this route's own, with their usual status unless
    ``statuses`` has another one; those of every route need not be named. ``details``
    are JSON schemas of fields whose values have a parser of their own."""

    answers: Mapping[int, type[Any] | UnionType]
    query: tuple[Field, ...] = ()
    body: tuple[Field, ...] = ()
    reasons: tuple[Reason, ...] = ()
    statuses: Mapping[Reason, int] = field(default_factory=lambda: _NO_STATUSES)
    details: Mapping[str, JsonObject] = field(default_factory=lambda: _NO_DETAILS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an annotated member must satisfy besides its type."""

    format: str | None = None
    pattern: str | None = None
    minimum: int | None = None


_TIME_PATTERN: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"

MicroTime: TypeAlias = Annotated[
    str, Rules(format="date-time", pattern=rf"{_TIME_PATTERN}\.\d{{6}}Z$")
]
IsoTime: TypeAlias = Annotated[
    str, Rules(format="date-time", pattern=rf"{_TIME_PATTERN}\+00:00$")
]
Count: TypeAlias = Annotated[int, Rules(minimum=0)]
Json: TypeAlias = JsonValue
JsonMap: TypeAlias = JsonObject


class ExternalReferenceView(TypedDict):
    """Where a blob lies outside the database."""

    schema: str
    uri: str
    sha256: str
    size_bytes: Count
    codec: str


class PayloadEnvelope(TypedDict):
    """An encoded value, or where it lies."""

    codec: str
    blob: NotRequired[str | None]
    external_storage: NotRequired[ExternalReferenceView]
