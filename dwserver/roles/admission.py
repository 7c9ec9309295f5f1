"""Admission caps of task queues, from the settings."""

from __future__ import annotations

from dwserver.config.settings import Settings
from dwserver.coordination.admission_ledger import AdmissionLedger
from dwserver.engine.routing.caps import Caps
from dwserver.engine.words import TaskKind
from dwserver.runtime.clock import Clock
from dwserver.services.queue_admission import CapSettings, QueueAdmission
from dwserver.store.api import Store


def build_queue_admission(
    settings: Settings, store: Store, ledger: AdmissionLedger, *, clock: Clock
) -> QueueAdmission:
    caps = settings.admission
    of_kind = {
        TaskKind.WORKFLOW: Caps(
            leases=caps.workflow_max_active_leases_per_queue,
            namespace_leases=caps.workflow_max_active_leases_per_namespace,
            dispatches=caps.workflow_max_dispatches_per_minute,
            namespace_dispatches=caps.workflow_max_dispatches_per_minute_per_namespace,
        ),
        TaskKind.ACTIVITY: Caps(
            leases=caps.activity_max_active_leases_per_queue,
            namespace_leases=caps.activity_max_active_leases_per_namespace,
            dispatches=caps.activity_max_dispatches_per_minute,
            namespace_dispatches=caps.activity_max_dispatches_per_minute_per_namespace,
        ),
    }
    return QueueAdmission(
        store,
        ledger=ledger,
        settings=CapSettings(of_kind, caps.overrides),
        now=clock.now,
    )
