"""What is logged and counted about every request."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final

import structlog
from multidict import istr

from dwserver.runtime.logging import id_for_log
from dwserver.runtime.metrics import Metrics

REQUEST_ID_HEADER: Final = istr("X-Request-Id")

# Visible ASCII: it goes back in a header and into log lines.
_ACCEPTED_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_STATUS_CLASSES: Final = ("0xx", "1xx", "2xx", "3xx", "4xx", "5xx")

_log = structlog.stdlib.get_logger(__name__)
# A line that is not wanted would cost as much as the metrics.
_is_debugging = logging.getLogger(__name__).isEnabledFor


class Observer:
    """Names requests, counts them, and writes one line about each: at debug level,
    as a warning when the server is at fault.

    ``label`` is the route's, or that of requests without a route; ``params`` are the
    values in the path, of which lines carry the ids.
    """

    def __init__(self, metrics: Metrics, next_id: Callable[[], str]) -> None:
        self._count = metrics.http_requests.inc
        self._observe_seconds = metrics.http_request_seconds.observe
        self._next_id = next_id
        # The variable that the log reads; setting it is all that binding does.
        self._bound_id = _context_variable("request_id")

    def begin(self, headers: Mapping[str, str]) -> str:
        """The request's id, the client's own if it can be shown; bound to the log."""
        request_id = headers.get(REQUEST_ID_HEADER)
        if request_id is None or not _ACCEPTED_ID.fullmatch(request_id):
            request_id = self._next_id()
        # The task of a request has a context of its own: nothing to unbind.
        self._bound_id.set(request_id)
        return request_id

    def rename(self, request_id: str) -> None:
        """The request got its id from the node that passed it on."""
        self._bound_id.set(request_id)

    def finish(
        self, label: str, status: int, seconds: float, *, params: Mapping[str, str]
    ) -> None:
        """The request has been answered."""
        status_class = _STATUS_CLASSES[status // 100]
        self._count(label, status_class)
        self._observe_seconds(label, status_class, value=seconds)
        is_fault = status >= 500
        if not is_fault and not _is_debugging(logging.DEBUG):
            return
        fields = {"status": status, "seconds": seconds, **_ids_in(params)}
        if is_fault:
            _log.warning("http_request", route=label, **fields)
        else:
            _log.debug("http_request", route=label, **fields)

    def failed(
        self, label: str, error: Exception, *, params: Mapping[str, str]
    ) -> None:
        """An exception that no handler meant to raise."""
        _log.error(
            "http_request_failed", route=label, exc_info=error, **_ids_in(params)
        )

    def backend_failed(
        self, label: str, error: Exception, *, params: Mapping[str, str]
    ) -> None:
        """The store could not do what the handler asked."""
        _log.warning(
            "backend_failed",
            route=label,
            error=type(error).__name__,
            detail=str(error),
            **_ids_in(params),
        )


def _ids_in(params: Mapping[str, str]) -> dict[str, str]:
    """``workflow_id``, ``run_id``, ``task_id`` and the like; the route table names
    them, clients do not."""
    return {
        name: id_for_log(value)
        for name, value in params.items()
        if name.endswith("_id")
    }


def _context_variable(key: str) -> ContextVar[Any]:
    """The variable behind a key of the log context."""
    tokens = structlog.contextvars.bind_contextvars(**{key: ""})
    structlog.contextvars.reset_contextvars(**tokens)
    return tokens[key].var
