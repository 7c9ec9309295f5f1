"""Where the build comes from, for discovery
(``spec/topology-and-operations.md`` §1.2)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import structlog

from dwserver.config.groups import ServerSettings
from dwserver.protocol.json_types import JsonObject

_MEMBERS: Final = ("source", "ref", "commit")
_MOST_CHARACTERS: Final = 4096

_log = structlog.stdlib.get_logger(__name__)


def package_provenance(settings: ServerSettings) -> JsonObject | None:
    """The first lines of the file that the build has left; None when they are not to
    be shown, or are not there."""
    if not settings.expose_package_provenance:
        return None
    path = Path(settings.package_provenance_path)
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_MOST_CHARACTERS)
    except (OSError, UnicodeDecodeError) as error:
        _log.warning("package_provenance_unreadable", error=type(error).__name__)
        return None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) < len(_MEMBERS):
        _log.warning("package_provenance_incomplete", lines=len(lines))
        return None
    return dict(zip(_MEMBERS, lines, strict=False))
