"""``POST /api/storage/test`` (``spec/control-plane-api.md`` §7)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypedDict

from dwserver.http.call import Call, Refusal, Reply
from dwserver.http.request_fields import checked
from dwserver.http.route import ADMINS, Method, management_route
from dwserver.http.route_shape import Count, RouteShape
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.reasons import Plane, Reason, status_of
from dwserver.protocol.validation import INTEGER, Field
from dwserver.services.catalog import Services
from dwserver.services.records import Driver
from dwserver.services.storage_diagnosis import Finding, Probe, Problem

TEST_FIELDS: Final = (
    Field("driver", choices=frozenset(Driver)),
    Field("small_payload_bytes", INTEGER, required=True, minimum=1, maximum=1_048_576),
    Field("large_payload_bytes", INTEGER, required=True, minimum=1, maximum=16_777_216),
)

REASON_OF_FINDING: Final[Mapping[Finding, Reason]] = MappingProxyType(
    {
        Finding.NOT_CONFIGURED: Reason.EXTERNAL_STORAGE_NOT_CONFIGURED,
        Finding.DISABLED: Reason.EXTERNAL_STORAGE_DISABLED,
        Finding.OTHER_DRIVER: Reason.STORAGE_DRIVER_UNAVAILABLE,
        Finding.UNUSABLE: Reason.STORAGE_DRIVER_UNAVAILABLE,
        Finding.FAILED: Reason.EXTERNAL_PAYLOAD_STORAGE_UNAVAILABLE,
    }
)
# What the contract lists beside the reason.
SUPPORTED_DRIVERS: Final[Mapping[Finding, tuple[str, ...]]] = MappingProxyType(
    {
        Finding.OTHER_DRIVER: (Driver.LOCAL.value,),
        Finding.UNUSABLE: tuple(driver.value for driver in Driver),
    }
)


async def test(services: Services, call: Call) -> Reply:
    """Put a small and a large blob, read them back, delete them."""
    values = checked(call.body, TEST_FIELDS)
    word = values["driver"]
    found = await services.storage_diagnosis.run(
        call.namespace,
        driver=Driver(word) if word else None,
        small_bytes=values["small_payload_bytes"],
        large_bytes=values["large_payload_bytes"],
    )
    if isinstance(found, Problem):
        raise _refusal(call.namespace, found)
    return Reply(
        200,
        {
            "status": "passed",
            "namespace": call.namespace,
            "driver": found.driver,
            "small_payload": _shown(found.small),
            "large_payload": _shown(found.large),
        },
    )


def _shown(probe: Probe) -> JsonObject:
    return {
        "status": "passed",
        "bytes": probe.byte_count,
        "sha256": probe.sha256,
        "reference_uri": probe.uri,
    }


def _refusal(namespace: str, problem: Problem) -> Refusal:
    reason = REASON_OF_FINDING[problem.finding]
    refusal = Refusal(
        status_of(reason, Plane.CONTROL),
        reason.value,
        f"External payload storage of namespace [{namespace}]: {problem.detail}.",
        status="failed",
        namespace=namespace,
        driver=problem.driver,
    )
    supported = SUPPORTED_DRIVERS.get(problem.finding)
    if supported is not None:
        refusal.fields["supported_diagnostic_drivers"] = list(supported)
    return refusal


class ProbedPayload(TypedDict):
    status: Literal["passed"]
    bytes: Count
    sha256: str
    reference_uri: str


class PassedTest(TypedDict):
    status: Literal["passed"]
    namespace: str
    driver: Driver
    small_payload: ProbedPayload
    large_payload: ProbedPayload


ROUTES = (
    management_route(
        Method.POST,
        "/storage/test",
        operation="test",
        handler=test,
        allowed_roles=ADMINS,
        shape=RouteShape(
            body=TEST_FIELDS,
            answers={200: PassedTest},
            reasons=tuple(dict.fromkeys(REASON_OF_FINDING.values())),
        ),
    ),
)
