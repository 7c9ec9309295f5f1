"""Payloads that lie in external storage (``spec/control-plane-api.md`` §13.4).

Their envelope ``{codec, external_storage}`` is kept as the plain JSON that it is and
goes to every reader unframed. No value of a caller can be taken for one: where it
stands for a payload, an object of exactly these two keys is always read as a reference.
"""

from __future__ import annotations

from typing import Final

import orjson

from dwserver.engine.model import Payload
from dwserver.engine.payloads import PLAIN_CODEC
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.payloads.records import ExternalReference

EXTERNAL_REFERENCE_SCHEMA: Final = "durable-workflow.v2.external-payload-reference.v1"
EXTERNAL_KEYS: Final = frozenset({"codec", "external_storage"})

# How the JSON text of every such envelope of ours begins.
_BEGINNING: Final = '{"codec":"'
_MARK: Final = '"external_storage":{'


def reference_payload(reference: ExternalReference) -> Payload:
    """The payload that stands for what was put into storage."""
    envelope = external_envelope(reference)
    return Payload(PLAIN_CODEC, orjson.dumps(envelope).decode())


def external_envelope(reference: ExternalReference) -> JsonObject:
    return {
        "codec": reference.codec,
        "external_storage": {
            "schema": EXTERNAL_REFERENCE_SCHEMA,
            "uri": reference.uri,
            "sha256": reference.sha256,
            "size_bytes": reference.size_bytes,
            "codec": reference.codec,
        },
    }


def stored_envelope(json: str) -> JsonObject | None:
    """The envelope behind the text of a plain payload, if it is one."""
    # Nearly no plain payload gets past the first look.
    if not json.startswith(_BEGINNING) or _MARK not in json:
        return None
    value = orjson.loads(json)
    return value if value.keys() == EXTERNAL_KEYS else None


def stored_reference(payload: Payload) -> ExternalReference | None:
    """Where the payload lies, if it is not in the database."""
    if payload.codec != PLAIN_CODEC:
        return None
    envelope = stored_envelope(payload.data)
    if envelope is None:
        return None
    found = envelope["external_storage"]
    return ExternalReference(
        codec=envelope["codec"],
        uri=found["uri"],
        sha256=found["sha256"],
        size_bytes=found["size_bytes"],
    )
