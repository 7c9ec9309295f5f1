"""Leased tasks as polls show them, joined from stored JSON (protocol §6.1, §9.1)."""

from __future__ import annotations

import asyncio
import zlib
from base64 import b64encode
from dataclasses import dataclass
from functools import partial

import orjson

from dwserver.coordination.query_tasks import QueryLease
from dwserver.engine.events import retry_policy_snapshot
from dwserver.engine.leases import Leased
from dwserver.engine.model import Activity, Payload, RunInput
from dwserver.engine.records import quick_init
from dwserver.engine.wire_time import iso, micro, micro_or_none
from dwserver.matching.pollers import Delivery
from dwserver.protocol.history_events import with_blobs, worker_event
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.page_tokens import page_token
from dwserver.protocol.payloads.framing import Framing, encode_for
from dwserver.services.hot_runs import HotRuns
from dwserver.services.runs import RunNotFound
from dwserver.store.api import RunView, Store, StoredEvent

# A page of at least this many events is compressed for workers that ask for it.
COMPRESSION_THRESHOLD = 50

RESUME_FIELDS = (
    "workflow_wait_kind",
    "open_wait_id",
    "resume_source_kind",
    "resume_source_id",
    "workflow_update_id",
    "workflow_signal_id",
    "workflow_command_id",
    "signal_name",
    "signal_wait_id",
    "activity_execution_id",
    "activity_attempt_id",
    "activity_type",
    "child_call_id",
    "child_workflow_run_id",
    "workflow_sequence",
    "workflow_event_type",
    "timer_id",
    "condition_wait_id",
    "condition_key",
    "condition_definition_fingerprint",
)


@quick_init
@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """How a worker wants history: page size, and the encodings it reads."""

    page_size: int
    encodings: str | None = None


class Deliveries:
    """Builds answers to polls from hot state, or from the database where it is cold."""

    def __init__(self, store: Store, hot: HotRuns) -> None:
        self._store = store
        self._hot = hot

    async def workflow_task(
        self, leased: Leased, *, framing: Framing, wanted: HistoryRequest
    ) -> bytes:
        """The ``task`` object of a workflow-task poll."""
        run, task = leased.run, leased.task
        run_input = await self._input(run.id)
        page = await self.history_page(
            run.id,
            after=0,
            upto=task.snapshot_sequence,
            framing=framing,
            wanted=wanted,
        )
        arguments = run_input.arguments
        head = {
            "task_id": task.id,
            "workflow_id": run.workflow_id,
            "run_id": run.id,
            "namespace": run.namespace,
            "workflow_task_attempt": task.attempt,
            "workflow_type": run.workflow_type,
            "payload_codec": run.payload_codec,
            "arguments": encode_for(arguments, framing) if arguments else None,
            "run_status": run.status,
            "last_history_sequence": task.snapshot_sequence,
            "task_queue": task.queue,
            "connection": None,
            "compatibility": task.compatibility,
            "lease_owner": task.lease_owner,
            "lease_expires_at": micro_or_none(task.lease_expires_at),
            **dict.fromkeys(RESUME_FIELDS),
            **task.resume,
        }
        return b"%b,%b}" % (orjson.dumps(head)[:-1], page)

    async def activity_task(self, delivery: Delivery, *, framing: Framing) -> bytes:
        """The ``task`` object of an activity-task poll; null members are left out."""
        leased = delivery.leased
        activity = leased.activity
        if activity is None:
            raise ValueError("an activity delivery carries its activity")
        arguments = delivery.arguments
        if not delivery.has_arguments:
            found = await self._store.activity_arguments([activity.id])
            arguments = found.get(activity.id)
        return orjson.dumps(_activity_task(leased, activity, arguments, framing))

    async def query_task(self, lease: QueryLease, *, framing: Framing) -> bytes:
        """The ``task`` object of a query-task poll (protocol §10): the whole history
        as it is committed now. Raises :class:`RunNotFound`."""
        task = lease.task
        view = await self._store.find_run_view(task.namespace, task.run_id)
        if view is None:
            raise RunNotFound(task.run_id)
        last = view.run.last_sequence
        events = await self._fragments(
            task.run_id, after=0, upto=last, limit=last, framing=framing
        )
        head = _query_task(lease, view, framing)
        return b'%b,"history_events":[%b]}' % (
            orjson.dumps(head)[:-1],
            b",".join(events),
        )

    async def history_page(
        self,
        run_id: str,
        *,
        after: int,
        upto: int,
        framing: Framing,
        wanted: HistoryRequest,
    ) -> bytes:
        """Events after ``after`` up to the snapshot ``upto``: a page, as members of a
        JSON object (without its braces)."""
        events = await self._fragments(
            run_id, after=after, upto=upto, limit=wanted.page_size, framing=framing
        )
        last = after + len(events)
        token = page_token(last) if events and last < upto else None
        encoding = _chosen_encoding(wanted.encodings)
        tail = b'"total_history_events":%d,"next_history_page_token":%b' % (
            upto,
            orjson.dumps(token),
        )
        listed = b"[%b]" % b",".join(events)
        if encoding is None or len(events) < COMPRESSION_THRESHOLD:
            return b'"history_events":%b,%b' % (listed, tail)
        packed = await asyncio.to_thread(partial(_compress, listed, encoding))
        return (
            b'"history_events":[],"history_events_compressed":"%b",'
            b'"history_events_encoding":"%b",%b' % (packed, encoding.encode(), tail)
        )

    async def _input(self, run_id: str) -> RunInput:
        hot = self._hot.get(run_id)
        if hot is not None and hot.input is not None:
            return hot.input
        run_input = await self._store.run_input(run_id)
        if run_input is None:
            raise RunNotFound(run_id)
        self._hot.remember_input(run_id, run_input)
        return run_input

    async def _fragments(
        self, run_id: str, *, after: int, upto: int, limit: int, framing: Framing
    ) -> list[bytes]:
        hot = self._hot.get(run_id)
        history = hot.history if hot is not None else None
        known = history.fragments[after : min(upto, after + limit)] if history else []
        read_to = after + len(known)
        if read_to == min(upto, after + limit):
            return known
        events = await self._store.history(
            run_id, after=read_to, upto=upto, limit=limit - len(known)
        )
        fragments = [_rendered(event, framing) for event in events]
        if not any(event.has_plain for event in events):
            self._hot.remember_history(run_id, fragments, after=read_to)
        return known + fragments


