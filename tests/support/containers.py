"""PostgreSQL and Redis in containers, for machines that have Docker instead.

``python -m tests.support.containers`` fetches the images beforehand, so that no test
waits for a download.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support import probes
from tests.support.waiting import wait_until

POSTGRES_IMAGE = "postgres:16-alpine"
REDIS_IMAGE = "redis:7-alpine"
START_SECONDS = 60.0


def engine_answers() -> bool:
    """Whether a Docker engine answers; the client alone is not enough."""
    if shutil.which("docker") is None:
        return False
    try:
        answer = subprocess.run(
            ["docker", "info"], capture_output=True, timeout=20, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0


@contextmanager
def postgres_container() -> Iterator[str]:
    """Superuser DSN of a fresh PostgreSQL container."""
    from testcontainers.core.container import DockerContainer

    password = secrets.token_hex(16)
    container = (
        DockerContainer(POSTGRES_IMAGE)
        .with_env("POSTGRES_PASSWORD", password)
        .with_command("postgres -c max_connections=200")
        .with_exposed_ports(5432)
    )
    with container:
        address = (
            f"{container.get_container_host_ip()}:{container.get_exposed_port(5432)}"
        )
        dsn = f"postgresql://postgres:{password}@{address}/postgres"
        wait_until(
            lambda: probes.postgres_answers(dsn),
            deadline_seconds=START_SECONDS,
            what=f"start of {POSTGRES_IMAGE}",
        )
        yield dsn


@contextmanager
def redis_container() -> Iterator[str]:
    """URL of a fresh Redis container."""
    from testcontainers.core.container import DockerContainer

    container = DockerContainer(REDIS_IMAGE).with_exposed_ports(6379)
    with container:
        host = container.get_container_host_ip()
        port = int(container.get_exposed_port(6379))
        wait_until(
            lambda: probes.redis_answers(host, port),
            deadline_seconds=START_SECONDS,
            what=f"start of {REDIS_IMAGE}",
        )
        yield f"redis://{host}:{port}/0"


def fetch_images() -> None:
    for image in (POSTGRES_IMAGE, REDIS_IMAGE):
        subprocess.run(["docker", "pull", "--quiet", image], check=True)


if __name__ == "__main__":
    fetch_images()
