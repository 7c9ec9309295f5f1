"""The storage test: its fields, and what it says of each finding."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.http.control_plane.storage import test as handle_test
from dwserver.services.records import Driver
from dwserver.services.storage_diagnosis import Finding, Passed, Probe, Problem
from tests.http.handler_stage import NAMESPACE, Stage

VALID = {"small_payload_bytes": 10, "large_payload_bytes": 2000}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("driver", "ftp"),
        ("driver", 5),
        *(
            (field, value)
            for field, most in (
                ("small_payload_bytes", 1_048_576),
                ("large_payload_bytes", 16_777_216),
            )
            for value in (None, 0, most + 1, "many", 1.5, True)
        ),
    ],
)
async def test_a_wrong_field_is_refused(field: str, value: Any) -> None:
    stage = Stage()
    answer = await stage.ask(handle_test, body={**VALID, field: value})
    assert (answer.status, list(answer.body["errors"])) == (422, [field])
    assert stage.called == []


async def test_what_passed_is_shown() -> None:
    probe = Probe(10, "ab" * 32, "s3://b/k")
    stage = Stage({"storage_diagnosis.run": Passed("s3", probe, probe)})
    answer = await stage.ask(handle_test, body={**VALID, "driver": "s3"})
    assert stage.calls[0].arguments == (NAMESPACE,)
    assert stage.calls[0].options == {
        "driver": Driver.S3,
        "small_bytes": 10,
        "large_bytes": 2000,
    }
    shown = {
        "status": "passed",
        "bytes": 10,
        "sha256": "ab" * 32,
        "reference_uri": "s3://b/k",
    }
    assert answer.status == 200
    assert answer.body == {
        "status": "passed",
        "namespace": NAMESPACE,
        "driver": "s3",
        "small_payload": shown,
        "large_payload": shown,
    }


@pytest.mark.parametrize(
    ("finding", "status", "reason", "drivers"),
    [
        (Finding.NOT_CONFIGURED, 422, "external_storage_not_configured", None),
        (Finding.DISABLED, 422, "external_storage_disabled", None),
        (Finding.OTHER_DRIVER, 422, "storage_driver_unavailable", ["local"]),
        (
            Finding.UNUSABLE,
            422,
            "storage_driver_unavailable",
            ["local", "s3", "gcs", "azure"],
        ),
        (Finding.FAILED, 503, "external_payload_storage_unavailable", None),
    ],
)
async def test_each_finding_has_its_reason(
    finding: Finding, status: int, reason: str, drivers: list[str] | None
) -> None:
    problem = Problem(finding, "s3", "the bucket does not exist")
    stage = Stage({"storage_diagnosis.run": problem})
    answer = await stage.ask(handle_test, body=VALID)
    assert (answer.status, answer.body["reason"]) == (status, reason)
    assert answer.body["status"] == "failed"
    assert (answer.body["namespace"], answer.body["driver"]) == (NAMESPACE, "s3")
    assert "the bucket does not exist" in answer.body["message"]
    assert answer.body.get("supported_diagnostic_drivers") == drivers
