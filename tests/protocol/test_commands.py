"""Commands of a completion: what well-formed ones become."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.commands.kinds import BLOCKING, MARKERS, TERMINAL, UPDATES
from dwserver.engine.commands.terminal import (
    CompleteWorkflow,
    ContinueAsNew,
    FailWorkflow,
)
from dwserver.engine.commands.timers import StartTimer
from dwserver.engine.commands.updates import FailUpdate
from dwserver.engine.model import Payload, RetryPolicy
from dwserver.protocol.capabilities import (
    TERMINAL_COMMANDS,
    WorkerCommand,
    WorkingFeatures,
    server_capabilities,
)
from dwserver.protocol.commands import COMMAND_TYPES, WORKING_COMMANDS, parse_commands
from dwserver.protocol.durations import MAX_DURATION_SECONDS
from dwserver.protocol.versions import NEWEST_WORKER_VERSION

# The least that a command of each type needs.
REQUIRED: dict[str, dict[str, Any]] = {
    "complete_workflow": {},
    "fail_workflow": {"message": "m"},
    "continue_as_new": {},
    "schedule_activity": {"activity_type": "a"},
    "start_timer": {"delay_seconds": 1},
    "start_child_workflow": {"workflow_type": "w"},
    "complete_update": {"update_id": "u"},
    "fail_update": {"update_id": "u", "message": "m"},
    "record_side_effect": {"result": "AAIxAg=="},
    "record_version_marker": {
        "change_id": "c",
        "version": 1,
        "min_supported": -1,
        "max_supported": 1,
    },
    "upsert_search_attributes": {"attributes": {"Region": "eu"}},
    "open_condition_wait": {},
    "open_signal_wait": {"signal_name": "go"},
}

BLOB = {"codec": "avro", "blob": "AAxbImluIl0C"}
STORED = Payload("avro", "AAxbImluIl0C")


def parsed(*commands: dict[str, Any]) -> list[Any]:
    found, errors = parse_commands(list(commands), run_codec="avro")
    assert errors == {}
    return list(found)


def parsed_one(**command: Any) -> Any:
    (found,) = parsed(command)
    return found


def group(*, base: int = 1, size: int = 2, index: int = 0) -> dict[str, Any]:
    entry = {
        "parallel_group_id": f"parallel-activities:{base}:{size}",
        "parallel_group_kind": "activity",
        "parallel_group_base_sequence": base,
        "parallel_group_size": size,
        "parallel_group_index": index,
    }
    return {**entry, "parallel_group_path": [entry]}


def test_commands_keep_their_order() -> None:
    found = parsed(
        {"type": "start_timer", "delay_seconds": 60},
        {"type": "schedule_activity", "activity_type": "charge"},
        {"type": "complete_workflow", "result": BLOB},
    )
    assert found == [
        StartTimer(delay_seconds=60),
        ScheduleActivity(activity_type="charge"),
        CompleteWorkflow(result=STORED),
    ]


def test_an_empty_list_is_a_completion_without_news() -> None:
    assert parse_commands([], run_codec="avro") == ([], {})


def test_unknown_fields_are_ignored() -> None:
    command = {"type": "complete_workflow", "sticky": {"a": [1]}, "cursor": 5}
    assert parsed(command) == [CompleteWorkflow()]


# results and arguments ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (BLOB, STORED),
        ("AAxbImluIl0C", STORED),
        ({"status": "shipped"}, Payload("json", '{"status":"shipped"}')),
        (["a", 1], Payload("json", '["a",1]')),
        (0, Payload("json", "0")),
        (False, Payload("json", "false")),
        ("", None),
        (None, None),
    ],
)
def test_results_are_blobs_envelopes_or_plain_json(
    sent: Any, stored: Payload | None
) -> None:
    assert parsed_one(type="complete_workflow", result=sent).result == stored


def test_bare_blobs_take_the_codec_of_the_run() -> None:
    command = {"type": "complete_workflow", "result": "xyz"}
    ((found,), errors) = parse_commands([command], run_codec="other")
    assert (found, errors) == (CompleteWorkflow(result=Payload("other", "xyz")), {})


@pytest.mark.parametrize("name", ["schedule_activity", "continue_as_new"])
def test_aliases_stand_in_for_the_canonical_names(name: str) -> None:
    other = {"type": name, "activity_type": "a"}
    found = parsed_one(**other, input=["in"], task_queue="alias")
    assert (found.arguments, found.queue) == (Payload("json", '["in"]'), "alias")
    found = parsed_one(
        **other, input=["in"], arguments=BLOB, task_queue="alias", queue="own"
    )
    assert (found.arguments, found.queue) == (STORED, "own")


def test_a_matching_payload_codec_beside_the_payload_is_fine() -> None:
    found = parsed_one(type="complete_workflow", result=BLOB, payload_codec="avro")
    assert found.result == STORED


# activities and timers ---------------------------------------------------------------


def test_an_activity_without_options_has_no_policy() -> None:
    found = parsed_one(type="schedule_activity", activity_type=" a ", queue=" q ")
    assert found == ScheduleActivity(activity_type="a", queue="q")


@pytest.mark.parametrize("empty", [None, {}, []])
def test_an_empty_retry_policy_counts_as_none(empty: Any) -> None:
    found = parsed_one(type="schedule_activity", activity_type="a", retry_policy=empty)
    assert found.retry_policy is None


def test_retry_policy_and_timeouts_become_one_record() -> None:
    found = parsed_one(
        type="schedule_activity",
        activity_type="a",
        retry_policy={
            "max_attempts": "3",
            "backoff_seconds": [1, "2"],
            "non_retryable_error_types": [" ValueError", "KeyError", "ValueError"],
        },
        start_to_close_timeout=30,
        schedule_to_start_timeout="10",
        schedule_to_close_timeout=300,
        heartbeat_timeout=5,
    )
    assert found.retry_policy == RetryPolicy(
        max_attempts=3,
        backoff_seconds=(1, 2),
        non_retryable_error_types=("ValueError", "KeyError"),
        start_to_close_timeout=30,
        schedule_to_start_timeout=10,
        schedule_to_close_timeout=300,
        heartbeat_timeout=5,
    )


@pytest.mark.parametrize(
    "options", [{"heartbeat_timeout": 5}, {"retry_policy": {"initial_interval": 1}}]
)
def test_options_without_attempts_mean_one_attempt(options: dict[str, Any]) -> None:
    found = parsed_one(type="schedule_activity", activity_type="a", **options)
    assert found.retry_policy is not None
    assert found.retry_policy.max_attempts == 1


def test_equal_timeouts_are_in_order() -> None:
    found = parsed_one(
        type="schedule_activity",
        activity_type="a",
        heartbeat_timeout=5,
        start_to_close_timeout=5,
        schedule_to_start_timeout=5,
        schedule_to_close_timeout=5,
    )
    assert found.retry_policy.heartbeat_timeout == 5


@pytest.mark.parametrize("sent", [0, "0", 7, MAX_DURATION_SECONDS])
def test_timers_take_whole_seconds(sent: Any) -> None:
    found = parsed_one(type="start_timer", delay_seconds=sent)
    assert found == StartTimer(delay_seconds=int(sent))


# groups ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        {"type": "schedule_activity", "activity_type": "a"},
        {"type": "start_timer", "delay_seconds": 1},
    ],
)
def test_group_metadata_is_kept_as_sent(command: dict[str, Any]) -> None:
    metadata = group(base=4, size=3, index=2)
    assert parsed_one(**command, **metadata).parallel == metadata


def test_nested_groups_keep_their_path_without_foreign_keys() -> None:
    outer = group(base=2, size=2, index=1)["parallel_group_path"][0]
    inner = group(base=3, size=2, index=0)["parallel_group_path"][0]
    path = [{**outer, "parallel_group_mode": "all"}, inner]
    found = parsed_one(
        type="start_timer", delay_seconds=1, **{**inner, "parallel_group_path": path}
    )
    assert found.parallel == {**inner, "parallel_group_path": [outer, inner]}


def test_null_group_keys_mean_no_group() -> None:
    metadata = dict.fromkeys(group())
    found = parsed_one(type="start_timer", delay_seconds=1, **metadata)
    assert found.parallel is None


# ends --------------------------------------------------------------------------------


def test_a_failure_keeps_what_the_worker_says_about_the_exception() -> None:
    found = parsed_one(
        type="fail_workflow",
        message=" boom\0",
        exception_type="ValueError",
        exception_class="builtins.ValueError",
        exception={"code": 5},
        non_retryable=True,
        failed_step_sequence=3,
    )
    assert found == FailWorkflow(
        message=" boom\N{REPLACEMENT CHARACTER}",
        exception_type="ValueError",
        exception_class="builtins.ValueError",
        exception={"code": 5},
        non_retryable=True,
    )


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (
            {"type": "fail_workflow", "exception_type": "ValueError"},
            FailWorkflow(message="ValueError", exception_type="ValueError"),
        ),
        (
            {"type": "fail_update", "update_id": "u", "exception_class": "a.B"},
            FailUpdate(update_id="u", message="a.B", exception_class="a.B"),
        ),
    ],
)
def test_an_exception_without_a_text_is_told_by_its_name(
    command: dict[str, Any], told: Any
) -> None:
    assert parsed_one(**command, message="") == told


@pytest.mark.parametrize("empty", [None, [], {}])
def test_an_empty_exception_counts_as_none(empty: Any) -> None:
    found = parsed_one(type="fail_workflow", message="m", exception=empty)
    assert found == FailWorkflow(message="m")


@pytest.mark.parametrize("arguments", [None, ""])
def test_a_continuation_without_arguments_keeps_those_of_the_run(
    arguments: Any,
) -> None:
    found = parsed_one(type="continue_as_new", arguments=arguments, workflow_type="W")
    assert found == ContinueAsNew(workflow_type="W")


# the table ---------------------------------------------------------------------------


def test_the_table_agrees_with_the_engine() -> None:
    """Every kind of command that the engine knows can be sent, and ends alike."""
    parsed_as = {
        name: type(parsed_one(type=name, **REQUIRED[name])) for name in COMMAND_TYPES
    }
    engine = (*BLOCKING, *MARKERS, *UPDATES, *TERMINAL)
    assert set(parsed_as.values()) == set(engine)
    for name, command_type in COMMAND_TYPES.items():
        assert (parsed_as[name] in TERMINAL) is command_type.is_terminal, name
        assert (command_type.name in TERMINAL_COMMANDS) is command_type.is_terminal


def test_advertised_commands_are_those_that_are_parsed() -> None:
    features = WorkingFeatures(commands=WORKING_COMMANDS, capabilities=frozenset())
    told = server_capabilities(features, NEWEST_WORKER_VERSION)
    assert set(told["supported_workflow_task_commands"]) == set(COMMAND_TYPES)
    assert WorkerCommand.UPSERT_MEMO not in WORKING_COMMANDS
