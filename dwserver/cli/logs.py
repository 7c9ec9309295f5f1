"""Where the logs of a command go: to standard error, as its settings say."""

from __future__ import annotations

from dwserver.config.settings import Settings
from dwserver.runtime.logging import LogFormat, configure_logging


def write_logs(settings: Settings, *, level: str | None = None) -> None:
    """From now on; to be called before the first line. ``level``: instead of that of
    the settings."""
    configure_logging(
        level=level or settings.logging.level,
        log_format=LogFormat(settings.logging.format),
    )
