"""A node that cannot start says why in one line, and exits with 1."""

from __future__ import annotations

import socket
from collections.abc import Mapping

import pytest

from tests.cli.command import run
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import StartServer

PASSWORD = "hunter2secret"
TOKEN = "test-token"


def serve(env: Mapping[str, str]) -> str:
    """The complaint of a node that must not start."""
    return run(
        "serve",
        "--host",
        LOOPBACK,
        "--port",
        str(free_port()),
        env={"DW_AUTH_TOKEN": TOKEN, **env},
    ).complaint


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"DW_HTTP_PORT": "many"}, ["DW_HTTP_PORT", "many"]),
        (
            {"DW_WORKER_POLL_TIMEOUT": "soon", "DW_LOG_FORMAT": "colourful"},
            ["DW_WORKER_POLL_TIMEOUT", "DW_LOG_FORMAT"],
        ),
        ({"DW_DATABASE_URL": "oracle://host/db"}, ["DW_DATABASE_URL"]),
        ({"DW_WORKER_PROTOCOL_VERSION": "9.9"}, ["DW_WORKER_PROTOCOL_VERSION", "9.9"]),
        (
            {"DW_SERVER_TOPOLOGY_SHAPE": "split_control_execution"},
            ["PostgreSQL", "SQLite", "DW_DATABASE_URL"],
        ),
        ({"DW_SERVER_ID": "a\nb"}, ["DW_SERVER_ID", "control characters"]),
        ({"DW_SERVER_ID": "\udcff"}, ["DW_SERVER_ID", "UTF-8"]),
        (
            {"DW_INTERNAL_ADDRESS": "https://host:8080"},
            ["DW_INTERNAL_ADDRESS", "http:// address"],
        ),
        (
            {"DW_INTERNAL_ADDRESS": "http://name@host:8080"},
            ["DW_INTERNAL_ADDRESS", "without user"],
        ),
        (
            {"DW_ENV_AUDIT_STRICT": "true", "DW_HTTP_PROT": "80"},
            ["DW_ENV_AUDIT_STRICT", "env-audit"],
        ),
    ],
    ids=[
        "setting",
        "settings",
        "database",
        "version",
        "split shape",
        "name",
        "bytes",
        "scheme",
        "user",
        "audit",
    ],
)
def test_what_is_wrong_with_the_configuration(
    sqlite_url: str, env: Mapping[str, str], told: list[str]
) -> None:
    words = ["serve", "--host", LOOPBACK]
    if "DW_HTTP_PORT" not in env:
        words += ["--port", str(free_port())]
    configuration = {"DW_AUTH_TOKEN": TOKEN, "DW_DATABASE_URL": sqlite_url, **env}
    complaint = run(*words, env=configuration).complaint
    assert [word for word in told if word not in complaint] == []


def test_an_unknown_name_alone_keeps_nobody_from_starting(
    start_server: StartServer, sqlite_url: str
) -> None:
    server = start_server(sqlite_url, {"DW_HTTP_PROT": "80"})
    assert "DW_HTTP_PROT" in server.log_text()


def test_a_port_that_is_taken(sqlite_url: str) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        complaint = run(
            "serve",
            "--host",
            LOOPBACK,
            "--port",
            port,
            env={"DW_AUTH_TOKEN": TOKEN, "DW_DATABASE_URL": sqlite_url},
        ).complaint
    assert f"{LOOPBACK}:{port}" in complaint


def test_a_database_that_does_not_answer() -> None:
    url = f"postgresql://dw:{PASSWORD}@{LOOPBACK}:{free_port()}/dw"
    complaint = serve({"DW_DATABASE_URL": url})
    assert "database did not start" in complaint
    assert PASSWORD not in complaint


def test_a_database_that_refuses_the_password(postgres_url: str) -> None:
    scheme, _, rest = postgres_url.partition("://")
    address = rest.rpartition("@")[2]
    url = f"{scheme}://nobody:{PASSWORD}@{address}"
    complaint = serve({"DW_DATABASE_URL": url})
    assert PASSWORD not in complaint


def test_a_file_that_cannot_be_made() -> None:
    url = "sqlite:////nonexistent/folder/dw.sqlite"
    assert "/nonexistent/folder" in serve({"DW_DATABASE_URL": url})


def test_a_file_that_is_no_database(tmp_path: object) -> None:
    path = f"{tmp_path}/notes.txt"
    with open(path, "w", encoding="utf-8") as file:
        file.write("Not a database at all.\n" * 100)
    complaint = serve({"DW_DATABASE_URL": f"sqlite:///{path}"})
    assert "database did not start" in complaint


def test_a_second_process_on_one_sqlite_file(
    start_server: StartServer, sqlite_url: str
) -> None:
    first = start_server(sqlite_url)
    complaint = serve({"DW_DATABASE_URL": sqlite_url})
    assert "SQLite" in complaint
    assert first.ready_status() == 200


@pytest.mark.parametrize("words", [("cluster", "status"), ("scheduler", "status")])
def test_a_database_that_was_never_prepared(
    empty_postgres_url: str, words: tuple[str, str]
) -> None:
    complaint = run(*words, env={"DW_DATABASE_URL": empty_postgres_url}).complaint
    assert "dwserver bootstrap" in complaint


@pytest.mark.parametrize("command", ["bootstrap", "dev"])
def test_other_commands_complain_alike(command: str) -> None:
    url = f"postgresql://dw:{PASSWORD}@{LOOPBACK}:{free_port()}/dw"
    env = {"DW_DATABASE_URL": url, "DW_BOOTSTRAP_RETRIES": "1"}
    assert PASSWORD not in run(command, env=env).complaint


def test_bootstrap_tries_again_while_the_database_is_away() -> None:
    url = f"postgresql://dw:{PASSWORD}@{LOOPBACK}:{free_port()}/dw"
    env = {
        "DW_DATABASE_URL": url,
        "DW_BOOTSTRAP_RETRIES": "3",
        "DW_BOOTSTRAP_DELAY_SECONDS": "0",
    }
    ended = run("bootstrap", env=env)
    assert ended.complaint
    assert (ended.output + ended.errors).count("database_unreachable") == 2