def _rendered(event: StoredEvent, framing: Framing) -> bytes:
    if event.has_plain:
        return worker_event(event, payload=with_blobs(event.payload, framing))
    return worker_event(event)


def _query_task(lease: QueryLease, view: RunView, framing: Framing) -> JsonObject:
    run, task = view.run, lease.task
    arguments = view.input.arguments
    return {
        "query_task_id": task.id,
        "query_task_attempt": lease.attempt,
        "namespace": task.namespace,
        "workflow_id": run.workflow_id,
        "run_id": run.id,
        "workflow_type": run.workflow_type,
        "query_name": task.query_name,
        "payload_codec": run.payload_codec,
        "workflow_arguments": encode_for(arguments, framing) if arguments else None,
        # Newer SDKs refuse an envelope without a codec, even an empty one.
        "query_arguments": (
            encode_for(task.arguments, framing)
            if task.arguments
            else {"codec": run.payload_codec, "blob": None}
        ),
        "run_status": run.status,
        "last_history_sequence": run.last_sequence,
        "task_queue": task.queue,
        "lease_owner": lease.owner,
        "lease_expires_at": micro(lease.expires_at),
    }


def _activity_task(
    leased: Leased, activity: Activity, arguments: Payload | None, framing: Framing
) -> dict[str, object]:
    run, task = leased.run, leased.task
    policy = activity.retry_policy
    body: dict[str, object] = {
        "task_id": task.id,
        "workflow_id": run.workflow_id,
        "run_id": run.id,
        "activity_execution_id": activity.id,
        "activity_attempt_id": task.attempt_id,
        "idempotency_key": activity.id,
        "attempt_number": task.attempt,
        "activity_type": activity.activity_type,
        "payload_codec": activity.payload_codec,
        "arguments": encode_for(arguments, framing) if arguments else None,
        "retry_policy": retry_policy_snapshot(policy) if policy else None,
        "task_queue": task.queue,
        "lease_owner": task.lease_owner,
        "lease_expires_at": micro_or_none(task.lease_expires_at),
        "deadlines": deadlines(activity) or None,
    }
    return {name: value for name, value in body.items() if value is not None}


def deadlines(activity: Activity) -> dict[str, str]:
    """The deadlines that are set, by timeout kind (protocol §9.1)."""
    instants = {
        "schedule_to_start": activity.schedule_deadline_at,
        "start_to_close": activity.close_deadline_at,
        "schedule_to_close": activity.schedule_to_close_deadline_at,
        "heartbeat": activity.heartbeat_deadline_at,
    }
    return {kind: iso(at) for kind, at in instants.items() if at is not None}


def _chosen_encoding(accepted: str | None) -> str | None:
    if accepted is None:
        return None
    words = {word.strip().lower() for word in accepted.split(",")}
    return next((known for known in ("gzip", "deflate") if known in words), None)


def _compress(data: bytes, encoding: str) -> bytes:
    """Base64 of gzip, or of a raw deflate stream (protocol §6.2)."""
    window = 31 if encoding == "gzip" else -15
    packer = zlib.compressobj(6, zlib.DEFLATED, window)
    return b64encode(packer.compress(data) + packer.flush())
