"""Limits that the discovery document publishes.

Source: ``spec/topology-and-operations.md`` §1.5 and §1.6. The defaults are the
contract's; configuration replaces them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from dwserver.protocol.json_types import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on requests; field names are the published keys."""

    max_payload_bytes: int = 2_097_152
    max_memo_bytes: int = 262_144
    max_search_attributes: int = 100
    max_search_attribute_key_length: int = 128
    max_search_attribute_value_bytes: int = 2_048
    max_operation_name_length: int = 256
    max_pending_activities: int = 2_000
    max_pending_children: int = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StructuralLimits:
    """Limits on one run; field names are the published keys.

    A limit of zero or less is off. ``warning_threshold_percent`` says from which
    share of a limit on the server warns; it is clamped to 0..100 when published.
    """

    pending_activity_count: int = 2_000
    pending_child_count: int = 1_000
    pending_timer_count: int = 2_000
    pending_signal_count: int = 5_000
    pending_update_count: int = 500
    command_batch_size: int = 1_000
    payload_size_bytes: int = 2_097_152
    memo_size_bytes: int = 262_144
    search_attribute_size_bytes: int = 40_960
    history_transaction_size: int = 5_000
    warning_threshold_percent: int = 80


def limits_block(limits: Limits) -> JsonObject:
    """``limits`` of the discovery document."""
    return asdict(limits)


def structural_limits_block(limits: StructuralLimits) -> JsonObject:
    """``structural_limits`` of discovery, operator metrics and system health."""
    percent = max(0, min(100, limits.warning_threshold_percent))
    return {**asdict(limits), "warning_threshold_percent": percent}
