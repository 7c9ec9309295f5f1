"""Commands of a completion: what is refused, and at which path."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.protocol.capabilities import WorkerCommand
from dwserver.protocol.commands import COMMAND_TYPES, parse_commands
from dwserver.protocol.commands.scope import SCOPES
from dwserver.protocol.durations import MAX_DURATION_SECONDS
from dwserver.protocol.versions import NEWEST_WORKER_VERSION
from tests.protocol.test_commands import REQUIRED, group

MISSING = object()


def errors_of(*commands: Any) -> dict[str, list[str]]:
    _, errors = parse_commands(list(commands), run_codec="avro")
    return errors


def paths_of(name: str, **fields: Any) -> list[str]:
    """Error paths of an otherwise valid command, without ``commands.0.``."""
    merged = {**REQUIRED[name], **fields}
    command = {key: value for key, value in merged.items() if value is not MISSING}
    prefix = "commands.0."
    found = errors_of({"type": name, **command})
    assert all(path.startswith(prefix) for path in found)
    return [path.removeprefix(prefix) for path in found]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (None, "The commands field is required."),
        ("x", "The commands field must be an array."),
        ({"a": 1}, "The commands field must be an array."),
    ],
)
def test_the_list_itself_is_checked(raw: Any, text: str) -> None:
    assert parse_commands(raw, run_codec="avro") == ([], {"commands": [text]})


@pytest.mark.parametrize(
    "command", ["x", None, 5, [], {}, {"type": None}, {"type": ""}]
)
def test_a_command_needs_a_type(command: Any) -> None:
    text = "The commands.0.type field is required."
    assert errors_of(command) == {"commands.0.type": [text]}


@pytest.mark.parametrize("name", [7, "do_magic", "upsert_memo", "Start_Timer"])
def test_types_that_this_server_does_not_know_are_refused(name: Any) -> None:
    assert list(errors_of({"type": name})) == ["commands.0.type"]


def test_every_command_is_looked_at() -> None:
    errors = errors_of(
        {"type": "start_timer", "delay_seconds": 5},
        {"type": "schedule_activity"},
        {"type": "nothing"},
        {"type": "fail_workflow"},
    )
    assert list(errors) == [
        "commands.1.activity_type",
        "commands.2.type",
        "commands.3.message",
    ]


# field, a wrong value: every field of every command ----------------------------------

WRONG_FIELDS = [
    ("complete_workflow", "result.codec", {"codec": "json", "blob": "x"}),
    ("complete_workflow", "result.codec", {"codec": "", "blob": "x"}),
    ("complete_workflow", "result.codec", {"codec": 5, "blob": "x"}),
    ("complete_workflow", "result.blob", {"codec": "avro", "blob": 5}),
    (
        "complete_workflow",
        "result.external_storage",
        {"codec": "avro", "external_storage": {}},
    ),
    ("complete_workflow", "payload_codec", "json"),
    ("complete_workflow", "payload_codec", 5),
    ("fail_workflow", "message", MISSING),
    ("fail_workflow", "message", "  "),
    ("fail_workflow", "message", 5),
    ("fail_workflow", "exception_type", 5),
    ("fail_workflow", "exception_class", ["a"]),
    ("fail_workflow", "exception", "text"),
    ("fail_workflow", "exception", ["a"]),
    ("fail_workflow", "exception", {"$dw.plain": "x"}),
    ("fail_workflow", "exception", {"big": 1 << 63}),
    ("fail_workflow", "non_retryable", "maybe"),
    ("fail_workflow", "non_retryable", 2),
    ("continue_as_new", "workflow_type", 5),
    ("continue_as_new", "workflow_type", " "),
    ("continue_as_new", "workflow_type", "w" * 256),
    ("continue_as_new", "queue", 5),
    ("continue_as_new", "task_queue", ""),
    ("continue_as_new", "arguments.codec", {"codec": "json", "blob": "[]"}),
    ("continue_as_new", "input.codec", {"codec": "json", "blob": "[]"}),
    ("schedule_activity", "activity_type", MISSING),
    ("schedule_activity", "activity_type", " "),
    ("schedule_activity", "activity_type", 5),
    ("schedule_activity", "activity_type", "a" * 256),
    ("schedule_activity", "activity_type", "a\0b"),
    ("schedule_activity", "queue", " "),
    ("schedule_activity", "queue", 5),
    ("schedule_activity", "queue", "q" * 256),
    ("schedule_activity", "task_queue", 5),
    ("schedule_activity", "connection", 5),
    ("schedule_activity", "connection", ""),
    ("schedule_activity", "arguments.codec", {"codec": "x", "blob": "[]"}),
    ("schedule_activity", "retry_policy", "x"),
    ("schedule_activity", "retry_policy", ["x"]),
    ("schedule_activity", "retry_policy", 0),
    ("schedule_activity", "worker_session", {"session_id": "s"}),
    ("start_timer", "delay_seconds", MISSING),
    ("start_timer", "delay_seconds", None),
    ("start_timer", "delay_seconds", -1),
    ("start_timer", "delay_seconds", 0.5),
    ("start_timer", "delay_seconds", 1.0),
    ("start_timer", "delay_seconds", True),
    ("start_timer", "delay_seconds", "1.5"),
    ("start_timer", "delay_seconds", "+1"),
    ("start_timer", "delay_seconds", MAX_DURATION_SECONDS + 1),
    ("complete_update", "update_id", MISSING),
    ("complete_update", "update_id", " "),
    ("complete_update", "update_id", 5),
    ("complete_update", "result.codec", {"codec": "json", "blob": "x"}),
    ("fail_update", "update_id", MISSING),
    ("fail_update", "message", MISSING),
    ("fail_update", "message", " "),
    ("fail_update", "exception_type", 5),
    ("fail_update", "non_retryable", "maybe"),
    ("record_side_effect", "result", MISSING),
    ("record_side_effect", "result", ""),
    ("record_side_effect", "result", 5),
    ("record_side_effect", "result", ["x"]),
    ("record_side_effect", "result.codec", {"codec": "json", "blob": "x"}),
    ("upsert_search_attributes", "attributes", MISSING),
    ("upsert_search_attributes", "attributes", {}),
    ("upsert_search_attributes", "attributes", "x"),
    ("upsert_search_attributes", "attributes", {"Big": 1 << 63}),
    ("open_condition_wait", "condition_key", " "),
    ("open_condition_wait", "condition_key", 5),
    ("open_condition_wait", "condition_definition_fingerprint", ""),
    ("open_condition_wait", "timeout_seconds", -1),
    ("open_condition_wait", "timeout_seconds", 1.5),
    ("open_condition_wait", "timeout_seconds", True),
    ("open_signal_wait", "signal_name", MISSING),
    ("open_signal_wait", "signal_name", " "),
    ("open_signal_wait", "timeout_seconds", "x"),
]


@pytest.mark.parametrize(("name", "path", "value"), WRONG_FIELDS)
def test_a_wrong_field_is_refused_at_its_path(name: str, path: str, value: Any) -> None:
    field = path.split(".")[0]
    assert paths_of(name, **{field: value}) == [path]


@pytest.mark.parametrize(
    "field",
    [
        "start_to_close_timeout",
        "schedule_to_start_timeout",
        "schedule_to_close_timeout",
        "heartbeat_timeout",
    ],
)
@pytest.mark.parametrize("value", [0, -1, 1.5, "x", True, [], MAX_DURATION_SECONDS + 1])
def test_timeouts_are_positive_whole_seconds(field: str, value: Any) -> None:
    assert paths_of("schedule_activity", **{field: value}) == [field]


@pytest.mark.parametrize(
    ("path", "policy"),
    [
        ("max_attempts", {"max_attempts": 0}),
        ("max_attempts", {"max_attempts": 2.0}),
        ("max_attempts", {"max_attempts": 1 << 31}),
        ("backoff_seconds", {"backoff_seconds": 5}),
        ("backoff_seconds.1", {"backoff_seconds": [1, -1]}),
        ("backoff_seconds.0", {"backoff_seconds": ["a"]}),
        ("backoff_seconds.0", {"backoff_seconds": [None]}),
        ("non_retryable_error_types", {"non_retryable_error_types": "E"}),
        ("non_retryable_error_types.0", {"non_retryable_error_types": [1]}),
        ("non_retryable_error_types.1", {"non_retryable_error_types": ["E", " "]}),
    ],
)
def test_retry_policies_are_checked_member_by_member(
    path: str, policy: dict[str, Any]
) -> None:
    found = paths_of("schedule_activity", retry_policy=policy)
    assert found == [f"retry_policy.{path}"]


@pytest.mark.parametrize(
    ("shorter", "longer"),
    [
        ("heartbeat_timeout", "start_to_close_timeout"),
        ("start_to_close_timeout", "schedule_to_close_timeout"),
        ("schedule_to_start_timeout", "schedule_to_close_timeout"),
    ],
)
def test_timeouts_must_fit_into_each_other(shorter: str, longer: str) -> None:
    assert paths_of("schedule_activity", **{shorter: 10, longer: 5}) == [shorter]


# markers -----------------------------------------------------------------------------


def test_a_version_marker_collects_its_errors_at_the_command() -> None:
    assert errors_of({"type": "record_version_marker"}) == {
        "commands.0": [
            "A change_id is required.",
            "The version must be an integer.",
            "The min_supported must be an integer.",
            "The max_supported must be an integer.",
        ]
    }


@pytest.mark.parametrize("change_id", [5, " ", "c" * 256, "c\0"])
def test_a_change_id_is_a_short_text(change_id: Any) -> None:
    fields = {**REQUIRED["record_version_marker"], "change_id": change_id}
    assert list(errors_of({"type": "record_version_marker", **fields})) == [
        "commands.0"
    ]


@pytest.mark.parametrize("types", ["x", {"Region": "word"}, {"Region": ["keyword"]}])
def test_types_of_attributes_are_known_words(types: Any) -> None:
    command = {
        "type": "upsert_search_attributes",
        "attributes": {"Region": "eu"},
        "attribute_types": types,
    }
    _, errors = parse_commands(
        [command], run_codec="avro", version=NEWEST_WORKER_VERSION
    )
    assert list(errors) == ["commands.0.attribute_types"]
    assert errors_of(command) == {}, "an older worker does not mean them"


# scope -------------------------------------------------------------------------------


@pytest.mark.parametrize("field", SCOPES)
@pytest.mark.parametrize("name", COMMAND_TYPES)
def test_fields_of_other_commands_are_refused(field: str, name: str) -> None:
    if WorkerCommand(name) in SCOPES[field]:
        return
    assert paths_of(name, **{field: 1}) == [field]
    assert paths_of(name, **{field: None}) == []


# groups ------------------------------------------------------------------------------


@pytest.mark.parametrize("key", group())
def test_a_group_must_be_complete(key: str) -> None:
    metadata = {name: value for name, value in group().items() if name != key}
    assert paths_of("start_timer", **metadata) == ["parallel_group_path"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("parallel_group_id", "parallel-activities:1:3"),
        ("parallel_group_id", "parallel-timers:1:2"),
        ("parallel_group_kind", "other"),
        ("parallel_group_kind", 5),
        ("parallel_group_base_sequence", 0),
        ("parallel_group_base_sequence", "x"),
        ("parallel_group_size", 0),
        ("parallel_group_size", 1001),
        ("parallel_group_index", 2),
        ("parallel_group_index", -1),
        ("parallel_group_index", 0.0),
    ],
)
def test_the_parts_of_a_group_must_agree(key: str, value: Any) -> None:
    entry = {**group()["parallel_group_path"][0], key: value}
    found = paths_of("start_timer", **entry, parallel_group_path=[entry])
    assert found == ["parallel_group_path.0"]


@pytest.mark.parametrize("path", ["x", [], {}, [group()] * 33])
def test_a_group_path_is_a_short_list(path: Any) -> None:
    found = paths_of("start_timer", **{**group(), "parallel_group_path": path})
    assert found == ["parallel_group_path"]


def test_the_innermost_group_is_the_commands_own() -> None:
    other = group(index=1)["parallel_group_path"]
    found = paths_of("start_timer", **{**group(), "parallel_group_path": other})
    assert found == ["parallel_group_path"]


def test_a_group_entry_must_be_an_object() -> None:
    found = paths_of("start_timer", **{**group(), "parallel_group_path": ["x"]})
    assert found == ["parallel_group_path.0"]


def test_selections_are_not_taken_for_ordinary_groups() -> None:
    found = paths_of("start_timer", **group(), parallel_group_mode="select")
    assert found == ["parallel_group_mode"]
