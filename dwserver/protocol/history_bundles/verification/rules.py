"""Everything that a verification can find, and how grave each of it is."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Rule(StrEnum):
    """In the order of the checks."""

    UNPARSEABLE = "bundle.unparseable"
    SCHEMA_MISSING = "bundle.schema_missing"
    SCHEMA_UNEXPECTED = "bundle.schema_unexpected"
    SCHEMA_VERSION_MISSING = "bundle.schema_version_missing"
    SCHEMA_VERSION_UNSUPPORTED = "bundle.schema_version_unsupported"
    EXPORTED_AT_MISSING = "bundle.exported_at_missing"
    SECTION_MISSING = "bundle.section_missing"
    SECTION_INVALID = "bundle.section_invalid"
    RUN_ID_MISSING = "workflow.run_id_missing"
    INSTANCE_ID_MISSING = "workflow.instance_id_missing"
    WORKFLOW_TYPE_MISSING = "workflow.workflow_type_missing"
    LAST_SEQUENCE_STALE = "workflow.last_history_sequence_stale"
    EVENT_INVALID = "history_events.entry_invalid"
    EVENT_SEQUENCE_MISSING = "history_events.sequence_missing"
    EVENT_SEQUENCE_NOT_MONOTONIC = "history_events.sequence_not_monotonic"
    EVENT_TYPE_MISSING = "history_events.type_missing"
    EVENT_ID_DUPLICATE = "history_events.id_duplicate"
    COMMAND_ID_MISSING = "commands.id_missing"
    COMMAND_EVENT_MISSING = "commands.history_event_missing"
    CODEC_MISSING = "payload_manifest.codec_missing"
    PAYLOAD_MISSING = "payload_manifest.payload_missing"
    AVRO_FRAMING_MISSING = "payload_manifest.avro_framing_missing"
    WRITER_FINGERPRINT_MISMATCH = "payload_manifest.writer_schema_fingerprint_mismatch"
    WRAPPER_FINGERPRINT_MISMATCH = "codec_schemas.wrapper_fingerprint_mismatch"
    WRAPPER_SCHEMA_DRIFT = "codec_schemas.wrapper_schema_drift"
    REDACTION_EMPTY_PATHS = "redaction.empty_paths"
    INTEGRITY_MISSING = "integrity.missing"
    CANONICALIZATION_UNSUPPORTED = "integrity.canonicalization_unsupported"
    CHECKSUM_ALGORITHM_UNSUPPORTED = "integrity.checksum_algorithm_unsupported"
    CHECKSUM_MISSING = "integrity.checksum_missing"
    CANONICALIZATION_FAILED = "integrity.canonicalization_failed"
    CHECKSUM_MISMATCH = "integrity.checksum_mismatch"
    SIGNATURE_ALGORITHM_UNSUPPORTED = "integrity.signature_algorithm_unsupported"
    SIGNATURE_MISSING = "integrity.signature_missing"
    SIGNATURE_KEY_UNAVAILABLE = "integrity.signature_key_unavailable"
    SIGNATURE_MISMATCH = "integrity.signature_mismatch"

    @property
    def severity(self) -> Severity:
        return _MILDER.get(self, Severity.ERROR)


_MILDER: Final[Mapping[Rule, Severity]] = {
    Rule.EXPORTED_AT_MISSING: Severity.WARNING,
    Rule.LAST_SEQUENCE_STALE: Severity.WARNING,
    Rule.COMMAND_EVENT_MISSING: Severity.WARNING,
    Rule.AVRO_FRAMING_MISSING: Severity.WARNING,
    Rule.WRAPPER_SCHEMA_DRIFT: Severity.WARNING,
    Rule.REDACTION_EMPTY_PATHS: Severity.INFO,
    Rule.SIGNATURE_KEY_UNAVAILABLE: Severity.WARNING,
}
