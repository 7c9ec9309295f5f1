"""What a verification finds, beginning with a bundle that the reference server signed
with its checksum (``spec/history-bundles.md`` §3.5)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwserver.protocol.history_bundles.integrity import SigningKey, integrity_of
from dwserver.protocol.history_bundles.verification.report import (
    MAX_OF_ONE_RULE,
    VerificationReport,
)
from dwserver.protocol.history_bundles.verification.rules import Rule, Severity
from dwserver.protocol.history_bundles.verification.verifying import (
    verify_bundle,
    verify_text,
)
from dwserver.protocol.payloads.value_datum import VALUE_FINGERPRINT, VALUE_SCHEMA

KEY = "a key that signs"
RECORDED = (Path(__file__).parent / "fixtures" / "history_bundle.json").read_bytes()

Bundle = dict[str, Any]
Change = Callable[[Bundle], object]


def recorded() -> Bundle:
    bundle: Bundle = orjson.loads(RECORDED)
    return bundle


def sealed(bundle: Bundle, key: SigningKey | None = None) -> Bundle:
    """With a block of integrity that fits."""
    rest = {name: value for name, value in bundle.items() if name != "integrity"}
    return {**rest, "integrity": integrity_of(rest, key)}


def rules(report: VerificationReport) -> list[Rule]:
    return [finding.rule for finding in report.findings]


def _drifted(bundle: Bundle) -> None:
    schema = '{"type":"string"}'
    fingerprint = hashlib.sha256(schema.encode()).hexdigest()
    bundle["codec_schemas"]["avro"]["generic_wrapper"].update(
        writer_schema=schema, writer_schema_fingerprint=f"sha256:{fingerprint}"
    )


# Each breaks one rule of a bundle whose block of integrity is written afterwards.
BROKEN: Mapping[Rule, Change] = {
    Rule.SCHEMA_MISSING: lambda b: b.pop("schema"),
    Rule.SCHEMA_UNEXPECTED: lambda b: b.update(schema="another"),
    Rule.SCHEMA_VERSION_MISSING: lambda b: b.pop("schema_version"),
    Rule.SCHEMA_VERSION_UNSUPPORTED: lambda b: b.update(schema_version=2),
    Rule.EXPORTED_AT_MISSING: lambda b: b.update(exported_at=""),
    Rule.SECTION_MISSING: lambda b: b.pop("timers"),
    Rule.SECTION_INVALID: lambda b: b.update(links=[]),
    Rule.RUN_ID_MISSING: lambda b: b["workflow"].update(run_id=None),
    Rule.INSTANCE_ID_MISSING: lambda b: b["workflow"].pop("instance_id"),
    Rule.WORKFLOW_TYPE_MISSING: lambda b: b["workflow"].update(workflow_type=7),
    Rule.LAST_SEQUENCE_STALE: lambda b: b["workflow"].update(last_history_sequence=1),
    Rule.EVENT_INVALID: lambda b: b["history_events"].append("event"),
    Rule.EVENT_SEQUENCE_MISSING: lambda b: b["history_events"][3].pop("sequence"),
    Rule.EVENT_SEQUENCE_NOT_MONOTONIC: lambda b: b["history_events"][3].update(
        sequence=b["history_events"][2]["sequence"]
    ),
    Rule.EVENT_TYPE_MISSING: lambda b: b["history_events"][3].update(type=None),
    Rule.EVENT_ID_DUPLICATE: lambda b: b["history_events"][3].update(
        id=b["history_events"][0]["id"]
    ),
    Rule.COMMAND_ID_MISSING: lambda b: b["commands"][0].update(id=""),
    Rule.COMMAND_EVENT_MISSING: lambda b: b["commands"][0].update(id="another"),
    Rule.CODEC_MISSING: lambda b: b["payload_manifest"]["entries"][0].pop("codec"),
    Rule.PAYLOAD_MISSING: lambda b: b["payload_manifest"]["entries"][0].update(
        diagnostic="payload_missing"
    ),
    Rule.AVRO_FRAMING_MISSING: lambda b: b["payload_manifest"]["entries"][0].update(
        avro_framing=None
    ),
    Rule.WRITER_FINGERPRINT_MISMATCH: lambda b: b["payload_manifest"]["entries"][
        0
    ].update(writer_schema_fingerprint="sha256:00"),
    Rule.WRAPPER_FINGERPRINT_MISMATCH: lambda b: b["codec_schemas"]["avro"][
        "generic_wrapper"
    ].update(writer_schema_fingerprint="sha256:00"),
    Rule.WRAPPER_SCHEMA_DRIFT: _drifted,
    Rule.REDACTION_EMPTY_PATHS: lambda b: b["redaction"].update(applied=True),
}
# And of its block of integrity.
UNSEALED: Mapping[Rule, Change] = {
    Rule.INTEGRITY_MISSING: lambda b: b.pop("integrity"),
    Rule.CANONICALIZATION_UNSUPPORTED: lambda b: b["integrity"].pop("canonicalization"),
    Rule.CHECKSUM_ALGORITHM_UNSUPPORTED: lambda b: b["integrity"].update(
        checksum_algorithm="md5"
    ),
    Rule.CHECKSUM_MISSING: lambda b: b["integrity"].update(checksum=None),
    Rule.CANONICALIZATION_FAILED: lambda b: b["workflow"].update(memo=float("nan")),
    Rule.CHECKSUM_MISMATCH: lambda b: b["integrity"].update(checksum="é" * 32),
    Rule.SIGNATURE_ALGORITHM_UNSUPPORTED: lambda b: b["integrity"].update(
        signature="00"
    ),
    Rule.SIGNATURE_MISSING: lambda b: b["integrity"].update(
        signature_algorithm="hmac-sha256"
    ),
    Rule.SIGNATURE_KEY_UNAVAILABLE: lambda b: b["integrity"].update(
        signature_algorithm="hmac-sha256", signature="é"
    ),
}


def test_what_the_reference_wrote_is_fine() -> None:
    report = verify_text(RECORDED)
    document = report.as_document()
    integrity = recorded()["integrity"]
    assert document == {
        "schema": "durable-workflow.v2.history-bundle-verification",
        "schema_version": 1,
        "status": "ok",
        "bundle": {
            "schema": "durable-workflow.v2.history-export",
            "schema_version": 1,
            "instance_id": "hi-36160",
            "run_id": "01m7y6ksc89n4gevj4amb6fj1s",
            "workflow_instance_id": "hi-36160",
            "workflow_run_id": "01m7y6ksc89n4gevj4amb6fj1s",
            "history_event_count": 12,
        },
        "integrity": {
            "present": True,
            "canonicalization": "json-recursive-ksort-v1",
            "checksum_algorithm": "sha256",
            "expected_checksum": integrity["checksum"],
            "recomputed_checksum": integrity["checksum"],
            "checksum_matches": True,
            "signature_algorithm": None,
            "signature_present": False,
            "signature_verified": None,
            "key_id": None,
            "checksum": integrity["checksum"],
            "checksum_ok": True,
            "signature_ok": None,
            "signing_key_provided": False,
        },
        "findings": [],
        "summary": {
            "findings": 0,
            "errors": 0,
            "warnings": 0,
            "info": 0,
            "findings_by_rule": {},
        },
    }
    assert report.signature_verified is None
    # A key is not needed here, and does not harm.
    assert verify_bundle(recorded(), signing_key=KEY).status == "ok"


@pytest.mark.parametrize("rule", BROKEN)
def test_what_is_wrong_is_found(rule: Rule) -> None:
    bundle = recorded()
    BROKEN[rule](bundle)
    assert_only(rule, verify_bundle(sealed(bundle)))


@pytest.mark.parametrize("rule", UNSEALED)
def test_what_is_wrong_with_the_integrity_is_found(rule: Rule) -> None:
    bundle = recorded()
    UNSEALED[rule](bundle)
    assert_only(rule, verify_bundle(bundle))


def assert_only(rule: Rule, report: VerificationReport) -> None:
    assert rules(report) == [rule]
    [finding] = report.findings
    status = {"error": "failed", "warning": "warning", "info": "ok"}
    assert report.status == status[finding.severity]
    document = orjson.loads(orjson.dumps(report.as_document()))
    assert document["findings"] == [finding.as_document()]
    counts = {"errors": 0, "warnings": 0, "info": 0}
    counts[{"error": "errors", "warning": "warnings"}.get(finding.severity, "info")] = 1
    assert document["summary"] == {
        "findings": 1,
        **counts,
        "findings_by_rule": {rule.value: 1},
    }


def test_a_signature_of_another_key_is_found() -> None:
    signed = sealed(recorded(), SigningKey(KEY, "k-1"))
    assert verify_bundle(signed, signing_key=f" {KEY}\n").signature_verified is True
    for key, rule, verified in (
        ("another", Rule.SIGNATURE_MISMATCH, False),
        (" ", Rule.SIGNATURE_KEY_UNAVAILABLE, None),
        (None, Rule.SIGNATURE_KEY_UNAVAILABLE, None),
    ):
        report = verify_bundle(signed, signing_key=key)
        assert_only(rule, report)
        assert report.signature_verified is verified
        assert report.findings[0].context == {"key_id": "k-1"}
        # The key is nowhere in the report.
        assert not key or key == " " or key not in json.dumps(report.as_document())


def test_every_rule_is_tried() -> None:
    elsewhere = {Rule.UNPARSEABLE, Rule.SIGNATURE_MISMATCH}
    assert BROKEN.keys() | UNSEALED.keys() | elsewhere == set(Rule)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b'"bundle"',
        b"{",
        b'{"a": NaN}',
        b'{"a": 1, "a": 1}',
        b'{"a": [{"b": 1, "b": 2}]}',
        b'{"a": "\xff"}',
        rb'{"a": "\ud800"}',
        b"\xef\xbb\xbf{}",
        b'{"a": 1e999}',
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=range(14),
)
def test_what_is_no_bundle_at_all(raw: bytes) -> None:
    report = verify_text(raw)
    assert_only(Rule.UNPARSEABLE, report)
    assert report.as_document()["bundle"]["run_id"] is None


@pytest.mark.parametrize("depth", range(800, 1100, 20))
def test_a_deep_text_is_refused_or_looked_at(depth: int) -> None:
    raw = b'{"a":' * depth + b"1" + b"}" * depth
    assert verify_text(raw).status == "failed"


def test_findings_come_in_the_order_of_the_parts() -> None:
    bundle = recorded()
    for change in BROKEN.values():
        change(bundle)
    UNSEALED[Rule.CHECKSUM_MISMATCH](bundle)
    found = rules(verify_bundle(bundle))
    assert len(found) > 15
    parts = [rule.partition(".")[0] for rule in found]
    of_rules = [rule.partition(".")[0] for rule in Rule]
    assert list(dict.fromkeys(parts)) == list(dict.fromkeys(of_rules))


@pytest.mark.parametrize(
    ("settled", "is_warned"),
    [
        ({"status": "applied"}, True),
        ({"outcome": "rejected"}, True),
        ({"applied_at": "2026-01-01T00:00:00.000000Z"}, True),
        ({"rejected_at": "2026-01-01T00:00:00.000000Z"}, True),
        ({"status": "accepted", "outcome": "signal_received"}, False),
    ],
)
def test_which_commands_need_an_event(settled: Bundle, is_warned: bool) -> None:
    bundle = recorded()
    bundle["commands"] = [{"id": "another", **settled}]
    expected = [Rule.COMMAND_EVENT_MISSING] if is_warned else []
    assert rules(verify_bundle(sealed(bundle))) == expected


def test_gaps_of_a_history_are_allowed() -> None:
    bundle = recorded()
    del bundle["history_events"][4:6]
    assert verify_bundle(sealed(bundle)).status == "ok"


@pytest.mark.parametrize(
    ("schema", "is_right"), [(VALUE_SCHEMA, True), ('{"type":"long"}', False)]
)
def test_fingerprints_of_later_exporters(schema: str, is_right: bool) -> None:
    bundle = recorded()
    bundle["payload_manifest"]["entries"][0].update(
        writer_schema=schema,
        writer_schema_fingerprint=f"crc64-avro:{VALUE_FINGERPRINT.hex()}",
    )
    expected = [] if is_right else [Rule.WRITER_FINGERPRINT_MISMATCH]
    assert rules(verify_bundle(sealed(bundle))) == expected


def test_a_report_is_bounded() -> None:
    bundle = recorded()
    bundle["history_events"] += [1] * 1000
    bundle["workflow"]["instance_id"] = "x" * 10_000
    report = verify_bundle(sealed(bundle))
    assert rules(report) == [Rule.EVENT_INVALID] * MAX_OF_ONE_RULE
    assert report.count(Severity.ERROR) == 1000
    assert len(orjson.dumps(report.as_document())) < 50_000


@pytest.mark.parametrize(
    "value",
    [10**30, -(10**30), 1e300, "\ud800", "\x00", {"a": 1}, [1], True, "x" * 999],
)
def test_whatever_stands_in_a_bundle_can_be_reported(value: Any) -> None:
    bundle = recorded()
    bundle.update(schema=value, schema_version=value)
    for name in bundle["workflow"]:
        bundle["workflow"][name] = value
    for event in bundle["history_events"]:
        event["sequence"] = value
    bundle["integrity"].update(checksum=value, key_id=value, signature=value)
    for name in ("path", "codec", "writer_schema_fingerprint"):
        bundle["payload_manifest"]["entries"][0][name] = value
    report = verify_bundle(bundle, signing_key=KEY)
    assert report.status == "failed"
    orjson.dumps(report.as_document())


def test_a_deep_bundle_is_hashed() -> None:
    bundle, deep = recorded(), []
    for _ in range(10_000):
        deep = [deep]
    bundle["workflow"]["memo"] = deep
    assert verify_bundle(sealed(bundle)).status == "ok"


def test_numbers_are_hashed_as_they_were_read() -> None:
    bundle = recorded()
    bundle["workflow"]["memo"] = {
        "whole": 1.0,
        "tiny": 1.5e-9,
        "huge": 1e22,
        "long": 10**18,
        "beyond": 2**64 - 1,
        "text": "Grüße 😀 \x7f",
    }
    text = orjson.dumps(sealed(bundle))
    assert verify_text(text).status == "ok"
    pretty = orjson.dumps(sealed(bundle), option=orjson.OPT_INDENT_2)
    assert verify_text(pretty).status == "ok"
    assert rules(verify_text(text.replace(b'"whole":1.0', b'"whole":1'))) == [
        Rule.CHECKSUM_MISMATCH
    ]


def _scalars(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for name, member in members:
            yield from _scalars(member, (*path, name))
    else:
        yield path


def _replaced(path: tuple[Any, ...], other: Any) -> tuple[Bundle, Any]:
    """The recorded bundle with another value at a place, and the value before."""
    bundle = recorded()
    holder: Any = bundle
    for name in path[:-1]:
        holder = holder[name]
    was = holder[path[-1]]
    holder[path[-1]] = other
    return bundle, was


_SCALARS = [path for path in _scalars(recorded()) if path[0] != "integrity"]
_PLACES = sorted(
    {path[:n] for path in _scalars(recorded()) for n in (1, 2, 3, 4)}, key=str
)
_OTHERS = (
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(_SCALARS), _OTHERS)
def test_nothing_can_be_changed(path: tuple[Any, ...], other: Any) -> None:
    bundle, was = _replaced(path, other)
    is_same = type(was) is type(other) and was == other
    assert (verify_bundle(bundle).status == "ok") is is_same


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters()), inner, max_size=3)
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(_PLACES), _ANYTHING)
def test_whatever_is_put_in_does_no_harm(path: tuple[Any, ...], other: Any) -> None:
    bundle, _ = _replaced(path, other)
    orjson.dumps(verify_bundle(bundle, signing_key=KEY).as_document())
    orjson.dumps(verify_bundle(other).as_document())
