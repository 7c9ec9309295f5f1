"""From a policy to its storage: what a node lets policies use, and what it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dwserver.blobs.api import Driver, DriverUnavailable, StoragePolicy
from dwserver.blobs.opening import MAX_OPEN, BlobStores, StorageAccess
from dwserver.blobs.s3 import Credentials

ENDPOINT = "https://minio.internal:9000"


def stores(root: Path | None = Path("/var/payloads"), **fields: Any) -> BlobStores:
    values: dict[str, Any] = {
        "local_root": root,
        "endpoints": frozenset({ENDPOINT}),
        "timeout_seconds": 1.0,
        **fields,
    }
    return BlobStores(StorageAccess(**values))


def local(**config: str) -> StoragePolicy:
    return StoragePolicy(driver=Driver.LOCAL, config=config)


def s3(**config: str) -> StoragePolicy:
    return StoragePolicy(
        driver=Driver.S3, config={"bucket": "payloads", "endpoint": ENDPOINT, **config}
    )


@pytest.mark.parametrize(
    ("namespace", "config", "root"),
    [
        ("orders", {}, "/var/payloads/namespace-orders"),
        ("..", {}, "/var/payloads/namespace-.."),
        ("orders", {"uri": "file:///var/payloads"}, "/var/payloads"),
        ("orders", {"uri": "file:///var/payloads/a%20b/"}, "/var/payloads/a b"),
        ("orders", {"uri": "file://localhost/var/payloads/a"}, "/var/payloads/a"),
    ],
)
def test_local_directories_lie_below_the_root(
    namespace: str, config: dict[str, str], root: str
) -> None:
    store = stores().open(namespace, local(**config))
    assert store.uri_of("k") == Path(root, "k").as_uri()


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc",
        "file:///var/payloads/../other",
        "file:///var/payloads/%2e%2e/other",
        "file:///var/payloads-other",
        "file://host/var/payloads",
        "file:var/payloads",
        "file:///var/payloads/%00",
        "/var/payloads",
        "s3://payloads",
    ],
)
def test_local_directories_elsewhere_are_refused(uri: str) -> None:
    with pytest.raises(DriverUnavailable, match=r"config\.uri"):
        stores().open("orders", local(uri=uri))


def test_the_local_driver_can_be_off() -> None:
    with pytest.raises(DriverUnavailable, match="off"):
        stores(root=None).open("orders", local())


def test_an_object_store_of_the_policy() -> None:
    store = stores().open("orders", s3(prefix="p/", region="eu-1"))
    assert store.uri_of("k") == "s3://payloads/p/k"


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (StoragePolicy(driver=Driver.S3), "bucket"),
        (StoragePolicy(driver=Driver.S3, config={"disk": "s3"}), "bucket"),
        (s3(endpoint="http://169.254.169.254"), "ENDPOINTS"),
        (s3(auth_profile="nobody"), "CREDENTIALS"),
        (s3(prefix="../x"), "prefix"),
        (StoragePolicy(driver=Driver.GCS, config={"bucket": "b"}), "gcs"),
        (StoragePolicy(driver=Driver.AZURE, config={"bucket": "b"}), "azure"),
    ],
)
def test_what_the_node_does_not_allow_is_refused(
    policy: StoragePolicy, told: str
) -> None:
    with pytest.raises(DriverUnavailable, match=told):
        stores().open("orders", policy)


def test_a_profile_is_found_by_its_name() -> None:
    known = stores(credentials={"mine": Credentials("id", "secret")})
    known.open("orders", s3(auth_profile="mine"))


def test_clients_are_kept_by_namespace_and_policy_within_a_bound() -> None:
    opened = stores()
    first = opened.open("n0", local())
    assert opened.open("n0", local()) is first
    assert opened.open("n0", local(uri="file:///var/payloads/x")) is not first
    for number in range(MAX_OPEN + 1):
        opened.open(f"n{number}", local())
    assert opened.open("n0", local()) is not first


@pytest.mark.parametrize(
    "policy",
    [
        StoragePolicy(driver=Driver.S3),
        StoragePolicy(driver=Driver.LOCAL, is_enabled=False, threshold_bytes=1),
        s3(prefix="p"),
    ],
)
def test_a_policy_comes_back_from_what_is_stored(policy: StoragePolicy) -> None:
    assert StoragePolicy.of(policy.as_json()) == policy
