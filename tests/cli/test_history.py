"""``dwserver history-export`` and ``history-verify``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from dwserver.cli.main import main
from tests.cli.command import Ended, run
from tests.support.json_http import operator
from tests.support.processes import TEST_TOKEN, StartServer
from tests.support.source_tree import ROOT

KEY = "a key that signs"
SIGNING = {
    "DW_V2_HISTORY_EXPORT_SIGNING_KEY": KEY,
    "DW_V2_HISTORY_EXPORT_SIGNING_KEY_ID": "k-1",
}
ASKING = {"DW_AUTH_TOKEN": TEST_TOKEN}
RECORDED = ROOT / "tests" / "protocol" / "fixtures" / "history_bundle.json"
MEMO = {"whole": 1.0, "tiny": 1.5e-9, "huge": 1e22, "text": "Grüße 😀", "none": {}}


@pytest.fixture
def exporting(start_server: StartServer, sqlite_url: str) -> str:
    """The address of a server that signs, and has a run of ``orders/1``."""
    server = start_server(sqlite_url, SIGNING)
    client = operator(server.base_url, TEST_TOKEN)
    start = {
        "workflow_id": "orders.1",
        "workflow_type": "o.flow",
        "task_queue": "oq",
        "memo": MEMO,
    }
    client.request("POST", "/api/workflows", start).expect(201)
    return server.base_url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where nothing is but what a test and its commands write."""
    folder = tmp_path / "bundles"
    folder.mkdir()
    return folder


def inside(
    *words: str, env: Mapping[str, str] | None = None, given: bytes | None = None
) -> Ended:
    """Run a command in this process, which takes less time than one of its own."""
    clean = {name: None for name in os.environ if name.startswith("DW_")}
    result = CliRunner().invoke(main, words, input=given, env={**clean, **(env or {})})
    return Ended(result.exit_code, result.stdout, result.stderr)


def export(server: str, *words: str) -> Ended:
    return inside("history-export", *words, "--server", server, env=ASKING)


def verify(path: Path, *words: str, env: Mapping[str, str] | None = None) -> Ended:
    return inside("history-verify", str(path), *words, env=env)


def test_what_is_exported_can_be_verified(exporting: str, folder: Path) -> None:
    plain, pretty, key = (folder / name for name in ("plain", "pretty", "key"))
    plain.write_text("an older one")
    key.write_text(f"{KEY}\n")
    for path, words in ((plain, ()), (pretty, ("--pretty",))):
        ended = export(exporting, "orders.1", "--output", str(path), *words)
        assert (ended.status, ended.output) == (0, ""), ended
        assert path.stat().st_mode & 0o777 == 0o600
        shown = verify(path, "--signing-key-file", str(key))
        assert shown.status == 0, shown
        assert "signature  verified, key k-1\nstatus     ok\n" in shown.output
    assert sorted(os.listdir(folder)) == ["key", "plain", "pretty"]
    assert len(plain.read_text().splitlines()) == 1 < len(pretty.read_text().split())
    bundle = orjson.loads(pretty.read_bytes())
    assert bundle["workflow"]["memo"] == MEMO
    # The key may also be the configured one; without any the signature is in doubt.
    report = orjson.loads(verify(plain, "--json", env=SIGNING).output)
    assert (report["status"], report["findings"]) == ("ok", [])
    doubtful = verify(plain)
    assert doubtful.status == 0
    assert "integrity.signature_key_unavailable" in doubtful.output
    key.write_text("another")
    refused = verify(plain, "--json", "--signing-key-file", str(key))
    assert refused.status == 1
    assert orjson.loads(refused.output)["integrity"]["signature_verified"] is False


def test_standard_output_has_the_bundle_alone(exporting: str) -> None:
    ended = run("history-export", "orders.1", "--server", exporting, env=ASKING)
    bundle = orjson.loads(ended.output)
    again = export(exporting, "orders.1", "--run-id", bundle["workflow"]["run_id"])
    assert orjson.loads(again.output)["workflow"] == bundle["workflow"]


def test_what_cannot_be_exported_is_one_line(exporting: str, folder: Path) -> None:
    path = folder / "bundle.json"
    path.write_text("an older one")
    for words, why in (
        (("nothing",), "answered 404"),
        (("orders.1", "--run-id", "nope"), "answered 404: Workflow run not found."),
        (("orders.1", "--namespace", "other"), "answered 404"),
        (("orders.1", "--server", "http://127.0.0.1:9"), "does not answer"),
        (("orders.1", "--output", str(folder / "no" / "where")), "No such file"),
        (("orders.1", "--output", "/dev/null"), "/dev/null is no regular file"),
    ):
        given = ("--server", exporting, "--output", str(path), *words)
        ended = inside("history-export", *given, env=ASKING)
        assert why in ended.complaint, words
    assert path.read_text() == "an older one"
    assert os.listdir(folder) == ["bundle.json"]
    refused = inside("history-export", "orders.1", "--server", exporting)
    assert "answered 401" in refused.complaint


@pytest.fixture
def answering_half() -> Iterator[str]:
    """The address of something that answers half a bundle."""

    class Half(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(RECORDED.read_bytes()[:1000])

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Half) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_half_a_bundle_is_not_written(answering_half: str, folder: Path) -> None:
    path = folder / "bundle.json"
    ended = export(answering_half, "x", "--run-id", "y", "--output", str(path))
    assert "no whole bundle" in ended.complaint
    assert os.listdir(folder) == []


def test_a_changed_bundle_fails(folder: Path) -> None:
    changed = folder / "changed.json"
    changed.write_bytes(
        RECORDED.read_bytes().replace(b'"hi-36160"', rb'"hi\u001b[31m"')
    )
    ended = verify(changed)
    assert ended.status == 1
    # Nothing in a bundle reaches the terminal as a command to it.
    assert "workflow   hi?[31m" in ended.output
    assert "error  integrity.checksum_mismatch" in ended.output
    assert ended.errors == ""
    fine = verify(RECORDED)
    assert (fine.status, fine.output.splitlines()[-1]) == (0, "status     ok")


def test_what_is_no_bundle_fails(folder: Path) -> None:
    path = folder / "bundle.json"
    path.write_bytes(b"\xff")
    ended = verify(path, "--json")
    assert ended.status == 1
    [finding] = orjson.loads(ended.output)["findings"]
    assert finding["rule"] == "bundle.unparseable"
    assert verify(folder / "nowhere").status == 2
    assert verify(folder).status == 2
    path.write_bytes(b" \n")
    empty = verify(RECORDED, "--signing-key-file", str(path))
    assert (empty.status, "empty" in empty.errors) == (2, True)


def test_a_bundle_may_come_from_standard_input() -> None:
    ended = inside("history-verify", "-", given=RECORDED.read_bytes())
    assert (ended.status, ended.output.splitlines()[-1]) == (0, "status     ok")
    # A process of its own has nothing there.
    nothing = run("history-verify", "-")
    assert (nothing.status, "bundle.unparseable" in nothing.output) == (1, True)
