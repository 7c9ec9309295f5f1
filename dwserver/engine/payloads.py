"""Payloads inside event payloads.

An ``avro`` payload appears as its blob text. A value that a caller sent unencoded
appears as an object with the single key :data:`PLAIN_KEY`; it is replaced by a blob
in the reader's framing when the event is delivered (decision 9).
"""

from __future__ import annotations

from hashlib import blake2b

from dwserver.engine.model import Payload

PLAIN_KEY = "$dw.plain"
PLAIN_CODEC = "json"
WIRE_CODEC = "avro"
UNKNOWN_DIGEST = ""
"""Of a child call that was imported: what it was given is in the child's own bundle."""


def embed(payload: Payload | None) -> object:
    """How a payload stands in an event payload."""
    if payload is None:
        return None
    if payload.codec == PLAIN_CODEC:
        return {PLAIN_KEY: payload.data}
    return payload.data


def embed_envelope(payload: Payload | None) -> object:
    """A payload with its codec beside it; a reader of events gets it as an envelope."""
    if payload is None:
        return None
    return {"codec": WIRE_CODEC, "blob": embed(payload)}


def digest(type_name: str, arguments: Payload | None) -> str:
    """Identity of a step's command: its type and argument bytes (§5.3 rule 7)."""
    hasher = blake2b(type_name.encode(), digest_size=12)
    if arguments is not None:
        hasher.update(b"\0" + arguments.data.encode())
    return hasher.hexdigest()
