"""Fixtures: an S3 service of moto as a process of its own, and a fresh bucket in it.

It speaks S3 over HTTP and keeps objects in its memory; signatures are not checked.
"""

from __future__ import annotations

import itertools
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
import pytest

from dwserver.runtime import lifeline
from tests.support.ports import LOOPBACK, free_port
from tests.support.waiting import wait_until

START_SECONDS = 90.0
ANSWER_SECONDS = 10.0

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, seen through the vendor's own client. ``objects`` lists its keys."""

    name: str
    endpoint: str

    def read(self, key: str) -> bytes:
        found = _client(self.endpoint).get_object(Bucket=self.name, Key=key)
        body: bytes = found["Body"].read()
        return body

    def write(self, key: str, data: bytes) -> None:
        _client(self.endpoint).put_object(Bucket=self.name, Key=key, Body=data)

    def objects(self) -> list[str]:
        listed = _client(self.endpoint).list_objects_v2(Bucket=self.name)
        return [found["Key"] for found in listed.get("Contents", ())]


@cache
def _client(endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="of-the-tests",
        aws_secret_access_key="of-the-tests",
    )


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """URL of the session's S3 service."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    lifeline.tie(process.pid, signals=(signal.SIGKILL,))

    def answers() -> bool:
        assert process.poll() is None, f"moto ended with {process.returncode}"
        try:
            socket.create_connection((LOOPBACK, port), ANSWER_SECONDS).close()
        except OSError:
            return False
        return True

    try:
        wait_until(answers, deadline_seconds=START_SECONDS, what="the S3 service")
        yield f"http://{LOOPBACK}:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def bucket(s3_endpoint: str) -> Bucket:
    """An empty bucket of the test's own."""
    name = f"payloads-{next(_numbers)}"
    _client(s3_endpoint).create_bucket(Bucket=name)
    return Bucket(name, s3_endpoint)
