"""Checksum and signature of a bundle (``spec/history-bundles.md`` §3.1, §3.5)."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dwserver.protocol.history_bundles.canonical import (
    CANONICALIZATION,
    canonical_text,
)
from dwserver.protocol.history_bundles.integrity import (
    CHECKSUM_ALGORITHM,
    SIGNATURE_ALGORITHM,
    SigningKey,
    checksum_of,
    signature_of,
)
from dwserver.protocol.history_bundles.verification.findings import (
    Finding,
    found,
    text_or_none,
)
from dwserver.protocol.history_bundles.verification.report import IntegrityFacts
from dwserver.protocol.history_bundles.verification.rules import Rule
from dwserver.protocol.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class IntegrityResult:
    facts: IntegrityFacts
    findings: tuple[Finding, ...]


def check_integrity(bundle: JsonObject, key: SigningKey | None) -> IntegrityResult:
    """Compared with the canonical text of everything else in the bundle."""
    block = bundle.get("integrity")
    if not isinstance(block, dict):
        missing = found(
            Rule.INTEGRITY_MISSING, "There is no block of integrity.", "integrity"
        )
        return IntegrityResult(IntegrityFacts(has_key=key is not None), (missing,))
    signature = text_or_none(block.get("signature"))
    facts = IntegrityFacts(
        is_present=True,
        canonicalization=text_or_none(block.get("canonicalization")),
        checksum_algorithm=text_or_none(block.get("checksum_algorithm")),
        checksum=text_or_none(block.get("checksum")),
        signature_algorithm=text_or_none(block.get("signature_algorithm")),
        is_signed=signature is not None,
        key_id=text_or_none(block.get("key_id")),
        has_key=key is not None,
    )
    findings = list(_declared(facts))
    if any(finding.rule is not Rule.CHECKSUM_MISSING for finding in findings):
        return IntegrityResult(facts, tuple(findings))
    rest = {name: value for name, value in bundle.items() if name != "integrity"}
    try:
        text = canonical_text(rest)
    except (TypeError, ValueError) as error:
        failed = found(
            Rule.CANONICALIZATION_FAILED, f"It has no canonical text: {error}"
        )
        return IntegrityResult(facts, (*findings, failed))
    facts = _compared(facts, text, signature, key)
    return IntegrityResult(facts, (*findings, *_mismatches(facts)))


def _declared(facts: IntegrityFacts) -> Iterator[Finding]:
    """Of two unknown methods the first one is told."""
    if facts.canonicalization != CANONICALIZATION:
        yield found(
            Rule.CANONICALIZATION_UNSUPPORTED,
            f"Only the canonical text {CANONICALIZATION} is known.",
            "integrity.canonicalization",
            canonicalization=facts.canonicalization,
        )
    elif facts.checksum_algorithm != CHECKSUM_ALGORITHM:
        yield found(
            Rule.CHECKSUM_ALGORITHM_UNSUPPORTED,
            f"Only {CHECKSUM_ALGORITHM} is known as a checksum.",
            "integrity.checksum_algorithm",
            checksum_algorithm=facts.checksum_algorithm,
        )
    elif facts.checksum is None:
        yield found(
            Rule.CHECKSUM_MISSING, "There is no checksum.", "integrity.checksum"
        )


def _compared(
    facts: IntegrityFacts, text: bytes, signature: str | None, key: SigningKey | None
) -> IntegrityFacts:
    if facts.checksum is not None:
        checksum = checksum_of(text)
        facts = replace(
            facts,
            recomputed_checksum=checksum,
            checksum_matches=_is_same(checksum, facts.checksum),
        )
    is_comparable = facts.signature_algorithm == SIGNATURE_ALGORITHM
    if is_comparable and signature is not None and key is not None:
        verified = _is_same(signature_of(text, key), signature)
        facts = replace(facts, signature_verified=verified)
    return facts


def _mismatches(facts: IntegrityFacts) -> Iterator[Finding]:
    if facts.checksum_matches is False:
        yield found(
            Rule.CHECKSUM_MISMATCH,
            "The checksum is another one: the bundle was changed after its export.",
            "integrity.checksum",
            expected=facts.recomputed_checksum,
            observed=facts.checksum,
        )
    if facts.signature_algorithm is None and not facts.is_signed:
        return
    if facts.signature_algorithm != SIGNATURE_ALGORITHM:
        yield found(
            Rule.SIGNATURE_ALGORITHM_UNSUPPORTED,
            f"Only {SIGNATURE_ALGORITHM} is known as a signature.",
            "integrity.signature_algorithm",
            signature_algorithm=facts.signature_algorithm,
        )
    elif not facts.is_signed:
        yield found(
            Rule.SIGNATURE_MISSING,
            "A signature is declared, and there is none.",
            "integrity.signature",
        )
    elif not facts.has_key:
        yield found(
            Rule.SIGNATURE_KEY_UNAVAILABLE,
            "The signature was not compared: that takes its key.",
            "integrity.signature",
            key_id=facts.key_id,
        )
    elif not facts.signature_verified:
        yield found(
            Rule.SIGNATURE_MISMATCH,
            "The signature is not that of the given key.",
            "integrity.signature",
            key_id=facts.key_id,
        )


def _is_same(computed: str, declared: str) -> bool:
    """In a time that tells nothing about where they differ."""
    return hmac.compare_digest(
        computed.encode(), declared.encode(errors="surrogatepass")
    )
