"""Blobs in an S3-compatible service, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dwserver.blobs import s3
from dwserver.blobs.api import BlobUnavailable, DriverUnavailable
from dwserver.blobs.s3 import Credentials, S3Blobs
from tests.blobs import conditions
from tests.blobs.conditions import DATA, KEY
from tests.support.ports import LOOPBACK, free_port
from tests.support.s3_service import Bucket

KEYS = Credentials("AKIDEXAMPLE", "secret-of-the-test", "token-of-the-test")


def blobs(
    name: str = "payloads",
    endpoint: str = "http://127.0.0.1:1",
    *,
    prefix: str = "orders/",
    timeout_seconds: float = 10,
) -> S3Blobs:
    return S3Blobs(
        s3.Bucket(
            name=name,
            prefix=prefix,
            endpoint=endpoint,
            credentials=KEYS,
            timeout_seconds=timeout_seconds,
        )
    )


async def test_a_blob_is_stored_and_forgotten(bucket: Bucket) -> None:
    await conditions.stores_and_forgets(blobs(bucket.name, bucket.endpoint))


async def test_a_blob_of_another_size_is_not_read(bucket: Bucket) -> None:
    await conditions.refuses_other_sizes(blobs(bucket.name, bucket.endpoint))


@pytest.mark.parametrize(
    ("prefix", "before"),
    [
        ("", ""),
        ("orders/", "orders/"),
        ("/a/b/", "a/b/"),
        ("with space", "with%20space/"),
    ],
)
async def test_the_service_has_the_object_under_prefix_and_key(
    bucket: Bucket, prefix: str, before: str
) -> None:
    store = blobs(bucket.name, bucket.endpoint, prefix=prefix)
    await store.put(KEY, DATA)
    assert bucket.objects() == [f"{before}{KEY}"]
    assert store.uri_of(KEY) == f"s3://{bucket.name}/{before}{KEY}"
    assert await store.get(store.uri_of(KEY), size=len(DATA)) == DATA


@pytest.mark.parametrize(
    "uri",
    [
        "s3://payloads/other/x",
        "s3://payloads/ordersx",
        "s3://payloads/orders/../other/x",
        "s3://payloads/orders/./x",
        "s3://payloads/orders//x",
        "s3://payloads/orders/",
        "s3://payloads",
        "s3://elsewhere/orders/x",
        "s3://user@payloads/orders/x",
        "s3://payloads/orders/x?versionId=1",
        "s3://payloads/orders/x#y",
        "s3://payloads/orders/\n",
        "https://payloads/orders/x",
        "file:///orders/x",
        "s3://[",
        "",
    ],
)
async def test_a_uri_outside_bucket_and_prefix_is_foreign(uri: str) -> None:
    await conditions.refuses_foreign_uri(blobs(), uri)


async def test_a_bucket_that_does_not_exist_is_told(bucket: Bucket) -> None:
    store = blobs("nobody-made-it", bucket.endpoint)
    with pytest.raises(BlobUnavailable, match="bucket does not exist"):
        await store.put(KEY, DATA)


async def test_a_service_that_is_away_is_told_without_secrets() -> None:
    store = blobs(endpoint=f"http://{LOOPBACK}:{free_port()}", timeout_seconds=2)
    with pytest.raises(BlobUnavailable) as raised:
        await store.put(KEY, DATA)
    error: BaseException | None = raised.value
    assert error is not None
    assert "secret-of" not in str(error)
    assert error.__cause__ is None


@asynccontextmanager
async def silent_service() -> AsyncIterator[str]:
    """Takes connections and answers nothing."""
    held: list[asyncio.StreamWriter] = []

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(hold, LOOPBACK)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://{LOOPBACK}:{port}"
    finally:
        server.close()
        for writer in held:
            writer.close()


async def test_a_service_that_does_not_answer_is_given_up() -> None:
    async with silent_service() as endpoint:
        store = blobs(endpoint=endpoint, timeout_seconds=0.2)
        for work in (
            store.put(KEY, DATA),
            store.get(store.uri_of(KEY), size=1),
            store.delete(store.uri_of(KEY)),
        ):
            with pytest.raises(BlobUnavailable):
                await work


@pytest.mark.parametrize("name", ["", "b", "a/b", "-b", "b" * 256, "b\n", "b?x"])
def test_a_bucket_of_no_valid_name_is_refused(name: str) -> None:
    with pytest.raises(DriverUnavailable, match="bucket"):
        blobs(name)


@pytest.mark.parametrize("prefix", ["..", "a/../b", "a//b", "./a"])
def test_a_prefix_that_leads_elsewhere_is_refused(prefix: str) -> None:
    with pytest.raises(DriverUnavailable, match="prefix"):
        blobs(prefix=prefix)


def test_without_its_library_the_driver_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(s3, "IS_INSTALLED", False)
    with pytest.raises(DriverUnavailable, match=r"dwserver\[s3\]"):
        blobs()


def test_credentials_are_not_printed() -> None:
    assert "secret-of" not in repr(KEYS)
    assert "token-of" not in repr(KEYS)
