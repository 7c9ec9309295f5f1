"""Verify a bundle, as a document or as its text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final

import orjson

from dwserver.protocol.history_bundles.integrity import SigningKey
from dwserver.protocol.history_bundles.verification.envelope import (
    check_envelope,
    check_workflow,
)
from dwserver.protocol.history_bundles.verification.findings import Finding, found
from dwserver.protocol.history_bundles.verification.integrity import check_integrity
from dwserver.protocol.history_bundles.verification.payloads import (
    check_codec_schemas,
    check_payload_manifest,
    check_redaction,
)
from dwserver.protocol.history_bundles.verification.records import (
    check_commands,
    check_events,
)
from dwserver.protocol.history_bundles.verification.report import (
    BundleIdentity,
    VerificationReport,
)
from dwserver.protocol.history_bundles.verification.rules import Rule
from dwserver.protocol.json_types import JsonObject, JsonValue

CHECKS: Final[tuple[Callable[[JsonObject], Iterator[Finding]], ...]] = (
    check_envelope,
    check_workflow,
    check_events,
    check_commands,
    check_payload_manifest,
    check_codec_schemas,
    check_redaction,
)
"""In this order; what they need to know of integrity comes last."""


def verify_bundle(
    document: object, *, signing_key: str | None = None
) -> VerificationReport:
    """Everything that is wrong with a bundle; raises nothing, whatever it is.

    ``document`` is decoded JSON. ``signing_key``, of which blanks around it do not
    count, is needed to compare the signature of a signed bundle.
    """
    if not isinstance(document, dict):
        return _unparseable("A bundle is a JSON object.")
    integrity = check_integrity(document, SigningKey.of(signing_key, None))
    return VerificationReport.of(
        chain(
            chain.from_iterable(check(document) for check in CHECKS),
            integrity.findings,
        ),
        bundle=BundleIdentity.of(document),
        integrity=integrity.facts,
    )


def verify_text(raw: bytes, *, signing_key: str | None = None) -> VerificationReport:
    """Verify the bundle whose JSON text in UTF-8 this is."""
    try:
        document = decoded(raw)
    except (ValueError, RecursionError) as error:
        return _unparseable(f"The text is not JSON: {error}.")
    return verify_bundle(document, signing_key=signing_key)


def decoded(raw: bytes) -> JsonValue:
    """ValueError for all that two readers could understand differently."""
    # Refuses broken UTF-8 and half characters, NaN, and deep nesting; but it lets
    # members appear twice, and makes floats of long integers.
    orjson.loads(raw)
    return json.loads(raw, object_pairs_hook=_members)


def _members(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("an object has the same member twice")
    return members


def _unparseable(why: str) -> VerificationReport:
    return VerificationReport.of([found(Rule.UNPARSEABLE, why)])
