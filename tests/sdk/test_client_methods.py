"""Every public method of the client, and of its handles, against a live server.

A method that a release has (``client_methods.py``) works, or stands in one of the
tables below with the part of the server that it belongs to. One that a release adds
fails the test until it has a scenario, and so does one of a table that is served now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.sdk.client_methods import SINCE, methods_of
from tests.sdk.environments import RELEASES, SdkEnvironment, SdkUnavailable, provide
from tests.sdk.matrix import Sites

pytestmark = pytest.mark.timeout(300)

NEWEST = "2.x"  # has all methods of the others, and runs by default


@dataclass(frozen=True, slots=True)
class Refused:
    """The server has no such route."""

    status: int = 404
    reason: str = "not_found"


@dataclass(frozen=True, slots=True)
class Declined:
    """The client does not ask a server that does not say it can."""

    error: str


Unserved = Refused | Declined

# Part of the server → its methods, and what calling one comes to until it is served.
UNSERVED: dict[str, dict[str, Unserved]] = {
    "promotion of builds": {"Client.promote_task_queue_build_id": Refused()},
    "deletion of namespaces": {
        "Client.delete_namespace": Refused(405, "method_not_allowed")
    },
    "service operations": {"Client.execute_nexus_operation": Refused()},
    "worker sessions": {
        f"Client.{verb}_worker_session": Refused()
        for verb in ("create", "renew", "close")
    },
    "validation of updates": {
        f"Client.{verb}_update_validation_task": Refused()
        for verb in ("poll", "approve", "reject")
    },
    "cooperative cancellation": {
        "Client.request_workflow_cancellation": Declined("RuntimeDiscoveryUnavailable"),
        "WorkflowHandle.request_cancellation": Declined("RuntimeDiscoveryUnavailable"),
        **{
            f"Client.{name}": Refused()
            for name in (
                *("acknowledge_activity_cancellation", "deliver_workflow_cancellation"),
                *(
                    "open_cancellation_scope_on_claim",
                    "prepared_local_activity_operation",
                ),
            )
        },
        # It wants a budget that only a worker makes.
        "Client.cancellation_scope_boundary_on_claim": Declined("ValueError"),
    },
    "redrive": {
        "Client.redrive_workflow": Refused(),
        "WorkflowHandle.redrive": Refused(),
    },
    "message streams": {
        "Client.append_message_stream": Refused(),
        "WorkflowHandle.append_message": Refused(),
    },
    "output streams": {
        f"Client.{name}": Refused()
        for name in (
            *("list_workflow_streams", "describe_workflow_stream"),
            *("subscribe_workflow_stream", "iter_workflow_stream"),
            *("append_workflow_stream", "close_workflow_stream"),
        )
    },
    "authority over leases": {
        "Client.activity_task_status": Refused(),
        "Client.query_task_status": Declined("RuntimeDiscoveryUnavailable"),
        "Client.renew_activity_task_lease": Declined("RuntimeDiscoveryUnavailable"),
    },
}


def _params() -> list[Any]:
    return [
        pytest.param(
            release,
            id=release.name,
            marks=() if release.name == NEWEST else pytest.mark.full,
        )
        for release in RELEASES
        if release.name in SINCE
    ]


@pytest.fixture(params=_params())
def environment(request: pytest.FixtureRequest) -> SdkEnvironment:
    try:
        return provide(request.param)
    except SdkUnavailable as error:
        pytest.fail(f"{error}", pytrace=False)


def test_every_method_works_or_belongs_to_a_later_part(
    environment: SdkEnvironment, sites: Sites
) -> None:
    expected = {name: e for part in UNSERVED.values() for name, e in part.items()}
    ground = sites.ground("sqlite", environment)
    found = ground.programs.call_methods(sorted(expected))
    told = [
        f"{name}: {answer['outcome']} {answer['detail']}, not {expected.get(name)}"
        for name, answer in found.items()
        if _shown(answer) != expected.get(name)
    ]
    # What a release has is known, so what it lacks is known as well.
    assert found.keys() == methods_of(environment.release.name)
    # One that is served by now leaves its table, and gets a scenario.
    assert not told, "\n".join(told)


def test_methods_that_are_not_served_exist() -> None:
    unserved = {method for part in UNSERVED.values() for method in part}
    assert unserved <= methods_of(NEWEST)


def _shown(answer: dict[str, Any]) -> Any:
    """None when it works."""
    match answer:
        case {"outcome": "works"}:
            return None
        case {"outcome": "refused", "detail": [status, reason]}:
            return Refused(status, reason)
        case {"outcome": "declined", "detail": error}:
            return Declined(error)
        case _:
            return answer
