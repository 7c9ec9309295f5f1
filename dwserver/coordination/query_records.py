"""Query tasks, leases and answers as Redis keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import orjson

from dwserver.coordination.query_guards import QueryTaskStatus, Standing
from dwserver.coordination.query_tasks import Answer, Answered, Failed, QueryTask
from dwserver.engine.model import Payload


def prefix_of(namespace: str) -> str:
    """Of every key of a namespace; the braces choose the slot of a cluster."""
    return f"server:workflow-query-task:{{{_short(namespace)}}}:"


def queue_word(queue: str) -> str:
    """A queue in the names of keys."""
    return _short(queue)


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:24]


def encode_task(task: QueryTask) -> bytes:
    arguments = task.arguments
    return orjson.dumps(
        {
            name: getattr(task, name)
            for name in QueryTask.__dataclass_fields__
            if name != "arguments"
        }
        | {"arguments": arguments and [arguments.codec, arguments.data]}
    )


def decode_task(body: bytes) -> QueryTask:
    fields = orjson.loads(body)
    arguments = fields.pop("arguments")
    return QueryTask(**fields, arguments=Payload(*arguments) if arguments else None)


def encode_answer(answer: Answer) -> list[str | bytes]:
    """Fields and values of the hash."""
    if isinstance(answer, Failed):
        return ["reason", answer.reason, "message", answer.message]
    fields: list[str | bytes] = ["result", answer.result]
    if answer.envelope is not None:
        fields += ["codec", answer.envelope.codec, "data", answer.envelope.data]
    return fields


def decode_answer(status: str, cells: Sequence[bytes | None]) -> Answer | None:
    """From result, codec, data, reason, message; None when it was given before."""
    result, codec, data, reason, message = cells
    if status == QueryTaskStatus.FAILED and reason is not None:
        return Failed(reason.decode(), (message or b"").decode())
    if status != QueryTaskStatus.COMPLETED or result is None:
        return None
    envelope = Payload(codec.decode(), (data or b"").decode()) if codec else None
    return Answered(result, envelope)


def decode_standing(
    namespace: str, cells: Sequence[bytes | None], *, now: int
) -> Standing | None:
    """From status, attempt, owner, end of the lease, and when it is forgotten."""
    status, attempt, owner, expires_at, forget_at = cells
    if status is None or (forget_at is not None and int(float(forget_at)) <= now):
        return None
    return Standing(
        namespace,
        QueryTaskStatus(status.decode()),
        int(attempt or 0),
        owner.decode() if owner is not None else None,
        int(float(expires_at or 0)),
    )
