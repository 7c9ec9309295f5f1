"""External payload storage of a process, from its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dwserver.blobs.opening import BlobStores, StorageAccess
from dwserver.blobs.s3 import Credentials
from dwserver.config.settings import Settings
from dwserver.roles.errors import BootError
from dwserver.runtime.metrics import Metrics
from dwserver.services.external_payloads import ExternalPayloads, TransferLimits
from dwserver.services.namespaces import Namespaces
from dwserver.services.storage_diagnosis import StorageDiagnosis


def build_external_payloads(
    settings: Settings, namespaces: Namespaces, metrics: Metrics
) -> tuple[ExternalPayloads, StorageDiagnosis]:
    """Payloads on their way, and the test of the storage that they share. Raises
    :class:`BootError` for credentials of another shape."""
    stores = BlobStores(storage_access(settings))
    payloads = ExternalPayloads(
        namespaces,
        open_store=stores.open,
        limits=TransferLimits(
            external=settings.storage.max_payload_bytes,
            inline=min(
                settings.storage.max_payload_bytes,
                settings.published_limits.max_payload_bytes,
            ),
        ),
        observe=metrics.external_transfers.inc,
    )
    return payloads, StorageDiagnosis(namespaces, open_store=stores.open)


def storage_access(settings: Settings) -> StorageAccess:
    """What policies may use on this node. Raises :class:`BootError`."""
    storage = settings.storage
    return StorageAccess(
        local_root=Path(storage.local_root),
        endpoints=frozenset(each.rstrip("/") for each in storage.endpoints),
        credentials={
            profile: _credentials(profile, keys)
            for profile, keys in storage.credentials.items()
        },
        timeout_seconds=storage.timeout_seconds,
    )


def _credentials(profile: str, keys: Any) -> Credentials:
    match keys:
        case {"access_key_id": str(key_id), "secret_access_key": str(secret), **rest}:
            token = rest.pop("session_token", None)
            if not rest and isinstance(token, str | None):
                return Credentials(key_id, secret, token)
    raise BootError(
        f"DW_EXTERNAL_STORAGE_CREDENTIALS: profile [{profile}] must hold the texts "
        "access_key_id and secret_access_key, and may hold session_token."
    )
