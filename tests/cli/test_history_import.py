"""``dwserver history-import``: what it sends, prints, and its exit status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from dwserver.protocol.history_bundles.integrity import SigningKey
from tests.cli.command import Ended, run
from tests.support.embedded_bundles import RUN_ID, a_bundle, sealed
from tests.support.json_http import operator
from tests.support.processes import TEST_TOKEN, StartServer

KEY = "a key that signs"


def written(folder: Path, bundle: Any) -> str:
    path = folder / "bundle.json"
    path.write_bytes(orjson.dumps(bundle))
    return str(path)


def test_a_run_is_moved_to_a_server(
    start_server: StartServer, sqlite_url: str, tmp_path: Path
) -> None:
    server = start_server(sqlite_url)
    control = operator(server.base_url, TEST_TOKEN)

    def imported(*words: str) -> Ended:
        return run(
            "history-import",
            *words,
            "--server",
            server.base_url,
            env={"DW_AUTH_TOKEN": TEST_TOKEN},
        )

    file = written(tmp_path, sealed(a_bundle(), SigningKey(KEY)))
    key_file = tmp_path / "key"
    key_file.write_text(f"{KEY}\n")
    refused = imported(file, "--require-signature")
    assert refused.status == 1
    assert "bundle.signature_required" in refused.output
    looked = imported(
        file, "--require-signature", "--signing-key-file", str(key_file), "--dry-run"
    )
    assert looked.status == 0
    assert looked.output.startswith(f"dry_run: run {RUN_ID} of order-1 in default")
    assert control.request("GET", "/api/workflows/order-1").status == 404
    done = imported(file, "--import-id", "cutover", "--json")
    assert done.status == 0
    report = orjson.loads(done.output)
    assert (report["status"], report["import_id"]) == ("imported", "cutover")
    again = imported(file)
    assert (again.status, again.output.split(":")[0]) == (0, "already_imported")
    other = imported(file, "--namespace", "nowhere")
    assert other.status == 1
    assert "404" in other.complaint


@pytest.mark.parametrize("text", [b"no json", b"[]"])
def test_a_file_without_a_bundle_is_one_line(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    path.write_bytes(text)
    ended = run("history-import", str(path), env={})
    assert "bundle.json" in ended.complaint
