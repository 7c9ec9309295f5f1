"""The head of an answer on the wire, for the versions and wishes of its request."""

from __future__ import annotations

import asyncio
from email.utils import parsedate_to_datetime

import pytest

from dwserver.http.answer import header_lines
from tests.http.harness import CONTROL, HOST, ROUTES, Node, serving


def request(version: str, *extra: str) -> bytes:
    sent = [f"{name}: {value}" for name, value in CONTROL.items()]
    lines = [f"GET /api/schedules HTTP/{version}", f"Host: {HOST}", *sent, *extra]
    return "\r\n".join((*lines, "", "")).encode()


async def read_answer(reader: asyncio.StreamReader) -> tuple[dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status, *lines = head.split("\r\n")[:-2]
    assert status == "HTTP/1.1 200 OK"
    fields = dict(line.split(": ", 1) for line in lines)
    assert len(fields) == len(lines)
    return fields, await reader.readexactly(int(fields["Content-Length"]))


@pytest.mark.parametrize(
    ("version", "wish", "connection", "is_closed"),
    [
        ("1.1", (), None, False),
        ("1.1", ("Connection: close",), "close", True),
        ("1.0", (), None, True),
        ("1.0", ("Connection: keep-alive",), "keep-alive", False),
    ],
)
async def test_connection_stays_open_as_the_head_says(
    version: str, wish: tuple[str, ...], connection: str | None, is_closed: bool
) -> None:
    async with serving(Node().pipeline(ROUTES)) as client:
        reader, writer = await asyncio.open_connection(HOST, client.port)
        try:
            writer.write(request(version, *wish))
            fields, body = await read_answer(reader)
            assert fields.get("Connection") == connection
            assert body
            if is_closed:
                assert await reader.read() == b""
            else:
                writer.write(request(version, *wish))
                assert await read_answer(reader) is not None
        finally:
            writer.close()
            await writer.wait_closed()


async def test_head_has_the_date_once() -> None:
    async with serving(Node().pipeline(ROUTES)) as client:
        answer = await client.send("GET", "/api/schedules", CONTROL)
    assert parsedate_to_datetime(answer.headers["Date"]).tzinfo is not None


@pytest.mark.parametrize("value", ["a\r\nX-Other: 1", "a\nb", "a\0b", "a\x7f"])
def test_value_that_would_end_its_line_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        header_lines({"X-Note": value})
