"""Programs of ``tests/sdk/programs``, run by the interpreter of one SDK release."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from tests.sdk.environments import SdkEnvironment
from tests.support import lifeline
from tests.support.environment import clean_environment
from tests.support.source_tree import ROOT

PROGRAMS = Path(__file__).parent / "programs"
RESULT_SECONDS = 40
PROGRAM_SECONDS = 50
STOP_SECONDS = 45


class SdkPrograms:
    """Runs programs against the server at ``base_url``."""

    def __init__(self, sdk: SdkEnvironment, *, base_url: str, token: str) -> None:
        self._sdk = sdk
        # The order example is found in the project; the rest comes from the SDK.
        self._env = clean_environment(
            {
                "DURABLE_WORKFLOW_SERVER_URL": base_url,
                "DURABLE_WORKFLOW_AUTH_TOKEN": token,
                "PYTHONPATH": str(ROOT),
                "NO_PROXY": "127.0.0.1",
            }
        )

    def start_worker(self, queue: str, log_path: Path) -> SdkWorker:
        command = self._command("run_worker.py", queue)
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        lifeline.tie(process.pid, signals=(signal.SIGKILL,))
        return SdkWorker(process, log_path)

    def run_client(self, scenario: str, queue: str, workflow_id: str) -> dict[str, Any]:
        """What the client saw: ``run_id``, and ``result`` or ``error``, ``message``."""
        arguments = [scenario, queue, workflow_id, str(RESULT_SECONDS)]
        answer = self._run("run_client.py", arguments)
        assert isinstance(answer, dict)
        return answer

    def query(
        self, workflow_id: str, name: str, arguments: Sequence[object] = ()
    ) -> dict[str, Any]:
        """What the client got: the members of the answer, or ``error``."""
        answer = self._run(
            "run_query.py", [workflow_id, name, orjson.dumps(list(arguments)).decode()]
        )
        assert isinstance(answer, dict)
        return answer

    def replay(self, scenario: str, run_id: str, events: Sequence[object]) -> list[str]:
        """Names of the commands with which the replayed code ends."""
        commands = self._run(
            "replay_history.py", [scenario, run_id], stdin=orjson.dumps(events)
        )
        assert isinstance(commands, list)
        return commands

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [str(self._sdk.python), str(PROGRAMS / program), *arguments]

    def _run(
        self, program: str, arguments: Sequence[str], *, stdin: bytes = b""
    ) -> Any:
        result = subprocess.run(
            self._command(program, *arguments),
            env=self._env,
            input=stdin,
            capture_output=True,
            timeout=PROGRAM_SECONDS,
            check=False,
        )
        assert result.returncode == 0, (
            f"{program} with SDK {self._sdk.version}:\n"
            f"{result.stderr.decode(errors='replace')[-4000:]}"
        )
        return orjson.loads(result.stdout)


class SdkWorker:
    """A running worker process."""

    def __init__(self, process: subprocess.Popen[bytes], log_path: Path) -> None:
        self._process = process
        self._log_path = log_path

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def terminate(self) -> int:
        """SIGTERM, then the exit code. subprocess.TimeoutExpired when it goes on."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=STOP_SECONDS)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def log_tail(self) -> str:
        return self._log_path.read_text(errors="replace")[-4000:]
