"""Signal with start: one transition, whatever the workflow id stands for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.lifecycle.start import DuplicatePolicy
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import RunStatus
from dwserver.services.runs import RunContended
from dwserver.services.signal_with_start import SignalledStart
from tests.services.operator_room import a_message, command_count, plain
from tests.support.small_server import WORKFLOW, SmallServer, a_start_request

USE_EXISTING = DuplicatePolicy.USE_EXISTING


async def send(
    server: SmallServer, policy: DuplicatePolicy = USE_EXISTING, **fields: Any
) -> SignalledStart:
    start = a_start_request(duplicate_policy=policy, context={"caller": "me"})
    message = a_message(**{"context": {"caller": "me"}, **fields})
    done = await server.services.signal_with_start.send(start, message)
    assert isinstance(done, SignalledStart), done
    return done


async def test_a_new_run_has_the_signal_from_the_beginning(node: SmallServer) -> None:
    done = await send(node, arguments=plain("[1]"))
    assert done.started.outcome == "started_new"
    assert done.signalled is not None
    command = done.signalled.command
    assert (command.sequence, command.outcome) == (2, "signal_received")
    run = done.started.run
    assert node.faults.calls["commit"] == 1
    assert await node.event_types(run.id) == [
        "StartAccepted",
        "WorkflowStarted",
        "SignalReceived",
    ]
    state = await node.state(run.id)
    assert len(state.tasks) == 1
    assert [signal.name for signal in state.signals.values()] == ["approve"]
    delivery = await node.leased()
    assert delivery.leased.task.snapshot_sequence == 3


async def test_both_commands_name_one_intake(node: SmallServer) -> None:
    done = await send(node, request_id="r-1")
    assert done.signalled is not None
    intake: Any = done.signalled.command.context["intake"]
    assert intake["mode"] == "signal_with_start"
    assert intake["start_outcome"] == "started_new"
    assert done.signalled.command.context["caller"] == "me"


async def test_an_active_run_gets_just_the_signal(node: SmallServer) -> None:
    run = (await node.start()).run
    done = await send(node)
    assert done.started.outcome == "returned_existing_active"
    assert done.started.run.id == run.id
    assert done.signalled is not None
    assert await node.event_types(run.id) == [
        "StartAccepted",
        "WorkflowStarted",
        "SignalReceived",
    ]
    assert await command_count(node, run.id) == 2


async def test_a_caller_may_insist_on_a_free_id(node: SmallServer) -> None:
    run = (await node.start()).run
    done = await send(node, DuplicatePolicy.FAIL)
    assert done.started.outcome == "rejected_duplicate"
    assert done.signalled is None
    assert (await node.event_types(run.id))[2:] == ["StartRejected"]
    assert not (await node.state(run.id)).signals


@pytest.mark.parametrize("policy", DuplicatePolicy)
async def test_a_used_id_stays_used(node: SmallServer, policy: DuplicatePolicy) -> None:
    run = (await node.start()).run
    await node.complete(await node.leased(), [CompleteWorkflow()])
    done = await send(node, policy)
    assert done.started.outcome == "rejected_duplicate"
    assert done.started.run.status is RunStatus.COMPLETED
    assert done.started.run.id == run.id
    assert done.signalled is None


@pytest.mark.parametrize("policy", DuplicatePolicy)
async def test_the_same_request_starts_and_signals_once(
    node: SmallServer, second_node: SmallServer, policy: DuplicatePolicy
) -> None:
    done = [
        *await asyncio.gather(
            *(send(each, policy, request_id="r") for each in (node, node, second_node))
        ),
        await send(second_node, policy, request_id="r"),
    ]
    assert {each.started.outcome for each in done} == {"started_new"}
    assert len({each.started.run.id for each in done}) == 1
    assert len({each.signalled.command.id for each in done if each.signalled}) == 1
    assert await command_count(node, done[0].started.run.id) == 2


async def test_requests_without_an_id_signal_each(
    node: SmallServer, second_node: SmallServer
) -> None:
    done = await asyncio.gather(*(send(each) for each in (node, second_node, node)))
    assert len({each.started.run.id for each in done}) == 1
    assert sorted(each.started.outcome for each in done) == [
        *["returned_existing_active"] * 2,
        "started_new",
    ]
    assert len((await node.state(done[0].started.run.id)).signals) == 3


async def test_an_id_belongs_to_one_type(node: SmallServer) -> None:
    run = (await node.start()).run
    start = a_start_request(workflow_type="orders.Other", duplicate_policy=USE_EXISTING)
    refused = await node.services.signal_with_start.send(start, a_message())
    assert isinstance(refused, Rejection)
    assert list(refused.fields["errors"]) == ["workflow_type"]
    assert await command_count(node, run.id) == 1


async def test_a_signal_that_would_be_refused_starts_nothing(
    node: SmallServer,
) -> None:
    block = {"signals": ["reject"]}
    details = {"workflow_command_contracts": {WORKFLOW: block}}
    await node.register("worker-2", details=details)
    start = a_start_request()
    refused = await node.services.signal_with_start.send(start, a_message())
    assert isinstance(refused, Rejection)
    assert refused.reason == "unknown_signal"
    assert refused.fields["signal_name"] == "approve"
    assert node.faults.calls["commit"] == 0
    run = (await node.start()).run
    done = await send(node)
    assert done.signalled is not None
    assert done.signalled.command.rejection_reason == "unknown_signal"
    assert await command_count(node, run.id) == 2


async def test_an_id_that_is_neither_free_nor_taken_is_contended(
    node: SmallServer,
) -> None:
    node.faults.refuse_next_commits(100)
    with pytest.raises(RunContended):
        await send(node)
