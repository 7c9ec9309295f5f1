"""From a request path to the resource that the table has there.

A path without parameters costs one dictionary look-up, any other one look-up for
each arrangement of parameters that paths of its length have in the table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar
from urllib.parse import unquote

Endpoint = TypeVar("Endpoint")

_HEAD: Final = "HEAD"
_GET: Final = "GET"


class Resource(Generic[Endpoint]):
    """What is mounted on one path, by method; HEAD is answered where GET is."""

    __slots__ = ("endpoints",)

    def __init__(self) -> None:
        self.endpoints: dict[str, Endpoint] = {}

    @property
    def methods(self) -> tuple[str, ...]:
        """Supported methods in alphabetical order."""
        return tuple(sorted(self.endpoints))

    def mount(self, method: str, endpoint: Endpoint, path: str) -> None:
        if method in self.endpoints:
            raise ValueError(f"{method} {path} is mounted twice")
        self.endpoints[method] = endpoint
        if method == _GET:
            self.endpoints[_HEAD] = endpoint


# A resource, and the decoded values of its parameters from left to right.
Match = tuple[Resource[Endpoint], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Arrangement(Generic[Endpoint]):
    """Paths of one length with parameters at the same positions; the keys of
    ``resources`` are empty there."""

    positions: tuple[int, ...]
    resources: dict[str, Resource[Endpoint]] = field(default_factory=dict)

    def find(self, segments: list[str]) -> Match[Endpoint] | None:
        literals = segments.copy()
        for position in self.positions:
            literals[position] = ""
        resource = self.resources.get("/".join(literals))
        if resource is None:
            return None
        values = tuple([segments[position] for position in self.positions])
        return (resource, values) if all(values) else None

    def resource(self, segments: list[str]) -> Resource[Endpoint]:
        """The resource of a path of the table, made when it is new."""
        literals = segments.copy()
        for position in self.positions:
            literals[position] = ""
        return self.resources.setdefault("/".join(literals), Resource())


class Router(Generic[Endpoint]):
    """Built once from ``(method, path, endpoint)``; never changes afterwards.

    Of several paths that fit, the one wins that is literal where they first differ.
    """

    def __init__(self, mounts: Iterable[tuple[str, str, Endpoint]]) -> None:
        self._exact: dict[str, Match[Endpoint]] = {}
        self._by_length: dict[int, list[_Arrangement[Endpoint]]] = {}
        for method, path, endpoint in mounts:
            self._resource(path).mount(method, endpoint, path)

    def find(self, path: str) -> Match[Endpoint] | None:
        """The resource on a raw (percent-encoded) path, one trailing slash aside."""
        match = self._exact.get(path)
        if match is not None:
            return match
        segments = path.split("/")
        if not segments[-1]:
            segments.pop()
        if "%" in path:
            segments = [unquote(segment) for segment in segments]
            # No id holds a null character, and no database column takes one.
            if any("\0" in segment for segment in segments):
                return None
        for arrangement in self._by_length.get(len(segments), ()):
            match = arrangement.find(segments)
            if match is not None:
                return match
        return None

    def _resource(self, path: str) -> Resource[Endpoint]:
        segments = path.split("/")
        positions = tuple(
            index for index, segment in enumerate(segments) if segment.startswith("{")
        )
        arrangement = self._arrangement(len(segments), positions)
        resource = arrangement.resource(segments)
        if not positions:
            self._exact[path] = (resource, ())
        return resource

    def _arrangement(
        self, length: int, positions: tuple[int, ...]
    ) -> _Arrangement[Endpoint]:
        known = self._by_length.setdefault(length, [])
        for arrangement in known:
            if arrangement.positions == positions:
                return arrangement
        arrangement = _Arrangement(positions)
        known.append(arrangement)
        known.sort(
            key=lambda each: [index in each.positions for index in range(length)]
        )
        return arrangement
