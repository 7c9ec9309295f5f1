"""The environment of the machine without what configures a server or a client."""

from __future__ import annotations

import os
from collections.abc import Mapping

SUBSTRATE_VARIABLE = "DW_TEST_SUBSTRATE"

# Prefixes that the server, its libraries or the official SDK read
# (``spec/topology-and-operations.md §9``): a developer's shell must not change what a
# test sees.
CONFIGURING_PREFIXES = (
    "DW_",
    "WORKFLOW_",
    "DURABLE_WORKFLOW_",
    "DB_",
    "REDIS_",
    "AWS_",
)
# A proxy for the outer world would swallow requests to the loopback interface.
CONFIGURING_NAMES = frozenset(
    {"SERVER_PORT", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"}
)


def is_configuring(name: str) -> bool:
    """Whether a variable would configure a server or a client under test."""
    if name == SUBSTRATE_VARIABLE:
        return False
    return name in CONFIGURING_NAMES or name.startswith(CONFIGURING_PREFIXES)


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A copy of this environment for a child process, with ``extra`` on top."""
    kept = {name: v for name, v in os.environ.items() if not is_configuring(name)}
    return {**kept, **(extra or {})}


def forget_configuration() -> None:
    """Remove configuring variables from this process."""
    for name in [name for name in os.environ if is_configuring(name)]:
        del os.environ[name]
