"""What the drivers of external payload storage have in common.

A blob is named by a key that its own bytes decide (:func:`object_key`), so that a
repeated ``put`` changes nothing. References name it by URI; a driver reads only URIs
under the root or prefix of its policy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, Self

from dwserver.engine.model import JsonMap


class Driver(StrEnum):
    """Drivers that a policy may name; not all of them can be used here."""

    LOCAL = "local"
    S3 = "s3"
    GCS = "gcs"
    AZURE = "azure"


class BlobError(Exception):
    """Storage did not do what it was asked for. The text may be shown to operators and
    written to the log: it holds no secret and no payload."""


class DriverUnavailable(BlobError):
    """The policy cannot be used on this node."""


class BlobUnavailable(BlobError):
    """Storage cannot be reached, refuses, or took too long: try again later."""


class BlobMissing(BlobError):
    """There is no such blob, or it is not of the expected size."""


class ForeignUri(BlobError):
    """The URI lies outside the storage of the policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoragePolicy:
    """Where a namespace keeps large payloads (§6); sizes in bytes."""

    driver: Driver
    is_enabled: bool = True
    threshold_bytes: int | None = None
    config: JsonMap = field(default_factory=dict)

    @classmethod
    def of(cls, stored: JsonMap) -> Self:
        """Read what :meth:`as_json` gave."""
        threshold, config = stored.get("threshold_bytes"), stored.get("config")
        return cls(
            driver=Driver(str(stored["driver"])),
            is_enabled=stored.get("enabled") is not False,
            threshold_bytes=threshold if isinstance(threshold, int) else None,
            config=config if isinstance(config, dict) else {},
        )

    def as_json(self) -> JsonMap:
        """The form that is stored and shown; what is not set is left out."""
        shown: dict[str, object] = {
            "driver": self.driver.value,
            "enabled": self.is_enabled,
        }
        if self.threshold_bytes is not None:
            shown["threshold_bytes"] = self.threshold_bytes
        if self.config:
            shown["config"] = dict(self.config)
        return shown

    def text(self, name: str) -> str | None:
        """A member of ``config``."""
        value = self.config.get(name)
        return value if isinstance(value, str) and value else None


class BlobStore(Protocol):
    """Storage of one policy. Methods raise :class:`BlobError`."""

    def uri_of(self, key: str) -> str: ...

    async def put(self, key: str, data: bytes) -> None: ...

    async def get(self, uri: str, *, size: int) -> bytes:
        """Exactly ``size`` bytes; of a blob of another size none are read."""
        ...

    async def delete(self, uri: str) -> None:
        """Repeating it is no fault."""
        ...


def object_key(segment: str, sha256: str) -> str:
    """Key below root or prefix; ``segment`` is the codec, ``sha256`` lower-case hex.
    Clients lay out their own blobs in the same way."""
    return f"{segment}/{sha256[:2]}/{sha256}"
