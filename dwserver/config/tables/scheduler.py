"""Rows: the scheduler."""

from __future__ import annotations

from dwserver.config.variable import Origin, Variable
from dwserver.config.variable import ValueType as T

SCHEDULER_VARIABLES = (
    Variable(
        "DW_SCHEDULER_IN_PROCESS",
        T.BOOLEAN,
        "scheduler.in_process",
        default=False,
        origin=Origin.OWN,
        description="Fire schedules in this process too, although its class does not "
        "host the scheduler; `dwserver dev` and a node on SQLite always do.",
    ),
    Variable(
        "DW_SCHEDULER_LEASE_SECONDS",
        T.INTEGER,
        "scheduler.lease_seconds",
        default=10,
        unit="seconds",
        minimum=1,
        maximum=300,
        origin=Origin.OWN,
        description="How long a leader that has died keeps the others waiting; "
        "renewed three times within it.",
    ),
    Variable(
        "DW_SCHEDULER_TICK_MS",
        T.INTEGER,
        "scheduler.tick_ms",
        default=500,
        unit="milliseconds",
        minimum=50,
        maximum=60_000,
        origin=Origin.OWN,
        description="Longest time between two looks for schedules that are due.",
    ),
    Variable(
        "DW_SCHEDULER_BATCH_SIZE",
        T.INTEGER,
        "scheduler.batch_size",
        default=200,
        unit="schedules",
        minimum=1,
        maximum=5000,
        origin=Origin.OWN,
        description="Most schedules fired at once; a full batch is followed by the "
        "next one without a pause.",
    ),
)
