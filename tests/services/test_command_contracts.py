"""Which names are known: from live workers of the queue, else from the run's start."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from dwserver.engine.words import EventType, UpdateStatus
from dwserver.protocol.command_contracts import NOTHING_DECLARED, MessageKind
from tests.services.operator_room import (
    Operators,
    a_message,
    command_count,
    plain,
)
from tests.support.builders import (
    a_run,
    a_start_transition,
    a_task,
    an_event,
)
from tests.support.small_server import NAMESPACE, QUEUE, WORKFLOW, SmallServer

NAME = {"name": "by", "required": True, "type": "string", "allows_null": False}
BLOCK = {
    "signals": ["approve"],
    "signal_contracts": [{"name": "approve", "parameters": [NAME]}],
    "updates": ["approve"],
    "update_contracts": [{"name": "approve", "parameters": [NAME]}],
}


async def declare(
    server: SmallServer, block: Any = BLOCK, worker_id: str = "worker-2"
) -> None:
    await server.register(
        worker_id, details={"workflow_command_contracts": {WORKFLOW: block}}
    )


async def refused(server: SmallServer, name: str, **fields: Any) -> str | None:
    done = await Operators(server).signal(a_message(name, **fields))
    return done.command.rejection_reason


GOOD = plain('["Ada"]')


async def test_without_a_contract_every_name_is_good(node: SmallServer) -> None:
    await node.start()
    assert await refused(node, "whatever") is None


async def test_a_live_worker_says_what_is_known(node: SmallServer) -> None:
    run = (await node.start()).run
    await declare(node)
    assert await refused(node, "approve", arguments=GOOD) is None
    assert await refused(node, "whatever") == "unknown_signal"
    updated = await Operators(node).update(a_message("whatever"))
    assert updated.command.rejection_reason == "unknown_update"
    assert updated.update is not None
    assert updated.update.status is UpdateStatus.REJECTED
    assert await command_count(node, run.id) == 4
    assert (await node.event_types(run.id))[2:] == ["SignalReceived", "UpdateRejected"]


async def test_arguments_are_held_against_the_contract(node: SmallServer) -> None:
    await node.start()
    await declare(node)
    operators = Operators(node)
    for arguments in (None, plain("[5]"), plain('{"of":1}')):
        done = await operators.signal(a_message(arguments=arguments))
        assert done.command.rejection_reason == "invalid_signal_arguments"
        assert done.validation_errors
        updated = await operators.update(a_message(arguments=arguments))
        assert updated.command.rejection_reason == "invalid_update_arguments"
        assert updated.validation_errors == done.validation_errors


async def test_named_arguments_are_stored_in_order(node: SmallServer) -> None:
    await node.start()
    message = a_message(arguments=plain('{"by":"Ada"}'), request_id="r-1")
    done = await Operators(node).signal(message)
    assert done.command.rejection_reason == "invalid_signal_arguments"
    await declare(node)
    message = a_message(arguments=plain('{"by":"Ada"}'), request_id="r-2")
    done = await Operators(node).signal(message)
    assert done.command.rejection_reason is None
    assert done.command.payload == plain('["Ada"]')
    assert (await Operators(node).signal(message)).command.id == done.command.id


async def test_a_repeated_request_is_told_the_same_errors(node: SmallServer) -> None:
    await node.start()
    await declare(node)
    message = a_message(request_id="r-1", arguments=plain("[5]"))
    first, second = [await Operators(node).signal(message) for _ in range(2)]
    assert first.command.id == second.command.id
    assert first.validation_errors == second.validation_errors != {}


async def test_workers_of_another_queue_or_type_do_not_count(
    node: SmallServer,
) -> None:
    await node.start()
    details = {"workflow_command_contracts": {WORKFLOW: BLOCK}}
    await node.register("elsewhere", task_queue="other", details=details)
    await node.register(
        "otherwise", details={"workflow_command_contracts": {"orders.Other": BLOCK}}
    )
    assert await refused(node, "whatever") is None


async def test_declarations_of_several_workers_add_up(node: SmallServer) -> None:
    await node.start()
    await declare(node)
    await declare(node, {"signals": ["reject"]}, "worker-3")
    assert await refused(node, "approve", arguments=GOOD) is None
    assert await refused(node, "reject") is None
    assert await refused(node, "whatever") == "unknown_signal"


async def test_a_stale_worker_does_not_count(node: SmallServer) -> None:
    await node.start()
    await declare(node)
    node.clock.advance(seconds=3600)
    assert await refused(node, "whatever") is None


async def test_registrations_elsewhere_are_seen_in_time(
    node: SmallServer, second_node: SmallServer
) -> None:
    await node.start()
    assert await refused(node, "whatever") is None
    await declare(second_node)
    second_node.clock.advance(seconds=3)
    node.clock.advance(seconds=3)
    assert await refused(node, "whatever") == "unknown_signal"
    await second_node.services.workers.deregister(NAMESPACE, "worker-2")
    assert await refused(second_node, "whatever") is None


async def test_many_commands_cost_one_look_at_the_workers(node: SmallServer) -> None:
    await node.start()
    before = node.faults.calls["list_workers"]
    for _ in range(3):
        assert await refused(node, "whatever") is None
    assert node.faults.calls["list_workers"] == before + 1
    assert node.faults.calls["history"] == 0


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_run_that_declared_its_names_knows_them(
    node: SmallServer, *, is_first: bool
) -> None:
    declared = {f"declared_{key}": value for key, value in BLOCK.items()}
    started = {"event_type": EventType.WORKFLOW_STARTED}
    payload = orjson.dumps(declared)
    position = 1 if is_first else 2
    other = an_event(3 - position)
    events = sorted(
        (an_event(position, **started, payload=payload), other),
        key=lambda event: event.sequence,
    )
    run = a_run(workflow_id="order-1", workflow_type=WORKFLOW, task_queue=QUEUE)
    await node.faults.real.commit(
        a_start_transition(run, events=tuple(events), new_tasks=(a_task(run),))
    )
    assert await refused(node, "whatever") == "unknown_signal"
    assert await refused(node, "approve", arguments=GOOD) is None
    assert node.faults.calls["history"] == 1
    await declare(node, {"signals": ["whatever"]})
    assert await refused(node, "whatever") is None


async def test_a_type_that_nobody_serves_declares_nothing(node: SmallServer) -> None:
    contracts = node.services.commands._contracts
    found = await contracts.of_type(NAMESPACE, QUEUE, WORKFLOW)
    assert found == NOTHING_DECLARED
    await declare(node)
    found = await contracts.of_type(NAMESPACE, QUEUE, WORKFLOW)
    assert found[MessageKind.SIGNAL].names == {"approve"}
