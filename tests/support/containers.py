"""PostgreSQL and Redis in containers, for machines that have Docker instead.

``python -m tests.support.containers`` fetches the images beforehand, so that no test
waits for a download.
"""

from __future__ import annotations

import secrets
import shlex
import shutil
import subprocess
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tests.support import probes
from tests.support.ports import LOOPBACK, free_port
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from docker.errors import APIError
    from docker.models.containers import Container
    from testcontainers.core.container import DockerContainer

POSTGRES_IMAGE = "postgres:16-alpine"
POSTGRES_PORT = 5432
POSTGRES_COMMAND = "postgres -c max_connections=200"
# The image lets no other host replicate.
ALLOW_REPLICATION = (
    'echo "host replication all all scram-sha-256" >> "$PGDATA/pg_hba.conf"'
    ' && kill -HUP "$(head -n 1 "$PGDATA/postmaster.pid")"'
)
REDIS_IMAGE = "redis:7-alpine"
REDIS_PORT = 6379
START_ATTEMPTS = 3
START_SECONDS = 60.0
STOP_SECONDS = 20

# What engines say about a port of the host that somebody listens on.
TAKEN = ("port is already allocated", "address already in use")


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


class PostgresContainer:
    """A PostgreSQL container; a context manager.

    ``start`` after ``stop`` or ``crash`` runs it again on the same data. The port is
    bound by number, because the engine would choose another one at every start.
    """

    def __init__(self) -> None:
        self._password = secrets.token_hex(16)
        self._container: DockerContainer | None = None
        self._address = ""

    def __enter__(self) -> Self:
        try:
            self._create()
        except BaseException:
            self.dispose()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.dispose()

    @property
    def admin_dsn(self) -> str:
        """Superuser on the maintenance database."""
        return f"postgresql://postgres:{self._password}@{self._address}/postgres"

    def start(self) -> None:
        """Run it again and wait until it answers."""
        self._wrapped().start()
        self._wait_for_answer()

    def stop(self) -> None:
        """Orderly shutdown by the signal that the image names (SIGINT, "fast");
        nothing when it does not run."""
        self._wrapped().stop(timeout=STOP_SECONDS)

    def crash(self) -> None:
        """End it at once, without a chance to write anything more."""
        self._wrapped().kill()
        self._wrapped().wait(timeout=STOP_SECONDS)

    def standby(self) -> PostgresContainer:
        """Another container that follows this one, over the network of the engine."""
        allowed = self._wrapped().exec_run(
            ["sh", "-c", ALLOW_REPLICATION], user="postgres"
        )
        assert allowed.exit_code == 0, allowed.output
        return _StandbyContainer(self)

    def dispose(self) -> None:
        """Stop it and delete it with its data."""
        container, self._container = self._container, None
        if container is not None:
            container.stop()

    def _create(self) -> None:
        from docker.errors import APIError
        from testcontainers.core.container import DockerContainer

        for attempt in range(START_ATTEMPTS):
            container = DockerContainer(POSTGRES_IMAGE).with_bind_ports(
                POSTGRES_PORT, free_port()
            )
            self._configure(container)
            self._container = container
            try:
                container.start()
                break
            except APIError as error:
                self.dispose()
                if attempt == START_ATTEMPTS - 1 or not _port_was_taken(error):
                    raise
        host = container.get_container_host_ip()
        self._address = f"{host}:{container.get_exposed_port(POSTGRES_PORT)}"
        self._wait_for_answer()

    def _configure(self, container: DockerContainer) -> None:
        container.with_env("POSTGRES_PASSWORD", self._password)
        container.with_command(POSTGRES_COMMAND)

    def _wrapped(self) -> Container:
        """The container as the engine's own client knows it."""
        assert self._container is not None, "the container was never started"
        return self._container.get_wrapped_container()

    def _wait_for_answer(self) -> None:
        wait_until(
            lambda: probes.postgres_answers(self.admin_dsn),
            deadline_seconds=START_SECONDS,
            what=f"start of {POSTGRES_IMAGE}",
        )


