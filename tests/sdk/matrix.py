"""Servers, workers and the outcomes of scenarios, shared by the tests of a session."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.sdk.environments import SdkEnvironment, SdkRelease
from tests.sdk.processes import SdkPrograms, SdkWorker
from tests.sdk.programs import marks
from tests.sdk.programs.scenario_values import STAGE_ATTRIBUTE
from tests.support.json_http import JsonHttp, operator, read_history
from tests.support.server_process import ServerProcess

TOKEN = "sdk-token"
SHORT_LEASE_SECONDS = "3"


def new_jobs(scenarios: Iterable[str]) -> dict[str, str]:
    """Scenarios by a workflow id for each of them."""
    return {f"{scenario}-{uuid.uuid4().hex[:12]}": scenario for scenario in scenarios}


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """``advertised``: worker protocol version, None for the default."""

    advertised: str | None
    has_short_leases: bool

    def environment(self) -> dict[str, str]:
        # One process is the whole cluster.
        settings = {"DW_SCHEDULER_IN_PROCESS": "1"}
        if self.advertised is not None:
            settings["DW_WORKER_PROTOCOL_VERSION"] = self.advertised
        if self.has_short_leases:
            settings["DW_WORKFLOW_TASK_TIMEOUT"] = SHORT_LEASE_SECONDS
        return settings


@dataclass(frozen=True, slots=True)
class Run:
    """What the server tells about a run. ``shown``: its description."""

    shown: dict[str, Any]
    events: list[Any]

    @property
    def workflow_id(self) -> str:
        return str(self.shown["workflow_id"])


@dataclass(frozen=True, slots=True)
class Outcome:
    """``seen``: by the client. ``runs``: the run that was started comes first, then
    its successors and the runs of all its children."""

    seen: dict[str, Any]
    runs: list[Run]
    replays: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Ground:
    """A server, and the programs of one SDK release that talk to it."""

    sdk: SdkEnvironment
    programs: SdkPrograms
    operator: JsonHttp
    folder: Path

    def events(self, workflow_id: str) -> list[Any]:
        """History of the current run; nothing before it is started."""
        shown = self.operator.request("GET", f"/api/workflows/{workflow_id}")
        if shown.status == HTTPStatus.NOT_FOUND:
            return []
        run_id = shown.expect(200)["run_id"]
        return read_history(self.operator, workflow_id, run_id)

    def count(self, workflow_id: str, event_type: str) -> int:
        """How many events of the type the current run has."""
        types = [event["event_type"] for event in self.events(workflow_id)]
        return types.count(event_type)

    def mark(self, job: str, mark: str) -> Path:
        """The file with which workflow code, activities and tests signal each other."""
        return marks.path(self.folder, job, mark)

    def collect(
        self, jobs: dict[str, str], seen: dict[str, dict[str, Any]]
    ) -> dict[str, Outcome]:
        """The outcomes, by scenario, of what a client has done."""
        runs = {job: list(self._runs(job)) for job in jobs}
        replays = iter(
            self.programs.replay([_replay_of(run) for job in jobs for run in runs[job]])
        )
        return {
            scenario: Outcome(seen[job], runs[job], [next(replays) for _ in runs[job]])
            for job, scenario in jobs.items()
        }

    def _runs(self, workflow_id: str) -> Iterator[Run]:
        path = f"/api/workflows/{workflow_id}/runs"
        listed = self.operator.request("GET", path)
        if listed.status == HTTPStatus.NOT_FOUND:
            return
        numbered = {run["run_number"]: run for run in listed.expect(200)["runs"]}
        children: list[str] = []
        for _, entry in sorted(numbered.items()):
            run_path = f"{path}/{entry['run_id']}"
            shown = self.operator.request("GET", run_path).expect(200)
            events = read_history(self.operator, workflow_id, entry["run_id"])
            children += [
                event["payload"]["child_workflow_instance_id"]
                for event in events
                if event["event_type"] == "ChildWorkflowScheduled"
            ]
            yield Run(shown, events)
        for child in children:
            yield from self._runs(child)


@dataclass(slots=True)
class Site:
    """A ground with a worker on ``queue``."""

    ground: Ground
    worker: SdkWorker
    queue: str
    _outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def release(self) -> SdkRelease:
        return self.ground.sdk.release

    def outcome(self, scenario: str, *, among: Collection[str]) -> Outcome:
        """The first call runs all scenarios of ``among`` at once."""
        if scenario not in self._outcomes:
            jobs = new_jobs(among)
            client = self.ground.programs.start_client(self.queue, jobs)
            self._outcomes.update(self.ground.collect(jobs, client.answer()))
        return self._outcomes[scenario]


def _replay_of(run: Run) -> dict[str, Any]:
    return {
        "workflow_type": run.shown["workflow_type"],
        "arguments": run.shown["input"],
        "run_id": run.shown["run_id"],
        "events": run.events,
        "prefixes": _prefixes(run.events),
    }


def _prefixes(events: list[Any]) -> list[int]:
    """Lengths at which a transaction ended: what queries and tasks may be given."""
    started = 1 + next(
        index
        for index, event in enumerate(events)
        if event["event_type"] == "WorkflowStarted"
    )
    times = [event["timestamp"] for event in events]
    return [n for n in range(started, len(events)) if times[n - 1] != times[n]]


class Sites:
    """Starts servers and workers once in the session, when they are first asked for."""

    def __init__(
        self, databases: Callable[[str], str], folder: Path, running: ExitStack
    ) -> None:
        self._new_database = databases
        self._folder = folder
        self._running = running
        self._servers: dict[tuple[str, ServerSettings], ServerProcess] = {}
        self._sites: dict[tuple[str, str], Site] = {}

    def site(self, engine: str, sdk: SdkEnvironment) -> Site:
        key = (engine, sdk.release.name)
        if key not in self._sites:
            queue = f"sdk-{sdk.release.name}"
            ground = self.ground(engine, sdk)
            log_path = self._folder / f"worker-{engine}-{sdk.release.name}.log"
            worker = ground.programs.start_worker(queue, log_path)
            self._running.callback(worker.kill)
            self._sites[key] = Site(ground, worker, queue)
        return self._sites[key]

    def ground(
        self, engine: str, sdk: SdkEnvironment, *, has_short_leases: bool = False
    ) -> Ground:
        settings = ServerSettings(sdk.release.advertised, has_short_leases)
        base_url = self._server(engine, settings).base_url
        programs = SdkPrograms(sdk, base_url=base_url, token=TOKEN, folder=self._folder)
        return Ground(sdk, programs, operator(base_url, TOKEN), self._folder)

    def _server(self, engine: str, settings: ServerSettings) -> ServerProcess:
        key = (engine, settings)
        if key not in self._servers:
            env = {
                "DW_DATABASE_URL": self._new_database(engine),
                "DW_AUTH_TOKEN": TOKEN,
                **settings.environment(),
            }
            log_path = self._folder / f"server-{engine}-{len(self._servers)}.log"
            server = ServerProcess(env, log_path=log_path)
            self._servers[key] = self._running.enter_context(server)
            _register_attribute(operator(server.base_url, TOKEN))
        return self._servers[key]


def _register_attribute(client: JsonHttp) -> None:
    attribute = {"name": STAGE_ATTRIBUTE, "type": "keyword"}
    client.request("POST", "/api/search-attributes", attribute).expect(201)
