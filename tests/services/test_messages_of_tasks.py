"""What workers say about messages reaches the database with what it needs of them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.commands.batch import Completed
from dwserver.engine.commands.markers import UpsertSearchAttributes
from dwserver.engine.commands.terminal import CompleteWorkflow, ContinueAsNew
from dwserver.engine.commands.updates import CompleteUpdate
from dwserver.engine.commands.waits import OpenConditionWait, OpenSignalWait
from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.signal import SignalRequest, receive_signal
from dwserver.engine.lifecycle.update import UpdateRequest, accept_update
from dwserver.engine.model import Payload, Signal, Update
from dwserver.engine.outcome import Rejection
from tests.support.small_server import NAMESPACE, SmallServer, ref_of

WAIT = OpenConditionWait(condition_key="k", fingerprint="sha256:k")
DONE = CompleteWorkflow()


async def signalled(node: SmallServer, run_id: str, name: str, data: str) -> Signal:
    request = SignalRequest(
        namespace=NAMESPACE, name=name, arguments=Payload("avro", data)
    )

    def decide(draft: Draft) -> Signal | None:
        return receive_signal(draft, request).signal

    signal = await node.core.runs.decide(run_id, decide)
    assert signal is not None
    return signal


async def updated(node: SmallServer, run_id: str, name: str, data: str) -> Update:
    request = UpdateRequest(
        namespace=NAMESPACE, name=name, arguments=Payload("avro", data)
    )
    return await node.core.runs.decide(
        run_id, lambda draft: accept_update(draft, request).update
    )


async def payloads(node: SmallServer, run_id: str) -> dict[str, dict[str, Any]]:
    """The last event of each type, as the database has it."""
    events = await node.faults.real.history(run_id, after=0, upto=None, limit=1000)
    return {str(e.event_type): orjson.loads(e.payload) for e in events}


async def test_an_applied_update_tells_its_arguments_again(node: SmallServer) -> None:
    run_id = (await node.start()).run.id
    await node.complete(await node.leased(), [WAIT])
    update = await updated(node, run_id, "set", "ARGS")
    task = await node.leased()
    assert task.leased.task.resume["workflow_update_id"] == update.id
    result = Payload("avro", "OUT")
    await node.complete(task, [CompleteUpdate(update_id=update.id, result=result)])
    found = await payloads(node, run_id)
    assert found["UpdateAccepted"]["arguments"] == "ARGS"
    assert found["UpdateApplied"]["arguments"] == "ARGS"
    assert found["UpdateCompleted"]["result"] == "OUT"
    stored = await node.faults.real.find_update(update.id)
    assert stored is not None
    assert stored.result == result


async def test_a_signal_wait_gets_the_value_of_its_signal(node: SmallServer) -> None:
    run_id = (await node.start()).run.id
    await node.complete(await node.leased(), [OpenSignalWait(name="go")])
    await signalled(node, run_id, "go", "VALUE")
    await node.complete(await node.leased(), [DONE])
    assert (await payloads(node, run_id))["SignalApplied"]["value"] == "VALUE"


async def test_messages_of_a_leased_task_move_with_their_arguments(
    node: SmallServer,
) -> None:
    run_id = (await node.start()).run.id
    task = await node.leased()
    update = await updated(node, run_id, "set", "ONE")
    await signalled(node, run_id, "go", "TWO")
    node.core.runs.hot.drop(run_id)
    await node.complete(task, [ContinueAsNew()])
    next_task = await node.leased()
    new_id = next_task.leased.run.id
    assert new_id != run_id
    found = await payloads(node, new_id)
    assert found["UpdateAccepted"]["arguments"] == "ONE"
    assert found["SignalReceived"]["arguments"] == {"codec": "avro", "blob": "TWO"}
    await node.complete(next_task, [WAIT])
    task = await node.leased()
    await node.complete(task, [CompleteUpdate(update_id=update.id)])
    assert (await payloads(node, new_id))["UpdateApplied"]["arguments"] == "ONE"
    found_update = await node.faults.real.find_update(update.id)
    assert found_update is not None
    assert (found_update.run_id, found_update.status) == (new_id, "completed")


@pytest.mark.parametrize(
    ("attributes", "types", "is_good"),
    [
        ({"Region": "eu", "Unknown": 5, "Gone": None}, {}, True),
        ({"Region": 5}, {}, False),
        ({"Region": 5}, {"Region": "int"}, False),
        ({"Flags": ["a"]}, {}, True),
        ({"Flags": "a"}, {}, False),
        ({"Unknown": ["a"]}, {}, False),
        ({"Unknown": ["a"]}, {"Unknown": "keyword_list"}, True),
        ({"Unknown": {"a": 1}}, {}, False),
        ({"a b": 1}, {}, False),
        ({"Status": 1}, {}, False),
    ],
)
async def test_attributes_obey_the_types_of_the_namespace(
    node: SmallServer,
    attributes: dict[str, object],
    types: dict[str, str],
    is_good: bool,
) -> None:
    store = node.faults.real
    for name, value_type in (("Region", "keyword"), ("Flags", "keyword_list")):
        await store.put_search_attribute(
            NAMESPACE, name, value_type=value_type, created_at=1
        )
    run_id = (await node.start()).run.id
    task = await node.leased()
    upsert = UpsertSearchAttributes(attributes=attributes, types=types)
    reply = await node.services.workflow_tasks.complete(
        ref_of(task), [upsert, ScheduleActivity(activity_type="a")]
    )
    assert isinstance(reply, Completed if is_good else Rejection)
    if isinstance(reply, Rejection):
        assert reply.reason == "invalid_commands"
    given = await store.run_input(run_id)
    kept = {k: v for k, v in attributes.items() if v is not None} if is_good else {}
    assert given is not None
    assert given.search_attributes == kept
