"""Log output: structlog to one stream, JSON or console, secrets and payloads dropped.

Lines of standard-library loggers (aiohttp, asyncpg, asyncio) pass the same
processors, so that a stream holds one format.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from enum import StrEnum
from typing import Any, TextIO

import orjson
import structlog
from structlog.types import EventDict, Processor, WrappedLogger

REDACTED_KEYS = frozenset(
    {
        "arguments",
        "authorization",
        "blob",
        "input",
        "password",
        "payload",
        "result",
        "secret",
        "signature",
        "token",
    }
)
"""Keys that never reach the output, at any depth, in any case of letters."""

_CREDENTIAL_SUFFIXES = tuple(
    f"_{word}" for word in ("authorization", "password", "secret", "signature", "token")
)

MAX_ID_LENGTH = 255

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

# Their info lines repeat what the server logs itself, or every request.
_QUIET_LOGGERS = ("aiohttp.access", "asyncio", "durable_workflow", "httpx")


class _ServerHandler(logging.StreamHandler[TextIO]):
    """The one handler that this module installs on the root logger."""


class LogFormat(StrEnum):
    """How a line is written."""

    JSON = "json"
    CONSOLE = "console"


def configure_logging(
    *,
    level: str = "info",
    log_format: LogFormat = LogFormat.JSON,
    stream: TextIO | None = None,
) -> None:
    """Send every log line of the process to `stream` (default: stderr).

    `level` is debug, info, warning or error. Call it once, before the first line:
    loggers keep the level that they were first used with.
    """
    threshold = _LEVELS[level]
    handler = _ServerHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared_processors(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(log_format),
            ],
        )
    )
    root = logging.getLogger()
    for previous in root.handlers[:]:
        if isinstance(previous, _ServerHandler):
            root.removeHandler(previous)
    root.addHandler(handler)
    root.setLevel(threshold)
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    structlog.configure(
        processors=[
            *_shared_processors(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def redact(
    _logger: WrappedLogger, _method: str, event_dict: EventDict
) -> MutableMapping[str, Any]:
    """Processor that drops keys which name a secret or a payload."""
    return {
        key: _redacted_value(value)
        for key, value in event_dict.items()
        if not is_redacted(key)
    }


def id_for_log(text: str) -> str:
    """An id as a client sent it, fit for a line: printable ASCII, not too long."""
    shown = text[:MAX_ID_LENGTH]
    if shown.isascii() and shown.isprintable():
        return shown
    return ascii(shown)[1:-1][:MAX_ID_LENGTH]


def is_redacted(key: str) -> bool:
    """True for a key whose value must not be logged."""
    word = key.lower()
    return word in REDACTED_KEYS or word.endswith(_CREDENTIAL_SUFFIXES)


def _redacted_value(value: object) -> object:
    match value:
        case Mapping():
            return {
                key: _redacted_value(inner)
                for key, inner in value.items()
                if not is_redacted(str(key))
            }
        case list() | tuple():
            return [_redacted_value(inner) for inner in value]
        case _:
            return value


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        redact,
    ]


def _renderers(log_format: LogFormat) -> list[Processor]:
    match log_format:
        case LogFormat.JSON:
            return [
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(serializer=_to_json),
            ]
        case LogFormat.CONSOLE:
            # The default traceback of this renderer prints local variables.
            plain = structlog.dev.plain_traceback
            return [
                structlog.dev.ConsoleRenderer(colors=False, exception_formatter=plain)
            ]


def _to_json(event_dict: Mapping[str, Any], **_: object) -> str:
    return orjson.dumps(
        event_dict, default=repr, option=orjson.OPT_NON_STR_KEYS
    ).decode()
