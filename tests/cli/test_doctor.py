"""``dwserver doctor``: what it finds, what it exits with, what it never shows."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import orjson
import pytest

from dwserver.topology.identity import NodeIdentity
from dwserver.topology.manifest import topology_manifest
from dwserver.topology.shapes import ProcessClass, Shape
from tests.cli.command import Ended, run
from tests.store.raw_sql import execute
from tests.support.json_http import operator
from tests.support.ports import LOOPBACK, free_port
from tests.support.probes import run_in_thread
from tests.support.processes import TEST_TOKEN, StartServer

PASSWORD = "hunter2secret"
ONE_PROCESS = "sqlite_concurrency_note"


def examined(url: str, *words: str, **env: str) -> Ended:
    ended = run("doctor", *words, env={"DW_DATABASE_URL": url, **env})
    assert PASSWORD not in ended.output + ended.errors
    assert "Traceback" not in ended.errors
    return ended


def report_of(ended: Ended, *, status: int = 0) -> Any:
    assert ended.status == status, ended
    (line,) = ended.output.splitlines()
    return orjson.loads(line)


def codes(report: Any) -> dict[str, str]:
    """Severity by code."""
    return {issue["code"]: issue["severity"] for issue in report["issues"]}


def test_a_database_in_order(postgres_url: str, redis_url: str) -> None:
    ended = examined(postgres_url, "--json", "--strict", DW_REDIS_URL=redis_url)
    report = report_of(ended)
    assert (report["supported"], report["severity"]) == (True, "ok")
    assert report["issues"] == []
    assert report["database"]["driver"] == "pgsql"
    assert report["cache"]["store"] == "redis"
    node = NodeIdentity(
        shape=Shape.STANDALONE_SERVER, process_class=ProcessClass.SERVER_HTTP_NODE
    )
    assert report["topology"] == topology_manifest(node)
    assert report["matching_role"] == report["topology"]["matching_role"]
    lines = examined(postgres_url, DW_REDIS_URL=redis_url).output.splitlines()
    shown = [line.split(" at ")[0] for line in lines]
    assert shown[:4] == [
        "[OK] database: pgsql/pgsql",
        "[OK] queue: database/database",
        "[OK] cache: redis/redis",
        "[OK] codec: avro",
    ]
    assert shown[4].startswith("[INFO] topology: standalone_server/server_http_node (")
    assert shown[5].startswith("[INFO] matching_role: in_worker ")
    assert shown[6:] == ["nothing that keeps a node from working was found"]
    assert "@" not in lines[0]


def test_it_says_what_a_server_says(sqlite_url: str, start_server: StartServer) -> None:
    server = start_server(sqlite_url)
    client = operator(server.base_url, TEST_TOKEN)
    path = "/api/system/operator-metrics"
    backend = client.request("GET", path).expect(200)["operator_metrics"]["backend"]
    # The file is served meanwhile.
    report = report_of(examined(sqlite_url, "--json", "--strict"))
    for each in (report, backend):
        del each["generated_at"]
    assert {name: report[name] for name in backend} == backend
    assert codes(report) == {ONE_PROCESS: "info"}


def test_before_the_bootstrap(empty_store_url: str) -> None:
    report = report_of(examined(empty_store_url, "--json"))
    found = set(codes(report)) - {ONE_PROCESS}
    assert found < {"database_missing", "migrations_pending"}
    assert report["database"]["supported"] is False
    strict = examined(empty_store_url, "--strict")
    assert strict.status == 1
    assert strict.output.startswith("[FAIL] database: ")
    assert "dwserver bootstrap" in strict.output


def test_a_schema_that_is_not_ours(sqlite_url: str) -> None:
    for statement in (
        "insert into schema_migrations values ('9999_pre_later', 0)",
        "delete from namespaces",
    ):
        run_in_thread(execute(sqlite_url, statement))
    report = report_of(examined(sqlite_url, "--json"))
    assert codes(report) == {
        "migrations_newer": "info",
        "default_namespace_missing": "error",
        ONE_PROCESS: "info",
    }
    run_in_thread(execute(sqlite_url, "drop table failures"))
    assert codes(report_of(examined(sqlite_url, "--json"))) == {
        "migrations_newer": "info",
        "tables_missing": "error",
        ONE_PROCESS: "info",
    }


@pytest.mark.full
def test_a_database_that_does_not_answer(postgres_url: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("Not a database at all.\n" * 100, encoding="utf-8")
    address = postgres_url.rpartition("@")[2]
    with socket.socket() as silent:
        silent.bind((LOOPBACK, 0))
        silent.listen()
        port = silent.getsockname()[1]
        for url in (
            f"postgresql://dw:{PASSWORD}@{LOOPBACK}:{port}/dw",
            f"postgresql://dw:{PASSWORD}@{LOOPBACK}:{free_port()}/dw",
            f"postgresql://nobody:{PASSWORD}@{address}",
            f"sqlite:///{notes}",
        ):
            report = report_of(examined(url, "--json", "--strict"), status=1)
            assert codes(report)["database_unreachable"] == "error"


def test_a_redis_that_does_not_answer(postgres_url: str) -> None:
    with socket.socket() as silent:
        silent.bind((LOOPBACK, 0))
        silent.listen()
        for port in (silent.getsockname()[1], free_port()):
            url = f"redis://:{PASSWORD}@{LOOPBACK}:{port}/0"
            ended = examined(postgres_url, "--strict", DW_REDIS_URL=url)
            assert ended.status == 0
            assert "[WARNING] [cache_unreachable] " in ended.output
            assert ended.errors == ""


def test_settings_that_do_not_fit(sqlite_url: str) -> None:
    report = report_of(
        examined(
            sqlite_url,
            "--json",
            DW_SERIALIZER="workflow-serializer-y",
            DW_SERVER_TOPOLOGY_SHAPE="split_control_execution",
            DW_SERVER_PROCESS_CLASS="scheduler",
        )
    )
    assert codes(report) == {
        "codec_legacy": "warning",
        "database_not_shared": "error",
        "coordination_not_shared": "warning",
        "server_key_missing": "error",
        "topology_word_replaced": "warning",
        ONE_PROCESS: "info",
    }
    assert report["codec"]["configured"] == "workflow-serializer-y"
    assert report["codec"]["supported"] is True
    unknown = report_of(examined(sqlite_url, "--json", DW_SERIALIZER="json"))
    assert unknown["codec"]["supported"] is False
    assert codes(unknown)["codec_unknown"] == "error"


def test_a_url_that_means_nothing_is_one_line() -> None:
    assert "DW_DATABASE_URL" in examined(f"oracle://dw:{PASSWORD}@db/dw").complaint
