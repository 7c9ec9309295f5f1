"""What the external task input and result contracts have in common."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import orjson

from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.schemas import Schema

UNKNOWN_FIELD_POLICY: Final = "ignore_additive_reject_unknown_required"


def versioning_rules() -> JsonObject:
    return {
        "add_optional_fields": "minor",
        "add_required_fields": "major",
        "rename_or_remove_fields": "major",
        "unknown_fields": (
            "must_be_ignored_unless_declared_required_by_a_supported_version"
        ),
    }


def fixture(
    schema: Schema, kind: str, *, media_type: str, example: JsonObject
) -> JsonObject:
    """An example envelope with its name and checksum.

    ``sha256`` covers the example as compact JSON in the published key order.
    """
    envelope = {**schema.identity(), **example}
    return {
        "artifact": f"{schema.name}.{kind}.v{schema.version}",
        "media_type": media_type,
        **schema.identity(),
        "sha256": sha256(orjson.dumps(envelope)).hexdigest(),
        "example": envelope,
    }
