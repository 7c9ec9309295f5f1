"""Export a run (``spec/history-bundles.md`` §2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import orjson

from dwserver.services.history_exports.bundles import BundleFacts, build_bundle
from dwserver.services.history_exports.collecting import collect
from dwserver.services.workflows import Workflows
from dwserver.store.api import Store

# Bundles that this process holds in memory at once.
MAX_BUNDLES: Final = 2


@dataclass(frozen=True, slots=True)
class Pruned:
    """Retention has deleted what there was to export."""

    at: int


class HistoryExports:
    def __init__(
        self,
        store: Store,
        *,
        workflows: Workflows,
        facts: BundleFacts,
        now: Callable[[], int],
    ) -> None:
        self._store = store
        self._workflows = workflows
        self._facts = facts
        self._now = now
        self._slots = asyncio.Semaphore(MAX_BUNDLES)

    async def bundle(
        self, namespace: str, workflow_id: str, run_id: str
    ) -> bytes | Pruned | None:
        """The JSON text of the bundle; None when the workflow id does not have this
        run. Raises ``RunContended`` for a run that changes all the time."""
        async with self._slots:
            found = await collect(
                self._store,
                self._workflows,
                namespace=namespace,
                workflow_id=workflow_id,
                run_id=run_id,
            )
            if found is None:
                return None
            if found.detail.view.pruned_at is not None:
                return Pruned(found.detail.view.pruned_at)
            facts, now = self._facts, self._now()
            # Long histories take long to write; the event loop need not wait for it.
            return await asyncio.to_thread(
                lambda: orjson.dumps(build_bundle(found, facts, now=now))
            )
