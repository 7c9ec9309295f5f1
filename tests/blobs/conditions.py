"""What every driver does alike; each of them runs these."""

from __future__ import annotations

import hashlib

import pytest

from dwserver.blobs.api import BlobMissing, BlobStore, ForeignUri, object_key

DATA = b"AARbXQI=" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()
KEY = object_key("avro", SHA256)


async def stores_and_forgets(store: BlobStore) -> None:
    """A blob is there after its put, whatever is repeated, and gone after its
    delete."""
    uri = store.uri_of(KEY)
    assert uri.endswith(f"/avro/{SHA256[:2]}/{SHA256}")
    for _ in range(3):
        await store.put(KEY, DATA)
        assert await store.get(uri, size=len(DATA)) == DATA
    for _ in range(2):
        await store.delete(uri)
    with pytest.raises(BlobMissing):
        await store.get(uri, size=len(DATA))


async def refuses_other_sizes(store: BlobStore) -> None:
    await store.put(KEY, DATA)
    for size in (0, len(DATA) - 1, len(DATA) + 1):
        with pytest.raises(BlobMissing, match="size"):
            await store.get(store.uri_of(KEY), size=size)


async def refuses_foreign_uri(store: BlobStore, uri: str) -> None:
    for _ in range(2):
        with pytest.raises(ForeignUri):
            await store.get(uri, size=1)
        with pytest.raises(ForeignUri):
            await store.delete(uri)
