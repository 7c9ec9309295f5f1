"""``POST /api/workflows/import/embedded-v2`` (``spec/control-plane-api.md`` §5.13)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal, NotRequired, TypedDict

from dwserver.http.call import Call, Refusal, Reply
from dwserver.http.errors import refuse
from dwserver.http.request_fields import checked
from dwserver.http.route import ADMINS, Method, management_route
from dwserver.http.route_shape import Count, JsonMap, MicroTime, RouteShape
from dwserver.protocol.json_types import JsonValue
from dwserver.protocol.reasons import Plane, Reason
from dwserver.protocol.validation import ANY, BOOLEAN, Field
from dwserver.services.catalog import Services
from dwserver.services.history_imports.importing import ImportRequest
from dwserver.services.history_imports.reports import ImportStatus

MAX_IMPORT_ID: Final = 255

OPTIONS: Final = (
    Field("dry_run", BOOLEAN, default=False),
    Field("import_id", max_length=MAX_IMPORT_ID),
    Field("require_signature", BOOLEAN, default=False),
    Field("signing_key"),
)
# What the description of the API tells besides: any other body is the bundle itself.
FIELDS: Final = (Field("bundle", ANY), *OPTIONS)

_STATUSES: Final = {
    ImportStatus.IMPORTED: 201,
    ImportStatus.ALREADY_IMPORTED: 200,
    ImportStatus.DRY_RUN: 200,
    ImportStatus.REJECTED: 422,
}


async def import_run(services: Services, call: Call) -> Reply:
    """The answer is the report, whatever came of it."""
    body = call.body
    if not isinstance(body, dict) or not body:
        raise _no_bundle()
    given = body.get("bundle")
    values = checked(body, OPTIONS)
    request = ImportRequest(
        namespace=call.namespace,
        bundle=given if isinstance(given, dict) else body,
        is_dry_run=values["dry_run"],
        import_id=_trimmed(values["import_id"]),
        requires_signature=values["require_signature"],
        signing_key=_trimmed(values["signing_key"]),
    )
    imported = await services.history_imports.run(request)
    return Reply(_STATUSES[imported.status], imported.report)


def _trimmed(text: JsonValue) -> str | None:
    return (text or "").strip() or None


def _no_bundle() -> Refusal:
    return refuse(
        Reason.INVALID_IMPORT_BUNDLE,
        Plane.CONTROL,
        "The body must be an object: a history bundle, or one that holds it.",
    )


class ImportedWorkflow(TypedDict):
    instance_id: str | None
    run_id: str | None
    run_number: Count
    workflow_type: str | None
    namespace: str
    status: str | None
    is_current_run: bool
    history_complete: bool
    dedupe_key: str | None


class EligibilityFinding(TypedDict):
    rule: str
    message: str


class Eligibility(TypedDict):
    eligible: bool
    errors: list[EligibilityFinding]
    warnings: list[EligibilityFinding]


class Rollback(TypedDict):
    mode: Literal["database_transaction"]
    partial_import_behavior: Literal["no_rows_committed_on_failure"]


class ImportReport(TypedDict):
    """``import_id`` and ``imported_at`` of an import; ``existing_import_id`` of one
    that was there already. ``integrity`` is the report of the verification."""

    schema: str
    schema_version: int
    contract_version: int
    source: str
    dry_run: bool
    workflow: ImportedWorkflow
    eligibility: Eligibility
    integrity: JsonMap
    rollback: Rollback
    status: ImportStatus
    rows: dict[str, Count]
    import_id: NotRequired[str]
    imported_at: NotRequired[MicroTime]
    existing_import_id: NotRequired[str]


ROUTES = (
    replace(
        management_route(
            Method.POST,
            "/workflows/import/embedded-v2",
            operation="import",
            handler=import_run,
            allowed_roles=ADMINS,
            is_bootstrap_gated=True,
            shape=RouteShape(
                body=FIELDS,
                answers={200: ImportReport, 201: ImportReport, 422: ImportReport},
                reasons=(
                    Reason.INVALID_IMPORT_BUNDLE,
                    Reason.EMBEDDED_V2_IMPORT_UNAVAILABLE,
                ),
            ),
        ),
        takes_bundles=True,
    ),
)
