"""Programs of ``tests/sdk/programs``, run by the interpreter of one SDK release."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from dwserver.runtime import lifeline
from tests.sdk.environments import SdkEnvironment
from tests.sdk.programs import marks
from tests.support.environment import clean_environment
from tests.support.source_tree import ROOT

PACKAGE = "tests.sdk.programs"
RESULT_SECONDS = 60
PROGRAM_SECONDS = 240
STOP_SECONDS = 45


class SdkPrograms:
    """Runs programs against the server at ``base_url``; ``folder`` is for marks."""

    def __init__(
        self, sdk: SdkEnvironment, *, base_url: str, token: str, folder: Path
    ) -> None:
        self._sdk = sdk
        # Programs and the order example are found in the project; the rest comes from
        # the SDK.
        self._env = clean_environment(
            {
                "DURABLE_WORKFLOW_SERVER_URL": base_url,
                "DURABLE_WORKFLOW_AUTH_TOKEN": token,
                "PYTHONPATH": str(ROOT),
                "NO_PROXY": "127.0.0.1",
                marks.FOLDER: str(folder),
            }
        )

    def start_worker(self, queue: str, log_path: Path, *definitions: str) -> SdkWorker:
        """``definitions``: which one it has of the workflow that is replaced
        (``programs/replaced_workflows.py``)."""
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                self._command("run_worker", queue, *definitions),
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        lifeline.tie(process.pid, signals=(signal.SIGKILL,))
        return SdkWorker(process, log_path)

    def start_client(self, queue: str, jobs: Mapping[str, str]) -> RunningProgram:
        """``jobs``: names of scenarios by workflow id. Answer: what the client saw,
        by workflow id (``programs/run_client.py``)."""
        arguments = [queue, str(RESULT_SECONDS)]
        return self._start("run_client", arguments, orjson.dumps(jobs))

    def start_schedules(self, queue: str, schedule_id: str) -> RunningProgram:
        """Answer: what the client saw of the schedule (``run_schedules.py``)."""
        arguments = [queue, str(RESULT_SECONDS)]
        stdin = orjson.dumps({"schedule_id": schedule_id})
        return self._start("run_schedules", arguments, stdin)

    def replay(self, runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """``commands`` and ``problems`` of each run (``replay_histories.py``)."""
        answers = self._start("replay_histories", [], orjson.dumps(runs)).answer()
        assert isinstance(answers, list)
        return answers

    def verify(self, bundles: Sequence[str]) -> list[dict[str, Any]]:
        """The reports on the JSON texts of bundles (``verify_bundles.py``)."""
        reports = self._start("verify_bundles", [], orjson.dumps(bundles)).answer()
        assert isinstance(reports, list)
        return reports

    def call_methods(self, reached: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What calling each public method of the client came to
        (``call_methods.py``); ``reached``: those that only have to reach the server."""
        answer = self._start("call_methods", [], orjson.dumps(reached)).answer()
        assert isinstance(answer, dict)
        return answer

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [str(self._sdk.python), "-m", f"{PACKAGE}.{program}", *arguments]

    def _start(
        self, program: str, arguments: Sequence[str], stdin: bytes
    ) -> RunningProgram:
        process = subprocess.Popen(
            self._command(program, *arguments),
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        lifeline.tie(process.pid, signals=(signal.SIGKILL,))
        return RunningProgram(process, f"{program} with SDK {self._sdk.version}", stdin)


class RunningProgram:
    """A program that reads JSON, prints JSON and ends."""

    def __init__(
        self, process: subprocess.Popen[bytes], name: str, stdin: bytes
    ) -> None:
        self._process = process
        self._name = name
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None  # communicate() must not close it again

    def answer(self) -> Any:
        """Waits for its end. AssertionError with its complaint when it failed."""
        try:
            printed, complaint = self._process.communicate(timeout=PROGRAM_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()
        assert self._process.returncode == 0, (
            f"{self._name}:\n{complaint.decode(errors='replace')[-4000:]}"
        )
        return orjson.loads(printed)


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
