"""Taking a run from one server to another, as from an embedded application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from dwserver.engine.model import Run
from dwserver.engine.transition import RunImport
from dwserver.services.history_imports.importing import Imported, ImportRequest
from dwserver.services.history_imports.reports import ImportStatus
from tests.support.embedded_bundles import sealed
from tests.support.small_server import NAMESPACE, SmallServer


async def exported(server: SmallServer, run: Run) -> dict[str, Any]:
    text = await server.services.history_exports.bundle(
        run.namespace, run.workflow_id, run.id
    )
    assert isinstance(text, bytes)
    bundle: dict[str, Any] = orjson.loads(text)
    return bundle


def as_embedded(bundle: Mapping[str, Any]) -> dict[str, Any]:
    """The bundle as an embedded application would have written it."""
    workflow = {**bundle["workflow"], "source_runtime": "embedded"}
    return sealed({**bundle, "workflow": workflow})


async def embedded(server: SmallServer, run: Run) -> dict[str, Any]:
    return as_embedded(await exported(server, run))


async def imported(
    server: SmallServer, bundle: dict[str, Any], **options: Any
) -> Imported:
    request = ImportRequest(**{"namespace": NAMESPACE, "bundle": bundle, **options})
    return await server.services.history_imports.run(request)


async def accepted(server: SmallServer, bundle: dict[str, Any]) -> dict[str, Any]:
    """The report of an import that must succeed."""
    done = await imported(server, bundle)
    assert done.status is ImportStatus.IMPORTED, done.report["eligibility"]
    return done.report


async def refused(
    server: SmallServer, bundle: dict[str, Any], **options: Any
) -> list[str]:
    """The rules that refuse it; nothing is there afterwards."""
    done = await imported(server, bundle, **options)
    assert done.status is ImportStatus.REJECTED
    assert not any(done.report["rows"].values())
    return [error["rule"] for error in done.report["eligibility"]["errors"]]


async def mark_of(server: SmallServer, run: Run) -> RunImport | None:
    place = await server.faults.real.find_run_place(run.id)
    return place.imported if place else None
