"""Start-up failures as one clear line on standard error, with exit status 1."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dwserver.cli.local_cluster.errors import LocalClusterError
from dwserver.cli.remote import RemoteError
from dwserver.config.errors import ConfigurationError
from dwserver.http.call import Refusal
from dwserver.roles.errors import BootError
from dwserver.runtime.supervisor import ServiceStartError
from dwserver.store.api import StoreError

EXPECTED = (
    ConfigurationError,
    BootError,
    ServiceStartError,
    StoreError,
    LocalClusterError,
    RemoteError,
    Refusal,
    OSError,
)


@contextmanager
def reported() -> Iterator[None]:
    """Turn the failures that an operator can mend into a message; others are bugs."""
    try:
        yield
    except EXPECTED as error:
        sys.stderr.write(f"dwserver: {error}\n")
        raise SystemExit(1) from None
