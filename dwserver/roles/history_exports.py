"""Exports of runs, with what the settings say about them."""

from __future__ import annotations

from collections.abc import Callable

from dwserver.config.settings import Settings
from dwserver.protocol.history_bundles.integrity import SigningKey
from dwserver.protocol.payloads.framing import Framing
from dwserver.services.history_exports.bundles import BundleFacts
from dwserver.services.history_exports.exporting import HistoryExports
from dwserver.services.workflows import Workflows
from dwserver.store.api import Store
from dwserver.topology.selection import select_topology


def build_history_exports(
    settings: Settings,
    store: Store,
    *,
    workflows: Workflows,
    framing: Framing,
    now: Callable[[], int],
) -> HistoryExports:
    place = select_topology(settings.topology.shape, settings.topology.process_class)
    history = settings.history
    facts = BundleFacts(
        source_runtime=place.shape,
        source_process_class=place.process_class,
        framing=framing,
        key=SigningKey.of(history.export_signing_key, history.export_signing_key_id),
    )
    return HistoryExports(store, workflows=workflows, facts=facts, now=now)
