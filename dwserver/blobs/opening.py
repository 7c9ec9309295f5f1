"""From the policy of a namespace to its storage."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

from dwserver.blobs.api import BlobStore, Driver, DriverUnavailable, StoragePolicy
from dwserver.blobs.local import LocalBlobs
from dwserver.blobs.s3 import Bucket, Credentials, S3Blobs

MAX_OPEN: Final = 256
DEFAULT_PROFILE: Final = "default"

_Key: TypeAlias = tuple[str, Driver, tuple[tuple[str, object], ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageAccess:
    """What the operator of this node lets policies use.

    ``local_root``: directories of the local driver lie below it; None switches the
    driver off. ``endpoints``: services besides the public one. ``credentials`` by
    profile; without the one of the name ``default``, policies that name no profile use
    what the machine's surroundings offer.
    """

    local_root: Path | None
    endpoints: frozenset[str] = frozenset()
    credentials: Mapping[str, Credentials] = field(default_factory=dict)
    timeout_seconds: float


class BlobStores:
    """Storage by policy. Clients are kept, the least recently used goes first."""

    def __init__(self, access: StorageAccess) -> None:
        self._access = access
        self._open: OrderedDict[_Key, BlobStore] = OrderedDict()

    def open(self, namespace: str, policy: StoragePolicy) -> BlobStore:
        """Raises :class:`DriverUnavailable`; nothing is contacted."""
        key = (namespace, policy.driver, tuple(sorted(policy.config.items())))
        found = self._open.get(key)
        if found is None:
            found = self._open[key] = self._build(namespace, policy)
            while len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(key)
        return found

    def _build(self, namespace: str, policy: StoragePolicy) -> BlobStore:
        match policy.driver:
            case Driver.LOCAL:
                return LocalBlobs(
                    self._directory(namespace, policy.text("uri")),
                    timeout_seconds=self._access.timeout_seconds,
                )
            case Driver.S3:
                return S3Blobs(self._bucket(policy))
            case Driver.GCS | Driver.AZURE:
                raise DriverUnavailable(f"the {policy.driver} driver is not offered")

    def _directory(self, namespace: str, uri: str | None) -> Path:
        root = self._access.local_root
        if root is None:
            raise DriverUnavailable("the local driver is switched off on this node")
        root = Path(os.path.abspath(root))
        if uri is None:
            # A namespace may be named like a parent directory; with a word before it
            # the name is an ordinary one.
            return root / f"namespace-{namespace}"
        parts = urlsplit(uri)
        path = unquote(parts.path)
        if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
            raise DriverUnavailable("config.uri must be a file:// URI")
        if not path.startswith("/") or "\0" in path:
            raise DriverUnavailable("config.uri must name an absolute directory")
        directory = Path(os.path.abspath(path))
        if directory != root and root not in directory.parents:
            raise DriverUnavailable(
                "config.uri lies outside DW_EXTERNAL_STORAGE_LOCAL_ROOT of this node"
            )
        return directory

    def _bucket(self, policy: StoragePolicy) -> Bucket:
        name = policy.text("bucket")
        if name is None:
            raise DriverUnavailable("an object store needs config.bucket")
        endpoint = policy.text("endpoint")
        if endpoint is not None and endpoint.rstrip("/") not in self._access.endpoints:
            raise DriverUnavailable(
                "config.endpoint is not among DW_EXTERNAL_STORAGE_ENDPOINTS of this "
                "node"
            )
        return Bucket(
            name=name,
            prefix=policy.text("prefix") or "",
            region=policy.text("region"),
            endpoint=endpoint and endpoint.rstrip("/"),
            credentials=self._credentials(policy.text("auth_profile")),
            timeout_seconds=self._access.timeout_seconds,
        )

    def _credentials(self, profile: str | None) -> Credentials | None:
        found = self._access.credentials.get(profile or DEFAULT_PROFILE)
        if found is None and profile is not None:
            raise DriverUnavailable(
                "config.auth_profile is not among DW_EXTERNAL_STORAGE_CREDENTIALS of "
                "this node"
            )
        return found
