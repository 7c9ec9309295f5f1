"""Blobs as objects of an S3-compatible service, through the client library ``obstore``
(extra ``s3``)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

from dwserver.blobs.api import (
    BlobMissing,
    BlobUnavailable,
    DriverUnavailable,
    ForeignUri,
)

try:
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import S3Store
except ImportError:
    IS_INSTALLED = False
else:
    IS_INSTALLED = True

Result = TypeVar("Result")

SCHEME: Final = "s3"
DEFAULT_REGION: Final = "us-east-1"
MAX_RETRIES: Final = 2

_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_KEY: Final = re.compile(r"[A-Za-z0-9._~%/-]+")
_UNSAFE_SEGMENTS: Final = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True)
class Credentials:
    """Keys of a service account."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Where the objects are. ``endpoint`` None is the public service, ``credentials``
    None what the machine's surroundings offer."""

    name: str
    prefix: str = ""
    region: str | None = None
    endpoint: str | None = None
    credentials: Credentials | None = None
    timeout_seconds: float


class S3Blobs:
    """Raises :class:`DriverUnavailable` for a bucket that cannot be used."""

    def __init__(self, bucket: Bucket) -> None:
        if not IS_INSTALLED:
            raise DriverUnavailable(
                "the s3 driver needs the extra dwserver[s3], which is not installed"
            )
        if not _BUCKET.fullmatch(bucket.name):
            raise DriverUnavailable("the name of the bucket is not valid")
        self._bucket = bucket.name
        self._prefix = _clean_prefix(bucket.prefix)
        self._timeout_seconds = bucket.timeout_seconds
        self._store = _store(bucket)

    def uri_of(self, key: str) -> str:
        return f"{SCHEME}://{self._bucket}/{self._prefix}{key}"

    async def put(self, key: str, data: bytes) -> None:
        try:
            await self._run(obstore.put_async(self._store, self._prefix + key, data))
        except FileNotFoundError:
            raise BlobUnavailable("the bucket does not exist") from None

    async def get(self, uri: str, *, size: int) -> bytes:
        key = self._key_of(uri)
        try:
            return await self._run(self._read(key, size))
        except FileNotFoundError:
            raise BlobMissing("there is no such object") from None

    async def delete(self, uri: str) -> None:
        await self._run(obstore.delete_async(self._store, self._key_of(uri)))

    async def _read(self, key: str, size: int) -> bytes:
        found = await obstore.get_async(self._store, key)
        if found.meta["size"] != size:
            raise BlobMissing("the object is of another size")
        return bytes(await found.bytes_async())

    async def _run(self, work: Awaitable[Result]) -> Result:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await work
        except TimeoutError:
            raise BlobUnavailable("the storage service took too long") from None
        except (BaseError, PermissionError) as error:
            # Its text may quote the signed request.
            kind = type(error).__name__
            raise BlobUnavailable(f"the storage service refused: {kind}") from None

    def _key_of(self, uri: str) -> str:
        try:
            parts = urlsplit(uri)
        except ValueError:
            raise ForeignUri("the URI cannot be read") from None
        key = parts.path.removeprefix("/")
        if parts.query or parts.fragment or not _KEY.fullmatch(key):
            raise ForeignUri("the URI is not of an object")
        if parts.scheme != SCHEME or parts.netloc != self._bucket:
            raise ForeignUri("the URI is of another bucket")
        if not key.startswith(self._prefix) or not _is_safe(key):
            raise ForeignUri("the URI lies outside the storage prefix")
        return key


def _clean_prefix(prefix: str) -> str:
    """The prefix as it stands in keys: empty, or escaped and ending in a slash."""
    text = prefix.strip("/")
    if not text:
        return ""
    if not _is_safe(text):
        raise DriverUnavailable("the prefix has an empty or a dotted segment")
    return "/".join(quote(part, safe="-_.~") for part in text.split("/")) + "/"


def _is_safe(key: str) -> bool:
    return _UNSAFE_SEGMENTS.isdisjoint(key.split("/"))


def _store(bucket: Bucket) -> S3Store:
    limit = timedelta(seconds=bucket.timeout_seconds)
    options: dict[str, Any] = {
        "region": bucket.region or DEFAULT_REGION,
        **_endpoint_options(bucket.endpoint),
        **_credential_options(bucket.credentials),
    }
    try:
        return S3Store(
            bucket.name,
            client_options={
                "allow_http": (bucket.endpoint or "").startswith("http://"),
                "timeout": limit,
                "connect_timeout": limit,
            },
            retry_config={"max_retries": MAX_RETRIES, "retry_timeout": limit},
            **options,
        )
    except (BaseError, ValueError):
        raise DriverUnavailable(
            "region, endpoint or credentials cannot be used"
        ) from None


def _endpoint_options(endpoint: str | None) -> Mapping[str, Any]:
    if endpoint is None:
        return {}
    # Services other than the public one are addressed by path.
    return {"endpoint": endpoint, "virtual_hosted_style_request": False}


def _credential_options(credentials: Credentials | None) -> Mapping[str, Any]:
    if credentials is None:
        return {}
    options = {
        "access_key_id": credentials.access_key_id,
        "secret_access_key": credentials.secret_access_key,
    }
    if credentials.session_token:
        options["session_token"] = credentials.session_token
    return options
