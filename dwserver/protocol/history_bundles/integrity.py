"""The ``integrity`` block of an exported history (``spec/history-bundles.md`` §3.1)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from dwserver.protocol.history_bundles.canonical import (
    CANONICALIZATION,
    canonical_text,
)
from dwserver.protocol.json_types import JsonObject

CHECKSUM_ALGORITHM = "sha256"
SIGNATURE_ALGORITHM = "hmac-sha256"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret, and the name under which verifiers know it."""

    secret: str = field(repr=False)
    key_id: str | None = None

    @classmethod
    def of(cls, secret: str | None, key_id: str | None) -> SigningKey | None:
        """None without a secret; blanks around both do not count."""
        trimmed = (secret or "").strip()
        if not trimmed:
            return None
        return cls(trimmed, (key_id or "").strip() or None)


def integrity_of(bundle: JsonObject, key: SigningKey | None) -> JsonObject:
    """The block for ``bundle``, which has none yet."""
    text = canonical_text(bundle)
    return {
        "canonicalization": CANONICALIZATION,
        "checksum_algorithm": CHECKSUM_ALGORITHM,
        "checksum": checksum_of(text),
        "signature_algorithm": SIGNATURE_ALGORITHM if key else None,
        "signature": signature_of(text, key) if key else None,
        "key_id": key.key_id if key else None,
    }


def checksum_of(text: bytes) -> str:
    """Of a canonical text."""
    return hashlib.sha256(text).hexdigest()


def signature_of(text: bytes, key: SigningKey) -> str:
    """Of a canonical text, not of its checksum."""
    return hmac.new(key.secret.encode(), text, hashlib.sha256).hexdigest()
