"""Worker registrations of a namespace (``spec/worker-protocol.md §4``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import structlog

from dwserver.coordination.wake_signals import (
    Key,
    SilentSignals,
    Topic,
    WakeSignals,
)
from dwserver.engine.outcome import Rejection
from dwserver.services.fresh_cache import FreshCache
from dwserver.services.runs import RunContended
from dwserver.store.api import Store, WorkerRegistration

MAX_CACHED = 50_000
# Long after it counts as stale a registration says nothing to anybody.
FORGET_AFTER = 86_400 * 1_000_000
# Registrations that one pass forgets.
BATCH = 1_000
# Attempts at a registration or a heartbeat before the caller is told that others write
# the same one.
MAX_ATTEMPTS = 10
# The status of workers whose build is drained; the word is on the wire.
DRAINING = "draining"

_log = structlog.stdlib.get_logger(__name__)


class Workers:
    """Registrations, remembered: a poll must not cost a query.

    ``cache_ttl`` and ``stale_after`` in microseconds. What this process writes is
    seen at once. What another process writes is seen when that is heard of, when the
    worker's polls are written down (:meth:`write_seen`), and before a poll is refused.
    """

    def __init__(
        self,
        store: Store,
        *,
        now: Callable[[], int],
        cache_ttl: int,
        stale_after: int,
        signals: WakeSignals | None = None,
    ) -> None:
        self._store = store
        self._now = now
        self.stale_after = stale_after
        self._signals = signals or SilentSignals()
        self._signals.listen(Topic.WORKER_CHANGED, self._hear)
        self._known = FreshCache(
            self._read, now=now, ttl=cache_ttl, max_entries=MAX_CACHED
        )
        self._seen: dict[tuple[str, str], None] = {}
        # Rises with every registration that this process writes or removes.
        self.generation = 0

    async def register(
        self, worker: WorkerRegistration
    ) -> WorkerRegistration | Rejection:
        """Insert or replace a registration. An active worker id may not change the
        definition of a workflow type it has advertised (§4.1). Raises
        :class:`RunContended`, as :meth:`heartbeat` does."""
        for _ in range(MAX_ATTEMPTS):
            known = await self._store.find_worker(worker.namespace, worker.worker_id)
            decided = _registration(worker, known)
            if isinstance(decided, Rejection):
                return decided
            written = await self._store.put_worker(
                decided, over=known.fingerprints if known is not None else {}
            )
            if written is None:
                continue
            self.generation += 1
            self._keep(written)
            if known is not None and _claims_of(known) != _claims_of(written):
                self._tell(worker.namespace, worker.worker_id)
            return written
        raise RunContended(worker.worker_id)

    async def find(self, namespace: str, worker_id: str) -> WorkerRegistration | None:
        """The registration, possibly as old as the cache allows."""
        key = (namespace, worker_id)
        return self._known.fresh(key) or await self._known.get(key)

    async def find_now(
        self, namespace: str, worker_id: str
    ) -> WorkerRegistration | None:
        """The registration as the database has it."""
        self._known.expire((namespace, worker_id))
        return await self._known.get((namespace, worker_id))

    async def _read(self, key: tuple[str, str]) -> WorkerRegistration | None:
        return await self._store.find_worker(*key)

    async def heartbeat(
        self, namespace: str, worker_id: str, details: Mapping[str, object]
    ) -> WorkerRegistration | None:
        """Note that the worker lives, with what it reports about itself; a drain of its
        build reaches it here."""
        for _ in range(MAX_ATTEMPTS):
            known = await self._store.find_worker(namespace, worker_id)
            if known is None:
                self._known.forget((namespace, worker_id))
                return None
            worker = await self._store.renew_worker(
                known, details={**known.details, **details}, at=self._now()
            )
            if worker is None:
                continue
            self._keep(worker)
            if worker.status != known.status:
                self._tell(namespace, worker_id)
            return worker
        raise RunContended(worker_id)

    def saw(self, namespace: str, worker_id: str) -> None:
        """An accepted poll counts as a heartbeat (decision 20g); written in batches."""
        self._seen[namespace, worker_id] = None

    async def write_seen(self) -> None:
        """Write the heartbeats that polls gave since the last call; what the database
        knows of these workers now replaces what was remembered."""
        if self._seen:
            seen, self._seen = self._seen, {}
            try:
                touched = await self._store.touch_workers(list(seen), at=self._now())
            except BaseException:
                self._seen = seen | self._seen
                raise
            for worker in touched:
                self._keep(worker)
                seen.pop((worker.namespace, worker.worker_id), None)
            for gone in seen:
                self._known.forget(gone)

    async def forget_silent(self) -> float | None:
        """Delete registrations of workers that have long been silent: ids are made up
        anew with every start of most workers. 0 when there are probably more."""
        before = self._now() - max(FORGET_AFTER, self.stale_after)
        deleted = await self._store.delete_silent_workers(before=before, limit=BATCH)
        if deleted:
            _log.info("workers_forgotten", count=deleted)
        return 0.0 if deleted == BATCH else None

    async def deregister(self, namespace: str, worker_id: str) -> bool:
        is_deleted = await self._store.delete_worker(namespace, worker_id)
        self.generation += 1
        self._known.forget((namespace, worker_id))
        self._seen.pop((namespace, worker_id), None)
        self._tell(namespace, worker_id)
        return is_deleted

    async def find_all(
        self, namespace: str, *, queue: str | None = None
    ) -> list[WorkerRegistration]:
        return await self._store.list_workers(namespace, queue=queue)

    def status(self, worker: WorkerRegistration) -> str:
        """``stale`` when it has not been heard of for ``stale_after``."""
        is_stale = worker.last_heartbeat_at <= self.silent_since()
        return "stale" if is_stale else worker.status

    def silent_since(self) -> int:
        """Who was last heard of then, or before, is stale."""
        return self._now() - self.stale_after

    def may_claim(
        self, worker: WorkerRegistration, is_connected: Callable[[], bool]
    ) -> Callable[[], bool]:
        """Whether a waiting poll of the worker may still be given something: the client
        is there, and the worker is what it was when the poll came. A poll that ends
        for that comes again, and the worker is looked up."""
        key = (worker.namespace, worker.worker_id)
        then = _claims_of(worker)

        def may() -> bool:
            known = self._known.remembered(key)
            if known is not worker and (known is None or _claims_of(known) != then):
                return False
            return is_connected()

        return may

    def changed(self, namespace: str, worker_ids: Iterable[str]) -> None:
        """This process changed them in the database."""
        for worker_id in worker_ids:
            self._known.renew((namespace, worker_id))
            self._tell(namespace, worker_id)

    def _tell(self, namespace: str, worker_id: str) -> None:
        """A worker of this id may run other code from now on, or drain: no process may
        go by what it knew of it."""
        self._signals.publish(Topic.WORKER_CHANGED, (namespace, worker_id))

    def _hear(self, key: Key) -> None:
        namespace, worker_id = map(str, key)
        self._known.renew((namespace, worker_id))

    def _keep(self, worker: WorkerRegistration) -> None:
        self._known.put((worker.namespace, worker.worker_id), worker)


def _claims_of(worker: WorkerRegistration) -> tuple[object, ...]:
    """What decides which tasks the worker may have."""
    return (
        worker.status,
        worker.task_queue,
        worker.build_id,
        worker.workflow_types,
        worker.activity_types,
        worker.fingerprints,
    )


def _registration(
    worker: WorkerRegistration, known: WorkerRegistration | None
) -> WorkerRegistration | Rejection:
    """The registration to write instead of what is known of its worker id."""
    kept: dict[str, str] = {}
    if known is not None and known.status == "active":
        changed = _changed_type(known.fingerprints, worker.fingerprints)
        if changed is not None:
            return Rejection(
                "workflow_definition_changed",
                f"Worker [{worker.worker_id}] advertised another definition of "
                f"[{changed}] before.",
                {
                    "workflow_type": changed,
                    "remediation": "Restart the worker with a new worker id.",
                },
            )
        kept = _kept(known, worker)
    fingerprints = kept | dict(worker.fingerprints)
    return replace(
        worker,
        fingerprints=dict(sorted(fingerprints.items())),
        registered_at=known.registered_at if known else worker.registered_at,
    )


def _changed_type(known: Mapping[str, str], sent: Mapping[str, str]) -> str | None:
    return next(
        (name for name in sorted(sent) if name in known and known[name] != sent[name]),
        None,
    )


def _kept(known: WorkerRegistration, sent: WorkerRegistration) -> dict[str, str]:
    """Stored fingerprints that stay although the new registration omits them."""
    advertised = sent.workflow_types or tuple(known.fingerprints)
    return {
        name: known.fingerprints[name]
        for name in advertised
        if name in known.fingerprints
    }
