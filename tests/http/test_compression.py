"""Which responses are compressed, and how (``spec/control-plane-api.md`` §1.5)."""

from __future__ import annotations

import gzip
import zlib

import pytest

from dwserver.http.call import Call, Reply
from dwserver.http.compression import (
    MIN_BODY_BYTES,
    THREAD_BODY_BYTES,
    ContentCoding,
    choose_coding,
)
from dwserver.services.catalog import Services
from tests.http.harness import CONTROL, Answer, Node, serving, with_handler

GZIP, DEFLATE = ContentCoding.GZIP, ContentCoding.DEFLATE
PATH = "/api/schedules"


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("gzip", GZIP),
        ("deflate", DEFLATE),
        ("gzip, deflate, br", GZIP),
        ("deflate, gzip", GZIP),
        ("gzip;q=0.5, deflate;q=0.8", DEFLATE),
        ("gzip;q=0, deflate;q=0.5", DEFLATE),
        ("GZIP ; Q=1.0", GZIP),
        ("*", GZIP),
        ("*;q=0.1", GZIP),
        ("gzip;q=0, *", DEFLATE),
        ("gzip;q=0, *;q=0", None),
        ("identity", None),
        ("br, zstd", None),
        ("", None),
        ("gzip;q=high", None),
        ("gzip;q=2", None),
        ("gzip;q=nan", None),
        (",;,", None),
    ],
)
def test_coding_follows_the_header(header: str, coding: ContentCoding | None) -> None:
    assert choose_coding(header) is coding


async def fetch(
    body: bytes,
    accept: str | None,
    *,
    is_enabled: bool = True,
    headers: dict[str, str] | None = None,
) -> Answer:
    async def answer(_services: Services, _call: Call) -> Reply:
        return Reply(200, body, headers or {})

    node = Node(is_compression_enabled=is_enabled)
    sent = CONTROL if accept is None else CONTROL | {"Accept-Encoding": accept}
    routes = with_handler(f"GET {PATH}", answer)
    async with serving(node.pipeline(routes)) as client:
        return await client.send("GET", PATH, sent)


def body_of(size: int) -> bytes:
    return b'{"a":"%s"}' % (b"x" * (size - len(b'{"a":""}')))


async def test_gzip_body_is_read_by_gzip() -> None:
    body = body_of(5000)
    answer = await fetch(body, "gzip")
    assert gzip.decompress(answer.raw) == body
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert int(answer.headers["Content-Length"]) == len(answer.raw) < len(body)


async def test_deflate_body_is_a_raw_stream() -> None:
    body = body_of(5000)
    answer = await fetch(body, "deflate")
    assert answer.headers["Content-Encoding"] == "deflate"
    assert zlib.decompress(answer.raw, -zlib.MAX_WBITS) == body


async def test_large_body_is_compressed_whole() -> None:
    body = body_of(THREAD_BODY_BYTES + 1)
    answer = await fetch(body, "gzip")
    assert gzip.decompress(answer.raw) == body


@pytest.mark.parametrize(("size", "is_compressed"), [(-1, False), (0, True)])
async def test_threshold_is_on_the_body(size: int, is_compressed: bool) -> None:
    answer = await fetch(body_of(MIN_BODY_BYTES + size), "gzip")
    assert ("Content-Encoding" in answer.headers) is is_compressed


@pytest.mark.parametrize("accept", [None, "", "identity", "br"])
async def test_unwanted_compression_leaves_the_body_alone(accept: str | None) -> None:
    body = body_of(5000)
    answer = await fetch(body, accept)
    assert answer.raw == body
    assert "Vary" not in answer.headers


async def test_switched_off_compression_stays_off() -> None:
    answer = await fetch(body_of(5000), "gzip", is_enabled=False)
    assert "Content-Encoding" not in answer.headers


async def test_encoded_body_is_not_encoded_again() -> None:
    answer = await fetch(body_of(5000), "gzip", headers={"Content-Encoding": "br"})
    assert answer.headers["Content-Encoding"] == "br"
    assert len(answer.raw) == 5000
