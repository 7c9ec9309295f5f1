"""Commands about waits, updates and markers: what well-formed ones become."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.engine.commands.markers import (
    RecordSideEffect,
    RecordVersionMarker,
    UpsertSearchAttributes,
)
from dwserver.engine.commands.updates import CompleteUpdate, FailUpdate
from dwserver.engine.commands.waits import OpenConditionWait, OpenSignalWait
from dwserver.protocol.commands import parse_commands
from dwserver.protocol.versions import WorkerVersion
from tests.protocol.test_commands import BLOB, STORED, group, parsed_one


def test_a_condition_wait_as_python_workers_send_it() -> None:
    assert parsed_one(
        type="open_condition_wait",
        condition_key=" approved ",
        condition_definition_fingerprint="sha256:1f",
        timeout_seconds="30",
    ) == OpenConditionWait(
        condition_key="approved", fingerprint="sha256:1f", timeout_seconds=30
    )


def test_a_condition_wait_needs_nothing() -> None:
    assert parsed_one(type="open_condition_wait") == OpenConditionWait()


@pytest.mark.parametrize("name", ["open_condition_wait", "open_signal_wait"])
def test_no_time_out_is_not_a_time_out_of_nothing(name: str) -> None:
    known = {"type": name, "signal_name": "go"}
    assert parsed_one(**known, timeout_seconds=None).timeout_seconds is None
    assert parsed_one(**known, timeout_seconds=0).timeout_seconds == 0


def test_waits_may_be_members_of_a_group() -> None:
    assert parsed_one(type="open_condition_wait", **group()).parallel == group()
    found = parsed_one(type="open_signal_wait", signal_name="go", **group())
    assert found == OpenSignalWait(name="go", parallel=group())


def test_updates_are_closed_in_either_way() -> None:
    assert parsed_one(
        type="complete_update", update_id="u1", result=BLOB
    ) == CompleteUpdate(update_id="u1", result=STORED)
    assert parsed_one(
        type="fail_update",
        update_id=" u1 ",
        message="no",
        exception_type="app.Refused",
        exception_class="Refused",
        non_retryable=True,
    ) == FailUpdate(
        update_id="u1",
        message="no",
        exception_type="app.Refused",
        exception_class="Refused",
        non_retryable=True,
    )


@pytest.mark.parametrize("result", [BLOB, BLOB["blob"]])
def test_a_side_effect_comes_as_a_blob_or_an_envelope(result: Any) -> None:
    found = parsed_one(type="record_side_effect", result=result)
    assert found == RecordSideEffect(result=STORED)


def test_versions_may_be_negative() -> None:
    assert parsed_one(
        type="record_version_marker",
        change_id=" c ",
        version="-1",
        min_supported=-1,
        max_supported=2,
    ) == RecordVersionMarker(
        change_id="c", version=-1, min_supported=-1, max_supported=2
    )


def upsert(minor: int, **fields: Any) -> UpsertSearchAttributes:
    command = {"type": "upsert_search_attributes", **fields}
    (found,), errors = parse_commands(
        [command], run_codec="avro", version=WorkerVersion(1, minor)
    )
    assert errors == {}
    assert isinstance(found, UpsertSearchAttributes)
    return found


def test_attributes_keep_their_json_values() -> None:
    attributes = {"Region": "us", "Score": 1.5, "Active": True, "Gone": None}
    assert upsert(0, attributes=attributes) == UpsertSearchAttributes(
        attributes=attributes
    )


def test_types_count_from_the_version_that_brought_them() -> None:
    fields = {
        "attributes": {"Flags": ["a"], "When": "2026-01-02T03:04:05Z"},
        "attribute_types": {"When": "datetime"},
    }
    assert upsert(7, **fields).types == {}
    assert upsert(8, **fields).types == {"When": "datetime", "Flags": "keyword_list"}


def test_a_list_of_attributes_is_keyed_by_position() -> None:
    assert upsert(0, attributes=["a"]).attributes == {"0": "a"}
