"""``start_child_workflow``: what well-formed commands become, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.engine.commands.children import StartChildWorkflow
from dwserver.engine.hosts import HOST_TYPE
from dwserver.engine.model import Payload, RetryPolicy
from dwserver.engine.words import ParentClosePolicy
from dwserver.protocol.commands import parse_commands


def parsed(**fields: Any) -> StartChildWorkflow:
    command = {"type": "start_child_workflow", "workflow_type": "kid", **fields}
    found, errors = parse_commands([command], run_codec="avro")
    assert errors == {}
    (child,) = found
    assert isinstance(child, StartChildWorkflow)
    return child


def fields_refused(**fields: Any) -> list[str]:
    command = {"type": "start_child_workflow", "workflow_type": "kid", **fields}
    _, errors = parse_commands([command], run_codec="avro")
    return [path.removeprefix("commands.0.") for path in errors]


def test_the_type_is_enough() -> None:
    assert parsed() == StartChildWorkflow(workflow_type="kid")


def test_what_python_workers_send() -> None:
    found = parsed(
        workflow_type=" kid ",
        queue="q",
        arguments={"codec": "avro", "blob": "AA=="},
        parent_close_policy="request_cancel",
        retry_policy={"max_attempts": 2, "backoff_seconds": [1]},
        execution_timeout_seconds=100,
        run_timeout_seconds="50",
    )
    assert found == StartChildWorkflow(
        workflow_type="kid",
        arguments=Payload("avro", "AA=="),
        queue="q",
        parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
        retry_policy=RetryPolicy(max_attempts=2, backoff_seconds=(1,)),
        execution_timeout_seconds=100,
        run_timeout_seconds=50,
    )


def test_the_aliases_of_the_seeds() -> None:
    found = parsed(input=["in"], task_queue="q")
    assert (found.arguments, found.queue) == (Payload("json", '["in"]'), "q")


def test_group_metadata() -> None:
    group = {
        "parallel_group_id": "parallel-children:1:2",
        "parallel_group_kind": "child",
        "parallel_group_base_sequence": 1,
        "parallel_group_size": 2,
        "parallel_group_index": 1,
    }
    sent = {**group, "parallel_group_path": [group]}
    assert parsed(**sent).parallel == sent


@pytest.mark.parametrize("policy", list(ParentClosePolicy))
def test_every_close_policy(policy: ParentClosePolicy) -> None:
    assert parsed(parent_close_policy=str(policy)).parent_close_policy is policy


def test_equal_timeouts_are_in_order() -> None:
    found = parsed(execution_timeout_seconds=5, run_timeout_seconds=5)
    assert found.run_timeout_seconds == 5


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"workflow_type": None}, ["workflow_type"]),
        ({"workflow_type": " "}, ["workflow_type"]),
        ({"parent_close_policy": "explode"}, ["parent_close_policy"]),
        ({"parent_close_policy": " "}, ["parent_close_policy"]),
        ({"parent_close_policy": 5}, ["parent_close_policy"]),
        ({"execution_timeout_seconds": 0}, ["execution_timeout_seconds"]),
        ({"run_timeout_seconds": 1.5}, ["run_timeout_seconds"]),
        (
            {"execution_timeout_seconds": 1, "run_timeout_seconds": 2},
            ["run_timeout_seconds"],
        ),
        ({"retry_policy": {"max_attempts": 0}}, ["retry_policy.max_attempts"]),
        ({"start_to_close_timeout": 1}, ["start_to_close_timeout"]),
        ({"delay_seconds": 1}, ["delay_seconds"]),
        ({"queue": ""}, ["queue"]),
        ({"connection": 5}, ["connection"]),
    ],
)
def test_wrong_fields(fields: dict[str, Any], refused: list[str]) -> None:
    assert fields_refused(**fields) == refused


@pytest.mark.parametrize("kind", ["start_child_workflow", "continue_as_new"])
def test_the_type_of_hosts_is_nobody_elses(kind: str) -> None:
    command = {"type": kind, "workflow_type": f" {HOST_TYPE} "}
    _, errors = parse_commands([command], run_codec="avro")
    assert list(errors) == ["commands.0.workflow_type"]
