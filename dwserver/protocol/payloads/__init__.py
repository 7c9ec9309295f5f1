"""Payloads: envelopes, the two Avro framings, and plain JSON kept as JSON.

A client's blob is opaque and travels byte-identical. What a caller sent as plain
JSON is stored as JSON and framed for each reader at delivery (``decisions.md`` 9).
"""

from dwserver.protocol.payloads.envelopes import (
    BlobCheck,
    Parsed,
    parse_input,
    parse_reference,
    parse_worker_payload,
)
from dwserver.protocol.payloads.external import (
    external_envelope,
    reference_payload,
    stored_reference,
)
from dwserver.protocol.payloads.framing import (
    Framing,
    decode_for_display,
    detect_framing,
    display,
    encode_for,
    encode_json,
    framed,
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
    "PayloadDecodeError",
    "PayloadEncodeError",
    "decode_for_display",
    "detect_framing",
    "display",
    "encode_for",
    "encode_json",
    "external_envelope",
    "framed",
    "framing_for",
    "parse_input",
    "parse_reference",
    "parse_worker_payload",
    "reference_payload",
    "stored_reference",
]
