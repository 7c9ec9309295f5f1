"""Blobs as files: whole or absent, and nothing outside the root is ever touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dwserver.blobs.api import BlobMissing, BlobUnavailable, ForeignUri
from dwserver.blobs.local import LocalBlobs
from tests.blobs import conditions
from tests.blobs.conditions import DATA, KEY


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "root", timeout_seconds=10)


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_blob_is_stored_and_forgotten(store: LocalBlobs) -> None:
    await conditions.stores_and_forgets(store)


async def test_a_blob_of_another_size_is_not_read(store: LocalBlobs) -> None:
    await conditions.refuses_other_sizes(store)


async def test_files_are_laid_out_by_their_key(
    store: LocalBlobs, tmp_path: Path
) -> None:
    await store.put(KEY, DATA)
    files = files_below(tmp_path / "root")
    assert files == [tmp_path / "root" / KEY]
    assert files[0].read_bytes() == DATA
    assert files[0].stat().st_mode & 0o077 == 0
    assert store.uri_of(KEY) == f"file://{tmp_path}/root/{KEY}"


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "file://{root}/../secret",
        "file://{root}/avro/../../secret",
        "file://{root}/%2e%2e/secret",
        "file://{root}/..%2fsecret",
        "file://{root}",
        "file://{root}/",
        "file://{root}-other/x",
        "file://elsewhere{root}/x",
        "file:{root}%00/x",
        "file://{root}/x?query",
        "file://{root}/x#fragment",
        "s3://bucket/x",
        "{root}/x",
        "x",
        "",
        "file://[",
        "file://{root}/%ff",
    ],
)
async def test_a_uri_outside_the_root_is_foreign(
    store: LocalBlobs, tmp_path: Path, uri: str
) -> None:
    (tmp_path / "secret").write_bytes(b"s")
    (tmp_path / "root").mkdir()
    await conditions.refuses_foreign_uri(
        store, uri.replace("{root}", f"{tmp_path}/root")
    )
    assert (tmp_path / "secret").exists()


async def test_a_link_out_of_the_root_is_foreign(
    store: LocalBlobs, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"s")
    (tmp_path / "root" / "avro").mkdir(parents=True)
    (tmp_path / "root" / "avro" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "root" / "up").symlink_to(tmp_path)
    for name in ("avro/link", "up/secret"):
        with pytest.raises(ForeignUri):
            await store.get(f"file://{tmp_path}/root/{name}", size=1)
    assert (tmp_path / "secret").exists()


async def test_what_is_no_file_is_missing(store: LocalBlobs, tmp_path: Path) -> None:
    (tmp_path / "root" / "directory").mkdir(parents=True)
    os.mkfifo(tmp_path / "root" / "pipe")
    (tmp_path / "root" / "file").write_bytes(b"f")
    for name in ("pipe", "directory", "nothing", "file/x", "x" * 5000):
        with pytest.raises(BlobMissing):
            await store.get(f"file://{tmp_path}/root/{name}", size=1)


async def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "root").write_bytes(b"a file")
    store = LocalBlobs(tmp_path / "root", timeout_seconds=10)
    with pytest.raises(BlobUnavailable, match="file system"):
        await store.put(KEY, DATA)


async def test_a_write_that_fails_leaves_nothing(
    store: LocalBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BlobUnavailable, match="No space left"):
        await store.put(KEY, DATA)
    assert files_below(tmp_path) == []
