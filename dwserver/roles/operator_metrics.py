"""Operator metrics with what this node is set to."""

from __future__ import annotations

from collections.abc import Callable

from dwserver.config.settings import Settings
from dwserver.engine.wire_time import MICROS
from dwserver.roles.coordination import Coordination
from dwserver.roles.identity import node_facts, server_facts
from dwserver.services.operator_metrics import (
    Acceleration,
    HistoryThresholds,
    MetricsFacts,
    OperatorMetrics,
)
from dwserver.services.task_repair import TaskRepair
from dwserver.services.workers import Workers
from dwserver.store.api import Store
from dwserver.store.figures import HistoryBudget


def build_operator_metrics(
    settings: Settings,
    store: Store,
    *,
    workers: Workers,
    repair: TaskRepair,
    coordination: Coordination,
    now: Callable[[], int],
) -> OperatorMetrics:
    node, history = node_facts(settings), settings.history
    compatibility, engine = settings.compatibility, settings.engine
    facts = MetricsFacts(
        matching=node.identity.matching,
        structural_limits=server_facts(settings).structural_limits,
        history=HistoryThresholds(
            budget=HistoryBudget(
                events=history.continue_as_new_event_threshold,
                size_bytes=history.continue_as_new_size_bytes_threshold,
                warning_events=history.event_warning_threshold,
                warning_size_bytes=history.size_bytes_warning_threshold,
            ),
            fan_out=history.continue_as_new_fan_out_threshold,
            warning_fan_out=history.fan_out_warning_threshold,
        ),
        update_wait_seconds=engine.update_wait_timeout_seconds,
        update_poll_ms=engine.update_wait_poll_interval_ms,
        database_driver=node.backend_driver,
        cache_store=coordination.store_name,
        required=compatibility.current,
        fleet=compatibility.namespace,
        fails_validation=compatibility.fleet_validation_mode == "fail",
        marker_ttl=compatibility.heartbeat_ttl_seconds * MICROS,
        failing_types=settings.metrics.workflow_task_failure_type_limit,
    )

    def acceleration() -> Acceleration:
        return Acceleration(
            is_multi_node=not coordination.is_alone,
            why_not=coordination.why_not_accelerated(),
        )

    return OperatorMetrics(
        store,
        workers=workers,
        repair=repair,
        now=now,
        node=facts,
        acceleration=acceleration,
    )
