"""The floor as a process: ``python -m benchmarks.floor.server --port N [--dsn DSN]``.

Without ``--dsn`` nothing is stored: then it is the ceiling of bare HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import signal

import orjson
import uvloop
from aiohttp import web

from benchmarks.floor.group_commit import GroupCommit, create_schema
from benchmarks.floor.protocol import Document, Floor, TaskKind
from benchmarks.floor.rows import Rows

HOST = "127.0.0.1"
BACKLOG = 4096
HEADERS = {"X-Durable-Workflow-Protocol-Version": "1.0"}
COMPLETED = {
    "workflow-tasks": Floor.complete_workflow_task,
    "activity-tasks": Floor.complete_activity_task,
}
POLLED = {"workflow-tasks": TaskKind.WORKFLOW, "activity-tasks": TaskKind.ACTIVITY}


async def answer(floor: Floor, path: str, body: Document | None) -> bytes:
    """The answer's body; a path that the generator does not use is a programming error.

    Paths: ``/api/ready``, ``/api/workflows[/{id}]``, ``/api/worker/register``,
    ``/api/worker/{kind}/poll``, ``/api/worker/{kind}/{id}/complete``.
    """
    words = path.split("/")[2:]
    if body is None:
        return b"{}" if words == ["ready"] else await floor.describe(words[1])
    if words[0] == "workflows":
        return await floor.start(body)
    if words[1] == "register":
        return await floor.register(body)
    if words[2] == "poll":
        return await floor.poll(POLLED[words[1]], body)
    return await COMPLETED[words[1]](floor, words[2], body)


def build_application(floor: Floor) -> web.Application:
    async def handle(request: web.Request) -> web.Response:
        raw = await request.read()
        body = await answer(floor, request.path, orjson.loads(raw) if raw else None)
        return web.Response(body=body, content_type="application/json", headers=HEADERS)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    return application


async def store_nothing(rows: Rows) -> None:
    """In place of a commit."""


async def serve(port: int, dsn: str | None) -> None:
    """Until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    writing: asyncio.Task[None] | None = None
    write = store_nothing
    if dsn is not None:
        await create_schema(dsn)
        commits = GroupCommit(dsn)
        write = commits.write
        writing = loop.create_task(commits.run())
        writing.add_done_callback(lambda _: stopped.set())
    runner = web.AppRunner(build_application(Floor(write)), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port, backlog=BACKLOG).start()
    await stopped.wait()
    # No orderly end: it would wait for the polls, whose clients are gone.
    if writing is not None:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dsn")
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.dsn))


if __name__ == "__main__":
    main()
