"""``GET /api/openapi.json``: the document that describes every route, this one too."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final, TypedDict

import orjson

from dwserver.http.call import Call, Reply
from dwserver.http.discovery.handlers import discovery_route
from dwserver.http.openapi.document import document
from dwserver.http.route import ANY_ROLE, Route
from dwserver.http.route_shape import JsonMap, RouteShape
from dwserver.services.catalog import Services

DESCRIPTION_PATH: Final = "/openapi.json"


class ApiDescription(TypedDict):
    openapi: str
    info: JsonMap
    paths: JsonMap
    components: JsonMap


def described(routes: Iterable[Route]) -> tuple[Route, ...]:
    """``routes`` and the row that describes them all; the document is made when it is
    first asked for."""

    @cache
    def text() -> bytes:
        return orjson.dumps(document(table))

    async def describe_api(_services: Services, _call: Call) -> Reply:
        """This document."""
        return Reply(200, text())

    own = discovery_route(
        DESCRIPTION_PATH,
        operation="openapi",
        handler=describe_api,
        allowed_roles=ANY_ROLE,
        shape=RouteShape(answers={200: ApiDescription}),
    )
    table = (*routes, own)
    return table
