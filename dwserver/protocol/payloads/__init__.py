"""Payloads: envelopes, the two Avro framings, and plain JSON kept as JSON.

A client's blob is opaque and travels byte-identical. What a caller sent as plain
JSON is stored as JSON and framed for each reader at delivery (``decisions.md`` 9).
"""

from dwserver.protocol.payloads.envelopes import (
    BlobCheck,
    Parsed,
    ParsedWithReference,
    parse_input,
    parse_worker_payload,
)
from dwserver.protocol.payloads.framing import (
    Framing,
    decode_for_display,
    detect_framing,
    display,
    encode_blob,
    encode_for,
    encode_json,
    framing_for,
)
from dwserver.protocol.payloads.records import (
    AVRO_CODEC,
    EMPTY_ARGUMENTS,
    KNOWN_CODECS,
    ExternalReference,
    PayloadDecodeError,
    PayloadEncodeError,
)

__all__ = [
    "AVRO_CODEC",
    "EMPTY_ARGUMENTS",
    "KNOWN_CODECS",
    "BlobCheck",
    "ExternalReference",
    "Framing",
    "Parsed",
    "ParsedWithReference",
    "PayloadDecodeError",
    "PayloadEncodeError",
    "decode_for_display",
    "detect_framing",
    "display",
    "encode_blob",
    "encode_for",
    "encode_json",
    "framing_for",
    "parse_input",
    "parse_worker_payload",
]
