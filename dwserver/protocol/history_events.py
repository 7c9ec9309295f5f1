"""History events as JSON text, for the worker plane and for the control plane.

The stored payload is joined in as it is (``architecture.md §4``). Only an event with
an unencoded payload is opened: every :data:`~dwserver.engine.payloads.PLAIN_KEY` value
becomes a blob in the reader's framing, or the envelope of a payload that lies in
external storage.
"""

from __future__ import annotations

from typing import Final, Protocol

import orjson

from dwserver.engine.payloads import PLAIN_KEY
from dwserver.engine.wire_time import micro
from dwserver.engine.words import EventType
from dwserver.protocol.payloads.framing import Framing, framed

_ENVELOPE: Final = frozenset({"codec", "blob"})


class HistoryEvent(Protocol):
    """What is rendered: an event just decided or one read back."""

    @property
    def id(self) -> str: ...
    @property
    def sequence(self) -> int: ...
    @property
    def event_type(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def recorded_at(self) -> int: ...
    @property
    def task_id(self) -> str | None: ...
    @property
    def command_id(self) -> str | None: ...


def worker_event(
    event: HistoryEvent,
    *,
    sequence: int | None = None,
    recorded_at: int | None = None,
    payload: bytes | None = None,
) -> bytes:
    """The event object of ``spec/worker-protocol.md §6.2``.

    ``WorkflowStarted`` gains ``timestamp``, the workflow's clock.
    """
    at = micro(event.recorded_at if recorded_at is None else recorded_at)
    body = event.payload if payload is None else payload
    if event.event_type == EventType.WORKFLOW_STARTED:
        rest = body[1:] if body == b"{}" else b"," + body[1:]
        body = b'{"timestamp":"%b"%b' % (at.encode(), rest)
    return (
        f'{{"id":"{event.id}","sequence":'
        f"{event.sequence if sequence is None else sequence},"
        f'"event_type":"{event.event_type}","payload":'
    ).encode() + (
        b'%b,"workflow_task_id":%b,"workflow_command_id":%b,"recorded_at":"%b"}'
        % (body, _text(event.task_id), _text(event.command_id), at.encode())
    )


def control_plane_event(event: HistoryEvent, payload: bytes | None = None) -> bytes:
    """The event object of ``spec/control-plane-api.md §5.14``."""
    return b'{"sequence":%d,"event_type":"%b","timestamp":"%b","payload":%b}' % (
        event.sequence,
        event.event_type.encode(),
        micro(event.recorded_at).encode(),
        event.payload if payload is None else payload,
    )


def with_blobs(payload: bytes, framing: Framing) -> bytes:
    """``payload`` with every unencoded value framed for a reader."""
    return orjson.dumps(_framed(orjson.loads(payload), framing))


def _framed(value: object, framing: Framing) -> object:
    if isinstance(value, dict):
        plain = value.get(PLAIN_KEY)
        if isinstance(plain, str) and len(value) == 1:
            return framed(plain, framing)
        members = {key: _framed(item, framing) for key, item in value.items()}
        blob = members.get("blob")
        # The envelope of a payload that lies elsewhere is no blob of another one.
        is_envelope = members.keys() == _ENVELOPE and isinstance(blob, dict)
        return blob if is_envelope else members
    if isinstance(value, list):
        return [_framed(item, framing) for item in value]
    return value


def _text(value: str | None) -> bytes:
    return b"null" if value is None else b'"%b"' % value.encode()
