"""The whole thing at once: server, worker, client, history, and everything stopped.

``python -m examples.order_processing.quickstart`` needs nothing that runs already. It
exits with 1 and says why when anything goes wrong.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from durable_workflow import Client, WorkflowHandle

from examples.order_processing.client import (
    approve_order,
    read_history,
    start_order,
)
from examples.order_processing.history_table import history_table
from examples.order_processing.worker import order_worker

HOST = "127.0.0.1"
READY_SECONDS = 20.0
RESULT_SECONDS = 60.0
STOP_SECONDS = 20.0
PROJECT = Path(__file__).resolve().parents[2]


class QuickstartFailed(Exception):
    """What went wrong, in words for the user."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def server_environment(folder: Path, token: str) -> dict[str, str]:
    """Only our own configuration, whatever the user's shell has set."""
    foreign = ("DW_", "DB_", "REDIS_", "WORKFLOW_", "SERVER_PORT")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    return {
        **kept,
        "DW_DATABASE_URL": f"sqlite:///{folder / 'dwserver.sqlite'}",
        "DW_AUTH_TOKEN": token,
    }


def is_ready(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/api/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def running_server(folder: Path, *, port: int, token: str) -> Iterator[str]:
    """``dwserver dev`` in a process of its own; yields its URL when it is ready."""
    log_path = folder / "server.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dwserver", "dev", "--port", str(port)],
            cwd=PROJECT,
            env=server_environment(folder, token),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    url = f"http://{HOST}:{port}"
    try:
        give_up_at = time.monotonic() + READY_SECONDS
        while not is_ready(url):
            if process.poll() is not None or time.monotonic() > give_up_at:
                log_text = log_path.read_text(errors="replace")
                raise QuickstartFailed(f"the server did not get ready:\n{log_text}")
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise QuickstartFailed(
            f"the server ended with {process.returncode}:\n"
            f"{log_path.read_text(errors='replace')}"
        )


async def approved_result(handle: WorkflowHandle) -> Any:
    async with asyncio.timeout(RESULT_SECONDS):
        await approve_order(handle)
        return await handle.result(timeout=RESULT_SECONDS)


async def process_order(client: Client) -> WorkflowHandle:
    """One order from start to result, with a worker in this process."""
    worker = order_worker(client)
    working = asyncio.create_task(worker.run())
    try:
        handle = await start_order(client)
        print(f"started   {handle.workflow_id}, run {handle.run_id}")
        result = asyncio.create_task(approved_result(handle))
        await asyncio.wait({working, result}, return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            result.cancel()
            await working  # raises what ended it
            raise QuickstartFailed("the worker stopped before the order was done")
        outcome = await result
        print(f"completed {outcome}\n")
        if outcome["status"] != "shipped":
            raise QuickstartFailed(f"unexpected result: {outcome}")
    finally:
        await worker.stop()
        await asyncio.gather(working, return_exceptions=True)
    return handle


async def run_example(url: str, token: str) -> None:
    async with Client(url, token=token) as client:
        handle = await process_order(client)
        print(history_table(await read_history(handle)))


def main() -> None:
    # A proxy for the outer world must not get requests for this machine.
    os.environ["NO_PROXY"] = f"{os.environ.get('NO_PROXY', '')},{HOST}"
    # One activity fails twice on purpose; the history shows it without tracebacks.
    logging.getLogger("durable_workflow").setLevel(logging.CRITICAL)
    token = secrets.token_hex(16)
    try:
        with tempfile.TemporaryDirectory(prefix="dwserver-quickstart-") as folder:
            with running_server(Path(folder), port=free_port(), token=token) as url:
                print(f"server    {url} (embedded SQLite), token {token}")
                asyncio.run(run_example(url, token))
            print("\nserver stopped")
    except KeyboardInterrupt:
        sys.exit("quickstart: interrupted")
    except Exception as error:
        sys.exit(f"quickstart: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