class _StandbyContainer(PostgresContainer):
    """Begins as a copy of its primary, with its accounts, and follows it. Started again
    it goes on with the data that it has."""

    def __init__(self, primary: PostgresContainer) -> None:
        super().__init__()
        self._password = primary._password
        primary._wrapped().reload()
        networks = primary._wrapped().attrs["NetworkSettings"]["Networks"]
        host = next(iter(networks.values()))["IPAddress"]
        self._primary = f"host={host} user=postgres password={self._password}"

    def _configure(self, container: DockerContainer) -> None:
        copy = (
            f'pg_basebackup --dbname="{self._primary}" --pgdata="$PGDATA"'
            " --write-recovery-conf --wal-method=stream --checkpoint=fast"
        )
        have_copy = f'[ -s "$PGDATA/PG_VERSION" ] || {copy}'
        run = f'{have_copy} && chmod 700 "$PGDATA" && exec {POSTGRES_COMMAND}'
        container.with_kwargs(user="postgres")
        # The engine's client splits a text into words, and leaves a list alone.
        container.with_command(["sh", "-c", run])


def _port_was_taken(error: APIError) -> bool:
    text = str(error).lower()
    return any(words in text for words in TAKEN)


class RedisContainer:
    """A Redis container that keeps nothing on disk; a context manager. Its port is
    bound by number, as that of PostgreSQL."""

    def __init__(self) -> None:
        self._container: DockerContainer | None = None
        self._place = ("", 0)

    def __enter__(self) -> Self:
        self._container = self._create()
        self._wait_for_answer()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running().stop()

    @property
    def url(self) -> str:
        host, port = self._place
        return f"redis://{host}:{port}/0"

    @property
    def port(self) -> int:
        return self._place[1]

    def start(self) -> None:
        """Run it again and wait until it answers."""
        self._running().get_wrapped_container().start()
        self._wait_for_answer()

    def crash(self) -> None:
        """End it at once."""
        wrapped = self._running().get_wrapped_container()
        wrapped.kill()
        wrapped.wait(timeout=STOP_SECONDS)

    def suspend(self) -> None:
        """Connections stay, nothing is answered."""
        self._running().get_wrapped_container().pause()

    def resume(self) -> None:
        self._running().get_wrapped_container().unpause()

    def stop(self) -> None:
        """Orderly shutdown."""
        self._running().get_wrapped_container().stop(timeout=STOP_SECONDS)

    def _create(self) -> DockerContainer:
        from testcontainers.core.container import DockerContainer

        container = DockerContainer(REDIS_IMAGE)
        container.with_command("redis-server --save '' --appendonly no")
        container.with_bind_ports(REDIS_PORT, free_port())
        container.start()
        host = container.get_container_host_ip()
        self._place = (host, int(container.get_exposed_port(REDIS_PORT)))
        return container

    def _running(self) -> DockerContainer:
        assert self._container is not None, "the container was never started"
        return self._container

    def _wait_for_answer(self) -> None:
        wait_until(
            lambda: probes.redis_answers(*self._place),
            deadline_seconds=START_SECONDS,
            what=f"start of {REDIS_IMAGE}",
        )


class HostRedisContainer(RedisContainer):
    """A Redis in the network of the machine, so that it is found where it says it is,
    by its peers and by clients. ``configuration``: lines of a file, of which ``{port}``
    is filled in; ``words`` follow the file."""

    def __init__(self, configuration: str, *words: str) -> None:
        super().__init__()
        port = free_port()
        self._place = (LOOPBACK, port)
        self._configuration = configuration.format(port=port)
        self._words = words

    def _create(self) -> DockerContainer:
        from testcontainers.core.container import DockerContainer

        path = "/tmp/node.conf"
        run = shlex.join(["exec", "redis-server", path, *self._words])
        script = f"printf %s {shlex.quote(self._configuration)} > {path} && {run}"
        container = DockerContainer(REDIS_IMAGE, network_mode="host")
        container.with_command(["sh", "-c", script])
        container.start()
        return container


def fetch_images() -> None:
    for image in (POSTGRES_IMAGE, REDIS_IMAGE):
        subprocess.run(["docker", "pull", "--quiet", image], check=True)


if __name__ == "__main__":
    fetch_images()
