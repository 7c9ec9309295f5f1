"""Shell scripts parse, and the manifests are applied in an order that works."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.deploy import kubernetes
from tests.support.source_tree import ROOT

SCRIPT = kubernetes.FOLDER / "apply.sh"
SHELL_SCRIPTS = [
    path
    for folder in (ROOT / "scripts", kubernetes.FOLDER)
    for path in sorted(folder.iterdir())
    if path.is_file() and path.read_text().startswith("#!/usr/bin/env bash")
]
IMAGE = "registry.example.com/team/dwserver:1.2.3"

# Notes its words, and the names in what it is given to apply.
CLIENT = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
case "$*" in
    *"get secret"*) exit "$SECRET_STATUS" ;;
    *apply*) grep -E '^kind:|^  name:|image:' >>"$CALLS" ;;
esac
"""


@pytest.mark.parametrize("path", SHELL_SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse(path: Path) -> None:
    subprocess.run(["bash", "-n", path], check=True)
    assert path.stat().st_mode & 0o100, "it is not executable"


def run(
    tmp_path: Path, *words: str, secret_status: int = 0
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    client, calls = tmp_path / "kubectl", tmp_path / "calls"
    client.write_text(CLIENT)
    client.chmod(0o755)
    ended = subprocess.run(
        [SCRIPT, *words],
        env={
            "PATH": "/usr/bin:/bin",
            "KUBECTL": str(client),
            "CALLS": str(calls),
            "SECRET_STATUS": str(secret_status),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return ended, calls.read_text().splitlines() if calls.exists() else []


def position(calls: list[str], *words: str) -> int:
    """Of the first line with all the words; AssertionError when there is none."""
    found = [n for n, line in enumerate(calls) if all(word in line for word in words)]
    assert found, f"nothing with {words} in {calls}"
    return found[0]


def test_a_release_goes_in_order_and_waits(tmp_path: Path) -> None:
    ended, calls = run(tmp_path, IMAGE, "--with-execution")
    assert ended.returncode == 0, ended.stderr
    steps = [
        position(calls, "kind: Namespace"),
        position(calls, "get secret dwserver"),
        position(calls, "kind: ConfigMap"),
        position(calls, "delete job dwserver-bootstrap"),
        position(calls, "kind: Job"),
        position(calls, "wait job/dwserver-bootstrap", "condition=complete"),
        position(calls, "name: dwserver-control-plane"),
        position(calls, "rollout status deployment/dwserver-scheduler"),
        position(calls, "name: dwserver-ingress"),
        position(calls, "rollout status deployment/dwserver-ingress"),
        position(calls, "name: dwserver-execution"),
        position(calls, "rollout status deployment/dwserver-execution"),
    ]
    assert steps == sorted(steps)


def test_everything_but_the_secret_is_applied_with_the_image(tmp_path: Path) -> None:
    _, calls = run(tmp_path, IMAGE, "--with-execution")
    kinds = [line.removeprefix("kind: ") for line in calls if line[:5] == "kind:"]
    wanted = [each["kind"] for each in kubernetes.manifests()]
    wanted.remove("Secret")
    assert sorted(kinds) == sorted(wanted)
    images = {line.split()[-1] for line in calls if "image:" in line}
    assert images == {IMAGE}
    waited = [line for line in calls if "rollout status" in line]
    assert len(waited) == len(kubernetes.by_name("Deployment"))


def test_workers_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    ended, calls = run(tmp_path, IMAGE)
    assert ended.returncode == 0
    assert not [line for line in calls if "dwserver-execution" in line]


def test_without_the_secret_nothing_is_rolled_out(tmp_path: Path) -> None:
    ended, calls = run(tmp_path, IMAGE, secret_status=1)
    assert ended.returncode == 1
    assert "12-secret.template.yaml" in ended.stderr
    assert not [line for line in calls if "Job" in line or "Deployment" in line]


@pytest.mark.parametrize("words", [(), ("--with-execution",), (IMAGE, "--force")])
def test_bad_usage_applies_nothing(tmp_path: Path, words: tuple[str, ...]) -> None:
    ended, calls = run(tmp_path, *words)
    assert ended.returncode == 2
    assert ended.stderr
    assert calls == []
