"""Recorded operator requests: what the reference refused, so do we, at the same
fields; what it answered has its members here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from dwserver.engine.lifecycle.start import Started
from dwserver.engine.model import Payload, RunInput, RunState
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import TaskStatus
from dwserver.http.control_plane import (
    history,
    namespaces,
    search_attributes,
    storage,
    workers,
    workflow_list,
    workflow_reads,
    workflow_start,
)
from dwserver.services.records import Namespace, StoredEvent
from dwserver.services.search_attributes import Defined, DefineOutcome
from dwserver.services.storage_diagnosis import Finding, Passed, Probe, Problem
from dwserver.services.workflows import HistorySlice, RunDetail
from tests.http.handler_stage import (
    NOW,
    Answer,
    Handlers,
    Recording,
    Stage,
    masked,
    recordings,
)
from tests.http.runs import a_run, a_task, a_view, a_worker

HANDLERS = Handlers(
    namespaces.ROUTES,
    search_attributes.ROUTES,
    storage.ROUTES,
    workflow_list.ROUTES,
    workflow_start.ROUTES,
    workflow_reads.ROUTES,
    history.ROUTES,
    workers.ROUTES,
)
RECORDED = {
    f"{family}/{recording.name}": recording
    for family in (
        "workflows",
        "history",
        "namespaces",
        "search_attributes",
        "storage",
        "workers",
    )
    for recording in recordings("control_plane", family)
}

# Accepted there, refused here, at this field.
REFUSED_HERE = {
    # golden/README: the limit of 100 is meant to hold.
    "workflows/sa_too_many": "search_attributes",
    # control-plane §12.3 [mid]: scalars, and lists of them.
    "workflows/sa_nested_value": "search_attributes",
}
# No conflict here: ids are single-use per namespace only (decision 20f).
OTHERWISE = {"workflows/reserved_in_other_namespace"}

INVALID = {
    name: recording.answer["errors"]
    for name, recording in RECORDED.items()
    if recording.status == 422 and "errors" in recording.answer
} | {name: [field] for name, field in REFUSED_HERE.items()}

# A conflict that only the service sees: it looks at the run.
TYPE_CONFLICT = "workflows/duplicate_other_type_use_existing"


async def replayed(recording: Recording, stage: Stage) -> Answer:
    route, params = HANDLERS.find(recording)
    query = dict(parse_qsl(urlsplit(recording.path).query, keep_blank_values=True))
    return await stage.ask(
        route.handler, body=recording.body, params=params, query=query
    )


def recorded_path_is_of_one_namespace(recording: Recording) -> bool:
    """Such a handler looks first whether the namespace exists."""
    return recording.path.startswith("/api/namespaces/")


@pytest.mark.parametrize("name", INVALID.keys() - {TYPE_CONFLICT})
async def test_invalid_requests_name_the_same_fields_and_reach_no_service(
    name: str,
) -> None:
    stage = Stage()
    if recorded_path_is_of_one_namespace(RECORDED[name]):
        stage.answers["namespaces.find"] = a_namespace()
    answer = await replayed(RECORDED[name], stage)
    assert answer.status == 422
    assert answer.body["reason"] == "validation_failed"
    assert answer.body["errors"] == answer.body["validation_errors"]
    assert sorted(answer.body["errors"]) == INVALID[name]
    assert stage.called == [*stage.answers]


async def test_another_type_on_a_used_id_is_told_at_the_field() -> None:
    errors = {"workflow_type": ["m"]}
    fields = {"errors": errors, "validation_errors": errors}
    rejection = Rejection("validation_failed", "m", fields)
    stage = Stage({"workflows.start": rejection})
    answer = await replayed(RECORDED[TYPE_CONFLICT], stage)
    assert answer.status == 422
    assert list(answer.body["errors"]) == INVALID[TYPE_CONFLICT]


# answers -----------------------------------------------------------------------------


def a_namespace(**fields: Any) -> Namespace:
    namespace = Namespace(
        name="default",
        description="Default namespace",
        retention_days=30,
        status="active",
        external_storage=None,
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(namespace, **fields)


def namespace_answers(recording: Recording) -> dict[str, Any]:
    answer = recording.answer
    listed = answer.get("namespaces", [answer])[0]
    known = {
        key: listed[key]
        for key in ("name", "description", "retention_days")
        if key in listed
    }
    known["external_storage"] = listed.get("external_payload_storage")
    namespace = a_namespace(**known) if "name" in known else None

    def create(name: str, **settings: Any) -> Namespace | None:
        is_free = recording.status == 201
        return a_namespace(name=name, **settings) if is_free else None

    return {
        "namespaces.find_all": [namespace],
        "namespaces.find": namespace,
        "namespaces.update": namespace,
        "namespaces.create": create,
        "namespaces.set_storage": lambda _, policy: (
            namespace and replace(namespace, external_storage=policy)
        ),
    }


def search_attribute_answers(recording: Recording) -> dict[str, Any]:
    outcomes = {
        "attribute_already_exists": DefineOutcome.EXISTS,
        "search_attribute_limit_reached": DefineOutcome.LIMIT_REACHED,
    }

    def define(_: str, name: str, *, value_type: str) -> Defined:
        reason = recording.answer.get("reason", "")
        outcome = outcomes.get(reason, DefineOutcome.CREATED)
        return Defined(outcome, recording.answer.get("type", value_type))

    return {
        "search_attributes.types": dict(recording.answer.get("custom_attributes", {})),
        "search_attributes.define": define,
        "search_attributes.remove": recording.status == 200,
    }


def storage_answers(recording: Recording) -> dict[str, Any]:
    answer = recording.answer
    if recording.status == 200:
        probes = [
            Probe(shown["bytes"], shown["sha256"], shown["reference_uri"])
            for shown in (answer["small_payload"], answer["large_payload"])
        ]
        return {"storage_diagnosis.run": Passed(answer["driver"], *probes)}
    findings = {
        "external_storage_not_configured": Finding.NOT_CONFIGURED,
        "storage_driver_unavailable": Finding.OTHER_DRIVER,
    }
    problem = Problem(findings[answer["reason"]], answer["driver"], "why")
    return {"storage_diagnosis.run": problem}


def described_run(answer: dict[str, Any]) -> RunDetail:
    keys = (
        "workflow_id",
        "workflow_type",
        "execution_timeout_seconds",
        "run_timeout_seconds",
    )
    run = a_run(
        task_queue=answer["task_queue"] or "default",
        execution_deadline_at=NOW if answer["execution_deadline_at"] else None,
        run_deadline_at=NOW if answer["run_deadline_at"] else None,
        **{key: answer[key] for key in keys},
    )
    blob = answer["input_envelope"]["blob"]
    given = RunInput(
        arguments=Payload("avro", blob),
        memo=dict(answer["memo"]),
        search_attributes=dict(answer["search_attributes"]),
        business_key=answer["business_key"],
    )
    task = a_task(status=TaskStatus.READY, lease_owner=None)
    state = RunState(run, {task.id: task}, {}, {})
    return RunDetail(a_view(run, input=given), state, ())


def workflow_answers(recording: Recording) -> dict[str, Any]:
    answer = recording.answer
    if recording.status == 404:
        return {
            "workflows.describe": None,
            "workflows.runs": [],
            "workflows.history": None,
        }
    if "events" in answer:
        events = tuple(
            StoredEvent(
                id="e",
                sequence=event["sequence"],
                event_type=event["event_type"],
                payload=b"{}",
                recorded_at=NOW,
                has_plain=False,
                task_id=None,
                command_id=None,
            )
            for event in answer["events"]
        )
        has_more = answer["next_page_token"] is not None
        return {"workflows.history": HistorySlice(events, has_more)}
    if "workflows" in answer:
        rows = [
            a_view(
                a_run(
                    workflow_id=row["workflow_id"], workflow_type=row["workflow_type"]
                ),
                input=RunInput(arguments=None, business_key=row["business_key"]),
            )
            for row in answer["workflows"]
        ]
        return {"workflows.find_runs": (rows, answer["next_page_token"] is not None)}
    if "runs" in answer:
        row = answer["runs"][0]
        run = a_run(workflow_type=row["workflow_type"])
        given = RunInput(arguments=None, business_key=row["business_key"])
        return {"workflows.runs": [a_view(run, input=given)]}
    if "input_envelope" in answer:
        return {
            "workflows.describe": described_run(answer),
            "queries.can_answer": False,
        }
    given = RunInput(arguments=None, business_key=answer["business_key"])
    reason = "instance_already_started" if recording.status == 409 else None
    return {
        "workflows.start": lambda start: Started(
            a_run(), answer["outcome"], rejection_reason=reason
        ),
        "workflows.describe": RunDetail(a_view(input=given), None, ()),
    }


def answers_for(name: str, recording: Recording) -> dict[str, Any]:
    family = name.split("/")[0]
    if family == "namespaces":
        return namespace_answers(recording)
    if family == "search_attributes":
        return search_attribute_answers(recording)
    if family == "storage":
        return storage_answers(recording)
    if family == "workers":
        is_known = recording.status == 200
        return {
            "workers.find_all": [a_worker()] if recording.answer.get("workers") else [],
            "workers.find": a_worker() if is_known else None,
            "workers.deregister": is_known,
        }
    return workflow_answers(recording)


# Members whose values are not compared.
DIFFERENT = {
    # Given by the stage, or a sentence.
    "namespace",
    "worker_id",
    "message",
    # control-plane §17 D3: an open run takes updates.
    "actions",
    # Tokens are keyset positions; rows are compared by their members.
    "workflow_count",
    "next_page_token",
    "events",
    "workflows",
    "runs",
    "workers",
    "namespaces",
}
# A numeral that the reference repeats as text.
AS_NUMBER = {"namespaces/create_retention_string": "retention_days"}
# control-plane §5.2: a start without a queue goes to the default queue.
NULL_QUEUE = {"workflows/describe_object_input", "workflows/describe_sa_list"}

ANSWERED = {
    name: recording
    for name, recording in RECORDED.items()
    if name not in INVALID and name not in {*REFUSED_HERE, *OTHERWISE}
}


def empty_maps_as_objects(value: Any) -> Any:
    """The reference writes ``[]`` for an empty map (decision 3)."""
    if isinstance(value, dict):
        maps = (
            "memo",
            "search_attributes",
            "custom_attributes",
            "workflow_definition_fingerprints",
        )
        return {
            key: {} if key in maps and item == [] else empty_maps_as_objects(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [empty_maps_as_objects(item) for item in value]
    return value


def members(value: Any) -> Any:
    """The keys of an answer, rows of lists included."""
    if isinstance(value, dict):
        return {key: members(item) for key, item in value.items()}
    if isinstance(value, list):
        return [members(item) for item in value if isinstance(item, dict)][:1]
    return None


def assert_holds(ours: Any, theirs: Any, path: str) -> None:
    if isinstance(theirs, dict):
        assert isinstance(ours, dict), path
        for key, item in theirs.items():
            assert key in ours, f"{path}.{key}"
            assert_holds(ours[key], item, f"{path}.{key}")
    elif isinstance(theirs, list) and theirs:
        assert ours, path
        assert_holds(ours[0], theirs[0], path)


@pytest.mark.parametrize("name", ANSWERED)
async def test_answers_hold_every_recorded_member(name: str) -> None:
    recording = ANSWERED[name]
    answer = await replayed(recording, Stage(answers_for(name, recording)))
    assert answer.status == recording.status, answer.body
    ours = masked(answer.body)
    theirs = empty_maps_as_objects(recording.answer)
    assert_holds(members(ours), members(theirs), name)
    for key in theirs.keys() - DIFFERENT:
        if key == "task_queue" and name in NULL_QUEUE:
            assert ours[key] == "default"
        elif key == AS_NUMBER.get(name):
            assert ours[key] == int(theirs[key])
        elif theirs[key] != "<id>":
            assert ours[key] == theirs[key], key
