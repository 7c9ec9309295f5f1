"""Log lines: one JSON object each, no secrets, no payloads, levels, libraries."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from dwserver.runtime.logging import REDACTED_KEYS, LogFormat, configure_logging


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_line_is_a_json_object_with_event_level_time_and_bound_keys() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    logger = structlog.get_logger("server").bind(request_id="r1")
    logger.info("task_leased", task_id="t1", attempt=2)
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "task_leased",
        "level": "info",
        "logger": "server",
        "request_id": "r1",
        "task_id": "t1",
        "attempt": 2,
    }


@pytest.mark.parametrize(
    "key", [*sorted(REDACTED_KEYS), "Authorization", "worker_token", "db_password"]
)
def test_secret_and_payload_keys_are_dropped_at_any_depth(key: str) -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    structlog.get_logger().info(
        "request",
        **{key: "hunter2", "headers": {key: "hunter2", "kept": 1}},
        items=[{key: "hunter2"}, ({key: "hunter2"},)],
    )
    assert "hunter2" not in stream.getvalue()
    assert lines(stream)[0]["headers"] == {"kept": 1}


def test_keys_that_only_resemble_a_secret_are_kept() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    structlog.get_logger().info("poll", result_count=3, input_bytes=9, tokens=1)
    (line,) = lines(stream)
    assert (line["result_count"], line["input_bytes"], line["tokens"]) == (3, 9, 1)


def test_keys_of_libraries_are_redacted_and_formatted_alike() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    logging.getLogger("asyncpg").warning("retry %d", 2, extra={"token": "hunter2"})
    (line,) = lines(stream)
    assert (line["event"], line["logger"]) == ("retry 2", "asyncpg")
    assert "hunter2" not in stream.getvalue()


def test_context_of_the_request_reaches_lines_of_libraries() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    with structlog.contextvars.bound_contextvars(request_id="r9"):
        logging.getLogger("aiohttp.server").error("broken")
    assert lines(stream)[0]["request_id"] == "r9"


@pytest.mark.parametrize(
    ("level", "events"),
    [
        ("debug", ["d", "i", "w", "e"]),
        ("info", ["i", "w", "e"]),
        ("warning", ["w", "e"]),
        ("error", ["e"]),
    ],
)
def test_level_hides_what_is_less_severe(level: str, events: list[str]) -> None:
    stream = io.StringIO()
    configure_logging(level=level, stream=stream)
    for logger in (structlog.get_logger(), logging.getLogger("library")):
        logger.debug("d")
        logger.info("i")
        logger.warning("w")
        logger.error("e")
    assert [line["event"] for line in lines(stream)] == events * 2


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_exception_shows_its_traceback_without_local_variables(
    log_format: LogFormat,
) -> None:
    stream = io.StringIO()
    configure_logging(log_format=log_format, stream=stream)
    hidden = "".join(["hunt", "er2"])
    try:
        raise ValueError(len(hidden))
    except ValueError as error:
        structlog.get_logger().error("failed", exc_info=error)
    assert "ValueError: 7" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_value_that_json_cannot_hold_is_written_as_its_repr() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    structlog.get_logger().info("odd", value=range(3))
    assert lines(stream)[0]["value"] == "range(0, 3)"


def test_console_format_is_plain_text() -> None:
    stream = io.StringIO()
    configure_logging(log_format=LogFormat.CONSOLE, stream=stream)
    structlog.get_logger().info("started", port=8080, token="hunter2")
    assert "started" in stream.getvalue()
    assert "port=8080" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_configuring_again_does_not_write_lines_twice() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging(stream=first)
    configure_logging(stream=second)
    structlog.get_logger().info("once")
    assert first.getvalue() == ""
    assert len(lines(second)) == 1
