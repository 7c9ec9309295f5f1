"""Rows: compatibility posture, repair, boot, shutdown, logs and metrics."""

from __future__ import annotations

from dwserver.config.variable import OnInvalid, Origin, Variable
from dwserver.config.variable import ValueType as T

COMPATIBILITY_VARIABLES = (
    Variable(
        "DW_V2_CURRENT_COMPATIBILITY",
        T.STRING,
        "compatibility.current",
        origin=Origin.PACKAGE,
        description="Compatibility marker stamped on new runs.",
    ),
    Variable(
        "DW_V2_SUPPORTED_COMPATIBILITIES",
        T.CSV,
        None,
        has_effect=False,
        default=(),
        origin=Origin.PACKAGE,
        description="Workers tell which markers they accept.",
    ),
    Variable(
        "DW_V2_COMPATIBILITY_NAMESPACE",
        T.STRING,
        "compatibility.namespace",
        origin=Origin.PACKAGE,
        description="Fleet that the markers belong to when several share a database.",
    ),
    Variable(
        "DW_V2_COMPATIBILITY_HEARTBEAT_TTL",
        T.INTEGER,
        "compatibility.heartbeat_ttl_seconds",
        default=30,
        unit="seconds",
        minimum=1,
        on_invalid=OnInvalid.CLAMP,
        origin=Origin.PACKAGE,
        description="How long a worker's compatibility heartbeat counts.",
    ),
    Variable(
        "DW_V2_PIN_TO_RECORDED_FINGERPRINT",
        T.BOOLEAN,
        "compatibility.pins_fingerprint",
        default=True,
        origin=Origin.PACKAGE,
        description="Keep a run on workers with the workflow definition, by its "
        "fingerprint, that began it; workers that tell no fingerprint get every run.",
    ),
    Variable(
        "DW_V2_FLEET_VALIDATION_MODE",
        T.ENUM,
        "compatibility.fleet_validation_mode",
        default="warn",
        choices=("warn", "fail"),
        origin=Origin.PACKAGE,
        description="Whether a required marker without a live worker only warns "
        "or blocks dispatch and readiness.",
    ),
)


def _repair(name: str, field: str, default: int, description: str) -> Variable:
    return Variable(
        f"DW_V2_TASK_REPAIR_{name}",
        T.INTEGER,
        f"repair.{field}",
        default=default,
        unit="tasks" if name == "SCAN_LIMIT" else "seconds",
        minimum=1,
        on_invalid=OnInvalid.CLAMP,
        origin=Origin.PACKAGE,
        description=description,
    )


REPAIR_VARIABLES = (
    _repair(
        "REDISPATCH_AFTER_SECONDS",
        "redispatch_after_seconds",
        3,
        "Age at which a ready task that nobody took is published again.",
    ),
    _repair(
        "LOOP_THROTTLE_SECONDS",
        "loop_throttle_seconds",
        5,
        "Shortest time between two repair passes of the whole deployment.",
    ),
    _repair("SCAN_LIMIT", "scan_limit", 25, "Most tasks examined by one repair pass."),
    _repair(
        "FAILURE_BACKOFF_MAX_SECONDS",
        "failure_backoff_max_seconds",
        60,
        "Longest wait between repairs of a task that keeps failing.",
    ),
    Variable(
        "DW_EXPIRED_WORKFLOW_TASK_RECOVERY_SCAN_LIMIT",
        T.INTEGER,
        None,
        has_effect=False,
        default=5,
        unit="tasks",
        minimum=1,
        description="Leases that are over are taken back by a loop, not by polls.",
    ),
    Variable(
        "DW_EXPIRED_WORKFLOW_TASK_RECOVERY_TTL_SECONDS",
        T.INTEGER,
        None,
        has_effect=False,
        default=5,
        unit="seconds",
        minimum=1,
        description="Leases that are over are taken back by a loop, not by polls.",
    ),
)

OPERATIONS_VARIABLES = (
    Variable(
        "DW_ENV_AUDIT_STRICT",
        T.BOOLEAN,
        "boot.env_audit_strict",
        default=False,
        alias="",
        description="Refuse to boot when an unknown or legacy name is set.",
    ),
    Variable(
        "DW_BOOTSTRAP_RETRIES",
        T.INTEGER,
        "boot.bootstrap_retries",
        default=30,
        unit="attempts",
        minimum=1,
        description="Attempts of bootstrap to reach the database.",
    ),
    Variable(
        "DW_BOOTSTRAP_DELAY_SECONDS",
        T.NUMBER,
        "boot.bootstrap_delay_seconds",
        default=2.0,
        unit="seconds",
        minimum=0,
        description="Wait between attempts of bootstrap.",
    ),
    Variable(
        "DW_V2_GUARDRAILS_BOOT",
        T.ENUM,
        None,
        has_effect=False,
        default="warn",
        choices=("warn", "fail", "silent"),
        origin=Origin.PACKAGE,
        description="Workflow code is not examined at boot.",
    ),
    Variable(
        "DW_SHUTDOWN_DRAIN_SECONDS",
        T.NUMBER,
        "shutdown.drain_seconds",
        default=0.0,
        unit="seconds",
        minimum=0,
        origin=Origin.OWN,
        description="Time between failing readiness and closing the listener; "
        "set it above the load balancer's probe interval.",
    ),
    Variable(
        "DW_SHUTDOWN_TIMEOUT_SECONDS",
        T.NUMBER,
        "shutdown.timeout_seconds",
        default=25.0,
        unit="seconds",
        minimum=0,
        origin=Origin.OWN,
        description="Time after the drain in which work in flight may finish.",
    ),
    Variable(
        "DW_LOG_LEVEL",
        T.ENUM,
        "logging.level",
        default="info",
        choices=("debug", "info", "warning", "error"),
        origin=Origin.OWN,
        description="Least severe log lines that are written.",
    ),
    Variable(
        "DW_LOG_FORMAT",
        T.ENUM,
        "logging.format",
        default="json",
        choices=("json", "console"),
        origin=Origin.OWN,
        description="One JSON object per log line, or text for people.",
    ),
    Variable(
        "DW_METRICS_HOST",
        T.STRING,
        "metrics.host",
        default="127.0.0.1",
        origin=Origin.OWN,
        description="Address that the Prometheus listener binds.",
    ),
    Variable(
        "DW_METRICS_PORT",
        T.INTEGER,
        "metrics.port",
        default=0,
        minimum=0,
        maximum=65535,
        origin=Origin.OWN,
        description="Port of the Prometheus listener; 0 is off.",
    ),
    Variable(
        "DW_METRICS_WORKFLOW_TASK_FAILURE_TYPE_LIMIT",
        T.INTEGER,
        "metrics.workflow_task_failure_type_limit",
        default=20,
        unit="types",
        minimum=1,
        maximum=100,
        on_invalid=OnInvalid.CLAMP,
        description="Failure types listed one by one in system metrics.",
    ),
)
