"""Version headers: what is accepted and what is refused."""

from __future__ import annotations

import pytest

from dwserver.protocol.reasons import Reason
from dwserver.protocol.versions import (
    DEFAULT_WORKER_VERSION,
    FIRST_MINOR,
    NEWEST_WORKER_VERSION,
    OLDEST_WORKER_VERSION,
    SUPPORTED_WORKER_VERSIONS,
    Feature,
    VersionRefusal,
    WorkerVersion,
    check_control_plane_version,
    negotiate_worker_version,
)

V1_0 = WorkerVersion(1, 0)
V1_1 = WorkerVersion(1, 1)
V1_20 = WorkerVersion(1, 20)


def refused(requested: str | None, advertised: WorkerVersion) -> VersionRefusal:
    result = negotiate_worker_version(requested, advertised)
    assert isinstance(result, VersionRefusal)
    return result


def test_supported_range() -> None:
    assert [str(OLDEST_WORKER_VERSION), str(NEWEST_WORKER_VERSION)] == ["1.0", "1.20"]
    assert DEFAULT_WORKER_VERSION == V1_20
    assert list(SUPPORTED_WORKER_VERSIONS) == [f"1.{minor}" for minor in range(21)]


@pytest.mark.parametrize("requested", ["1.0", "1.1", "1.2", "1.13", "1.19", "1.20"])
def test_every_older_minor_is_accepted(requested: str) -> None:
    accepted = negotiate_worker_version(requested, V1_20)
    assert str(accepted) == requested


@pytest.mark.parametrize("minor", range(21))
def test_only_minors_up_to_the_advertised_one_pass(minor: int) -> None:
    advertised = WorkerVersion(1, minor)
    passed = [
        requested
        for requested in SUPPORTED_WORKER_VERSIONS
        if isinstance(negotiate_worker_version(requested, advertised), WorkerVersion)
    ]
    assert passed == [f"1.{older}" for older in range(minor + 1)]


def test_spaces_around_the_header_do_not_matter() -> None:
    assert negotiate_worker_version(" 1.1 ", V1_1) == V1_1


@pytest.mark.parametrize("requested", [None, "", "   "])
def test_absent_and_blank_headers_are_missing(requested: str | None) -> None:
    refusal = refused(requested, V1_0)
    assert refusal.reason is Reason.MISSING_PROTOCOL_VERSION
    assert refusal.requested is None


@pytest.mark.parametrize(
    "requested",
    ["0.9", "1", "1.1", "2.0", "1.13", "abc", "1.00", "01.0", "1.0.0", "-1"],
)
def test_everything_but_the_advertised_minor_is_unsupported_at_1_0(
    requested: str,
) -> None:
    refusal = refused(requested, V1_0)
    assert refusal.reason is Reason.UNSUPPORTED_PROTOCOL_VERSION
    assert refusal.fields() == {
        "reason": "unsupported_protocol_version",
        "supported_version": "1.0",
        "requested_version": requested,
        "remediation": refusal.remediation,
    }
    assert refusal.message
    assert requested in refusal.remediation


def test_a_minor_beyond_the_range_is_refused() -> None:
    assert refused("1.21", V1_20).reason is Reason.UNSUPPORTED_PROTOCOL_VERSION


def test_versions_order_by_number_and_not_by_text() -> None:
    assert WorkerVersion(1, 9) < WorkerVersion(1, 13) < WorkerVersion(2, 0)
    assert WorkerVersion.parse("1.13") == WorkerVersion(1, 13)
    assert WorkerVersion.parse("1.x") is None


def test_each_feature_begins_exactly_at_its_minor() -> None:
    assert set(FIRST_MINOR) == set(Feature)
    for feature, minor in FIRST_MINOR.items():
        assert WorkerVersion(1, minor).supports(feature)
        assert not WorkerVersion(1, minor - 1).supports(feature)


def test_framing_and_memo_features() -> None:
    assert FIRST_MINOR[Feature.VALUE_FRAMING] == 2
    assert FIRST_MINOR[Feature.UPSERT_MEMO] == 16
    assert max(FIRST_MINOR.values()) <= NEWEST_WORKER_VERSION.minor


@pytest.mark.parametrize("header", ["2", " 2 "])
def test_control_plane_version_2_passes(header: str) -> None:
    assert check_control_plane_version(header) is None


@pytest.mark.parametrize("header", [None, "", " "])
def test_missing_control_plane_version(header: str | None) -> None:
    refusal = check_control_plane_version(header)
    assert refusal is not None
    assert refusal.reason is Reason.MISSING_CONTROL_PLANE_VERSION
    assert refusal.fields()["requested_version"] is None
    assert refusal.message == "Missing control-plane version header."


@pytest.mark.parametrize("header", ["1", "3", "2.0", "999"])
def test_other_control_plane_versions(header: str) -> None:
    refusal = check_control_plane_version(header)
    assert refusal is not None
    assert refusal.reason is Reason.UNSUPPORTED_CONTROL_PLANE_VERSION
    assert (refusal.supported, refusal.requested) == ("2", header)
    assert refusal.message == "Unsupported control-plane version."
