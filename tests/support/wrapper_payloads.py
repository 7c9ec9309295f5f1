"""The generic wrapper framing, written without the server's own code.

base64 of: a zero byte, then the Avro record ``{json: string, version: int}``
(``spec/client-compatibility.md §4``).
"""

from __future__ import annotations

import base64
from io import BytesIO

import fastavro
import orjson

CODEC = "avro"
SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Payload",
        "namespace": "durable_workflow",
        "fields": [
            {"name": "json", "type": "string"},
            {"name": "version", "type": "int", "default": 1},
        ],
    }
)


def wrapper_blob(value: object) -> str:
    out = BytesIO(b"\0")
    out.seek(1)
    text = orjson.dumps(value).decode()
    fastavro.schemaless_writer(out, SCHEMA, {"json": text, "version": 1})
    return base64.b64encode(out.getvalue()).decode("ascii")


def wrapper_value(blob: str) -> object:
    """AssertionError when the blob has another framing."""
    raw = base64.b64decode(blob, validate=True)
    assert raw[:1] == b"\0", f"not the wrapper framing: {blob}"
    record = fastavro.schemaless_reader(BytesIO(raw[1:]), SCHEMA, None)
    assert isinstance(record, dict)
    return orjson.loads(record["json"])


def wrapper_envelope(value: object) -> dict[str, str]:
    return {"codec": CODEC, "blob": wrapper_blob(value)}
