"""``dwserver dev``: from nothing to a server that answers its own examples."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.json_http import JsonHttp
from tests.support.server_process import ServerProcess


def dev(env: Mapping[str, str], tmp_path: Path) -> ServerProcess:
    return ServerProcess(env, log_path=tmp_path / "dev.log", command=("dev",))


@pytest.fixture
def server(empty_sqlite_url: str, tmp_path: Path) -> Iterator[ServerProcess]:
    with dev({"DW_DATABASE_URL": empty_sqlite_url}, tmp_path) as server:
        yield server


def curls(text: str) -> list[tuple[str, str, dict[str, str], str | None]]:
    """Method, URL, headers and body of the printed commands."""
    found = []
    for line in re.findall(r"^ *(curl .*)$", text.replace("\\\n", " "), re.MULTILINE):
        words = shlex.split(line)[1:]
        headers: dict[str, str] = {}
        body, url = None, ""
        while words:
            word = words.pop(0)
            if word == "-H":
                name, _, value = words.pop(0).partition(": ")
                headers[name] = value
            elif word == "-d":
                body = words.pop(0)
            else:
                url = word
        found.append(("GET" if body is None else "POST", url, headers, body))
    return found


def test_its_examples_work(server: ServerProcess) -> None:
    printed = curls(server.log_text())
    assert len(printed) >= 4
    statuses = []
    for method, url, headers, body in printed:
        assert url.startswith(server.base_url)
        path = url.removeprefix(server.base_url)
        answer = JsonHttp(server.base_url, headers).request(method, path, body)
        statuses.append(answer.status)
    assert set(statuses) == {200, 201}


def test_its_token_is_random_and_needed(
    server: ServerProcess, empty_sqlite_url: str
) -> None:
    found = re.search(r"token +(\S{20,})$", server.log_text(), re.MULTILINE)
    assert found is not None
    anybody = JsonHttp(server.base_url)
    assert anybody.request("GET", "/api/workflows").status == 401


def test_a_configured_token_is_kept(empty_sqlite_url: str, tmp_path: Path) -> None:
    env = {"DW_DATABASE_URL": empty_sqlite_url, "DW_AUTH_TOKEN": "my-own-token"}
    with dev(env, tmp_path) as server:
        client = JsonHttp(server.base_url, {"Authorization": "Bearer my-own-token"})
        client.request("GET", "/api/cluster/info").expect(200)
        assert "my-own-token" in server.log_text()
        assert server.terminate() == 0
