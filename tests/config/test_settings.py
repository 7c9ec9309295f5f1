"""Settings: precedence, types, derived defaults, errors that name every problem."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.config.contract import CONTRACT
from dwserver.config.errors import ConfigurationError
from dwserver.config.settings import load_settings
from dwserver.config.variable import OnInvalid, ValueType, Variable


def setting(environ: dict[str, str], path: str) -> Any:
    value: Any = load_settings(environ)
    for name in path.split("."):
        value = getattr(value, name)
    return value


def problems(environ: dict[str, str]) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ)
    return {problem.variable: str(problem) for problem in caught.value.problems}


def test_settings_of_an_empty_environment_serve_locally_on_sqlite() -> None:
    settings = load_settings({})
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8080)
    assert settings.database.sqlite_path == "dwserver.sqlite"
    assert settings.redis.url is None
    assert settings.auth.driver == "token"
    assert settings.metrics.port == 0
    assert settings.warnings == ()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, 60),
        ({"WORKFLOW_TASK_TIMEOUT": "7"}, 7),
        ({"WORKFLOW_TASK_TIMEOUT": "7", "DW_WORKFLOW_TASK_TIMEOUT": "9"}, 9),
        ({"WORKFLOW_TASK_TIMEOUT": "7", "DW_WORKFLOW_TASK_TIMEOUT": "  "}, 7),
    ],
)
def test_a_new_name_wins_over_its_alias_and_blank_is_unset(
    environ: dict[str, str], seconds: int
) -> None:
    assert setting(environ, "worker_plane.workflow_task_lease_seconds") == seconds


@pytest.mark.parametrize(
    ("alias", "value", "path", "expected"),
    [
        ("WORKFLOW_SERVER_MODE", "embedded", "server.mode", "embedded"),
        ("WORKFLOW_SERVER_ID", "n1", "server.server_id", "n1"),
        (
            "WORKFLOW_SERVER_TOPOLOGY_SHAPE",
            "split_control_execution",
            "topology.shape",
            "split_control_execution",
        ),
        ("WORKFLOW_V2_MULTI_NODE", "1", "topology.multi_node", True),
        ("WORKFLOW_MAX_MEMO_BYTES", "9", "published_limits.max_memo_bytes", 9),
        ("ACTIVITY_TASK_TIMEOUT", "8", "worker_plane.activity_task_lease_seconds", 8),
        ("SERVER_PORT", "9000", "http.port", 9000),
        ("APP_VERSION", "2.0.0", "server.app_version", "2.0.0"),
    ],
)
def test_older_and_conventional_names_still_set_their_value(
    alias: str, value: str, path: str, expected: object
) -> None:
    assert setting({alias: value}, path) == expected


@pytest.mark.parametrize("alias", ["WORKFLOW_SERVER_KEY", "WORKFLOW_V2_X"])
def test_names_without_a_contract_entry_change_nothing(alias: str) -> None:
    assert load_settings({alias: "x"}) == load_settings({})


def test_the_port_that_kubernetes_injects_for_a_service_is_no_port() -> None:
    assert setting({"SERVER_PORT": "tcp://10.0.0.1:80"}, "http.port") == 8080


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", True), ("Yes", True), ("ON", True), ("0", False), ("off", False)],
)
def test_booleans_are_read_in_every_usual_spelling(text: str, expected: bool) -> None:
    environ = {"DW_COMPRESSION_ENABLED": text}
    assert setting(environ, "http.compression_enabled") is expected


def test_lists_and_json_are_parsed() -> None:
    environ = {
        "DW_EXECUTION_MODULES": "shop.workflows, shop.activities,",
        "DW_TASK_QUEUE_ADMISSION_OVERRIDES": '{"*": {"workflow_tasks": {}}}',
    }
    settings = load_settings(environ)
    assert settings.execution.modules == (
        "shop.workflows",
        "shop.activities",
    )
    assert settings.admission.overrides == {"*": {"workflow_tasks": {}}}


@pytest.mark.parametrize(
    ("environ", "path", "expected"),
    [
        ({}, "worker_plane.stale_after_seconds", 60),
        ({"DW_WORKER_POLL_TIMEOUT": "50"}, "worker_plane.stale_after_seconds", 100),
        ({"DW_WORKER_POLL_TIMEOUT": "60"}, "worker_plane.wake_signal_ttl_seconds", 65),
        ({"DW_WORKER_POLL_TIMEOUT": "12"}, "query_tasks.timeout_seconds", 12),
        ({"DW_WORKFLOW_TASK_TIMEOUT": "9"}, "query_tasks.lease_seconds", 9),
        ({"DW_HISTORY_PAGE_SIZE_MAX": "100"}, "history.page_size_default", 100),
        ({}, "topology.task_dispatch_mode", "poll"),
        ({"DW_MODE": "embedded"}, "topology.task_dispatch_mode", "queue"),
        ({"DW_TASK_DISPATCH_MODE": "queue"}, "topology.task_dispatch_mode", "queue"),
    ],
)
def test_derived_defaults_follow_the_variables_they_come_from(
    environ: dict[str, str], path: str, expected: object
) -> None:
    assert setting(environ, path) == expected


def test_an_explicit_value_beats_the_derived_default() -> None:
    environ = {"DW_WORKER_POLL_TIMEOUT": "50", "DW_WORKER_STALE_AFTER_SECONDS": "70"}
    assert setting(environ, "worker_plane.stale_after_seconds") == 70


@pytest.mark.parametrize(
    ("environ", "path", "expected"),
    [
        ({"DW_WORKER_POLL_TIMEOUT": "90"}, "worker_plane.poll_timeout_seconds", 60),
        ({"DW_WORKER_POLL_TIMEOUT": "-1"}, "worker_plane.poll_timeout_seconds", 0),
        ({"DW_V2_LIMIT_PENDING_TIMERS": "-3"}, "structural_limits.pending_timers", 0),
        (
            {"DW_QUERY_TASK_MAX_PENDING_PER_QUEUE": "20000"},
            "query_tasks.max_pending_per_queue",
            10_000,
        ),
        (
            {"DW_ACTIVITY_TASK_MAX_DISPATCHES_PER_MINUTE": "0"},
            "admission.activity_max_dispatches_per_minute",
            None,
        ),
    ],
)
def test_numbers_that_the_contract_clamps_are_moved_to_the_nearest_bound(
    environ: dict[str, str], path: str, expected: object
) -> None:
    assert setting(environ, path) == expected


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("DW_SERVER_TOPOLOGY_SHAPE", "topology.shape", "standalone_server"),
        ("DW_TASK_QUEUE_ADMISSION_OVERRIDES", "admission.overrides", {}),
        ("DW_AUTH_DRIVER", "auth.driver", "Kerberos"),
    ],
)
def test_values_that_do_not_stop_the_boot_leave_a_warning(
    name: str, path: str, expected: object
) -> None:
    settings = load_settings({name: "Kerberos"})
    assert [warning.variable for warning in settings.warnings] == [name]
    assert setting({name: "Kerberos"}, path) == expected


def test_every_bad_variable_is_reported_at_once_with_what_was_expected() -> None:
    found = problems(
        {
            "DW_HTTP_PORT": "99999",
            "DW_LOG_FORMAT": "xml",
            "DW_COMPRESSION_ENABLED": "maybe",
            "WORKFLOW_TASK_TIMEOUT": "soon",
            "DW_BOOTSTRAP_DELAY_SECONDS": "nan",
        }
    )
    assert found.keys() == {
        "DW_HTTP_PORT",
        "DW_LOG_FORMAT",
        "DW_COMPRESSION_ENABLED",
        "WORKFLOW_TASK_TIMEOUT",
        "DW_BOOTSTRAP_DELAY_SECONDS",
    }
    assert "from 0 to 65535" in found["DW_HTTP_PORT"]
    assert "'99999'" in found["DW_HTTP_PORT"]
    assert "json, console" in found["DW_LOG_FORMAT"]


def test_the_text_of_a_bad_secret_appears_in_no_message() -> None:
    environ = {
        "DW_DATABASE_URL": "mysql://u:hunter2@h/d",
        "REDIS_URL": "http://:hunter2@h",
    }
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ)
    assert "hunter2" not in str(caught.value)
    assert "DW_DATABASE_URL" in str(caught.value)
    assert "REDIS_URL" in str(caught.value)


def test_a_repr_of_the_settings_shows_no_secret() -> None:
    secrets = {
        variable.name: "hunter2"
        for variable in CONTRACT
        if variable.is_secret and variable.type is ValueType.STRING
    }
    urls = {
        "DW_DATABASE_URL": "postgresql://u:hunter2@h/d",
        "DW_REDIS_URL": "redis://:hunter2@h",
    }
    settings = load_settings(secrets | urls)
    assert settings.auth.admin_token == "hunter2"
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"DW_HISTORY_PAGE_SIZE_DEFAULT": "2000"}, "DW_HISTORY_PAGE_SIZE_DEFAULT"),
        ({"DW_METRICS_PORT": "8080"}, "DW_METRICS_PORT"),
    ],
)
def test_values_that_contradict_each_other_are_refused(
    environ: dict[str, str], variable: str
) -> None:
    assert problems(environ).keys() == {variable}


def test_engine_limits_take_the_smaller_of_both_tables() -> None:
    limits = load_settings({"DW_V2_LIMIT_PAYLOAD_SIZE_BYTES": "10"}).engine_limits
    assert (limits.pending_children, limits.payload_size_bytes) == (1000, 10)


def test_engine_limits_ignore_a_structural_limit_that_is_off() -> None:
    limits = load_settings({"DW_V2_LIMIT_PENDING_CHILDREN": "0"}).engine_limits
    assert limits.pending_children == 2000


NUMERIC_AND_CHOSEN = [
    variable
    for variable in CONTRACT
    if variable.on_invalid in (OnInvalid.REJECT, OnInvalid.CLAMP)
    and variable.type
    in (ValueType.INTEGER, ValueType.NUMBER, ValueType.BOOLEAN, ValueType.ENUM)
]


@pytest.mark.parametrize("variable", NUMERIC_AND_CHOSEN, ids=lambda v: v.name)
def test_a_word_of_nonsense_is_refused_for_every_typed_variable(
    variable: Variable,
) -> None:
    assert problems({variable.name: "nonsense"}).keys() == {variable.name}
