"""Operator commands find their run, and the same request counts once."""

from __future__ import annotations

import asyncio

import pytest

from dwserver.engine.commands.terminal import CompleteWorkflow, ContinueAsNew
from dwserver.engine.commands.updates import CompleteUpdate, FailUpdate
from dwserver.engine.lifecycle.archive import ArchiveRequest
from dwserver.engine.lifecycle.operator import OperatorRequest
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import CommandType, RunStatus, UpdateStatus
from dwserver.services.command_targets import KNOWN_RUNS, Target
from dwserver.store.api import LeaseRenewal
from tests.services.operator_room import (
    Operators,
    a_close,
    a_message,
    accepted_or_not,
    command_count,
    plain,
)
from tests.support.small_server import LONG, NAMESPACE, SECOND, SmallServer
from tests.support.waiting import eventually

TYPES = (CommandType.CANCEL, CommandType.TERMINATE)


# the run that is meant ---------------------------------------------------------------


async def test_an_id_of_the_namespace_is_found(node: SmallServer) -> None:
    run = (await node.start()).run
    find = node.services.commands.find_target
    found = await find(NAMESPACE, "order-1", None)
    assert isinstance(found, Target)
    assert (found.instance.current_run_id, found.run_id) == (run.id, None)
    named = await find(NAMESPACE, "order-1", run.id)
    assert isinstance(named, Target)
    assert named.run_id == run.id
    for namespace, workflow_id in (("other", "order-1"), (NAMESPACE, "order-2")):
        missing = await find(namespace, workflow_id, run.id)
        assert isinstance(missing, Rejection)
        assert missing.reason == "instance_not_found"


async def test_only_the_current_run_takes_commands(node: SmallServer) -> None:
    run = (await node.start()).run
    current = await Operators(node).continue_as_new()
    find = node.services.commands.find_target
    for run_id in (run.id, "no-such-run"):
        refused = await find(NAMESPACE, "order-1", run_id)
        assert isinstance(refused, Rejection)
        assert refused.reason == "historical_run_command_rejected"
    assert isinstance(await find(NAMESPACE, "order-1", current), Target)


async def test_a_command_follows_the_workflow_to_its_new_run(
    node: SmallServer, second_node: SmallServer
) -> None:
    run = (await node.start()).run
    operators = Operators(node)
    target = await operators.target()
    current = await operators.continue_as_new()
    commands = second_node.services.commands
    signalled = accepted_or_not(await commands.signal(target, a_message()))
    assert signalled.command.rejection_reason is None
    assert signalled.command.run_id == signalled.run.id == current
    closed = accepted_or_not(await commands.close(target, a_close()))
    assert closed.run.id == current
    assert await command_count(node, run.id) == 1


async def test_a_command_for_a_run_stays_with_it(node: SmallServer) -> None:
    run = (await node.start()).run
    operators = Operators(node, name_run=True)
    target = await operators.target()
    current = await operators.continue_as_new()
    commands = node.services.commands
    for sequence, done in enumerate(
        (
            await commands.signal(target, a_message()),
            await commands.update(target, a_message()),
            await commands.close(target, a_close()),
        ),
        start=2,
    ):
        command = accepted_or_not(done).command
        assert command.rejection_reason == "selected_run_not_current"
        assert command.outcome == "rejected_not_current"
        assert (command.run_id, command.sequence) == (run.id, sequence)
    assert await command_count(node, current) == 0


async def test_a_run_that_continues_in_the_same_commit_is_followed(
    node: SmallServer,
) -> None:
    """Signal and completion wait for the run together and are decided as one."""
    await node.start()
    operators = Operators(node)
    target = await operators.target()
    delivery = await node.leased()
    async with node.faults.holding("commit") as held:
        first = asyncio.create_task(operators.signal(a_message("first")))
        await held.reached()
        completing = asyncio.create_task(node.complete(delivery, [ContinueAsNew()]))
        following = asyncio.create_task(
            node.services.commands.signal(target, a_message("second"))
        )
        await eventually(lambda: node.faults.calls["find_task"] >= 0)
        held.release()
        await asyncio.gather(first, completing)
    signalled = accepted_or_not(await following)
    assert signalled.run.id == (await operators.target()).instance.current_run_id
    state = await node.state(signalled.run.id)
    assert [signal.name for signal in state.signals.values()] == ["first", "second"]


# repair and archive ------------------------------------------------------------------


async def test_a_lost_lease_is_given_back_once(node: SmallServer) -> None:
    """Three equal requests leave one command and one event."""
    run = (await node.start()).run
    held = await node.leased()
    node.clock.advance(seconds=LONG + 1)
    target = await Operators(node).target()
    request = OperatorRequest(namespace=NAMESPACE, request_id="r")
    repair = node.services.commands.repair
    answers = [accepted_or_not(await repair(target, request)) for _ in range(3)]
    assert len({answer.command.id for answer in answers}) == 1
    assert answers[0].command.outcome == "repair_dispatched"
    assert await command_count(node, run.id) == 2
    again = await node.leased()
    assert (again.leased.task.id, again.leased.task.attempt) == (
        held.leased.task.id,
        2,
    )


async def test_a_repair_sees_the_renewal_of_another_process(
    node: SmallServer, second_node: SmallServer
) -> None:
    await node.start()
    held = await node.leased()
    task = held.leased.task
    assert task.lease_expires_at is not None
    renewal = LeaseRenewal(
        task.id,
        task.lease_owner or "",
        task.lease_expires_at + 600 * SECOND,
        attempt=task.attempt,
    )
    assert await second_node.faults.real.renew_leases([renewal]) == [True]
    node.clock.advance(seconds=LONG + 1)
    request = OperatorRequest(namespace=NAMESPACE)
    target = await Operators(node).target()
    done = accepted_or_not(await node.services.commands.repair(target, request))
    assert done.command.outcome == "repair_not_needed"


async def test_an_archived_run_is_archived_in_the_database(
    node: SmallServer, second_node: SmallServer
) -> None:
    await node.start()
    operators = Operators(node)
    await operators.close()
    request = ArchiveRequest(namespace=NAMESPACE, reason="kept", request_id="a")
    target = await operators.target()
    for server in (node, second_node, node):
        done = accepted_or_not(await server.services.commands.archive(target, request))
        assert done.command.outcome == "archived"
    again = ArchiveRequest(namespace=NAMESPACE)
    done = accepted_or_not(await second_node.services.commands.archive(target, again))
    assert done.command.outcome == "archive_not_needed"
    state = await second_node.state(done.run.id)
    assert state.run.archived_at == done.run.archived_at
    assert state.run.archived_at is not None


# closing -----------------------------------------------------------------------------


@pytest.mark.parametrize("command_type", TYPES)
async def test_a_run_closes_once(node: SmallServer, command_type: CommandType) -> None:
    run = (await node.start()).run
    operators = Operators(node)
    closed = await operators.close(a_close(command_type, reason="enough"))
    assert closed.command.rejection_reason is None
    assert closed.run.status.value == closed.command.outcome
    assert closed.run.status.is_terminal
    again = await operators.close(a_close(command_type))
    assert again.command.rejection_reason == "run_not_active"
    assert again.command.sequence == 3
    detail = await node.services.workflows.describe(NAMESPACE, "order-1", run.id)
    assert detail is not None
    assert detail.view.run.status is closed.run.status


async def test_what_a_closed_run_is_told_is_recorded(node: SmallServer) -> None:
    run = (await node.start()).run
    operators = Operators(node)
    await node.complete(await node.leased(), [CompleteWorkflow()])
    signalled = await operators.signal()
    updated = await operators.update()
    for done in (signalled, updated):
        assert done.command.rejection_reason == "run_not_active"
    assert updated.update is not None
    assert updated.update.status is UpdateStatus.REJECTED
    assert await command_count(node, run.id) == 3


# the same request --------------------------------------------------------------------


async def test_a_request_is_answered_once(
    node: SmallServer, second_node: SmallServer
) -> None:
    """At the same time in one process, in another one, and later."""
    run = (await node.start()).run
    message = a_message(request_id="r-1", arguments=plain("[1]"))
    here, there = Operators(node), Operators(second_node)
    together = await asyncio.gather(
        *(operators.signal(message) for operators in (here, here, there))
    )
    later = [await here.signal(message), await there.signal(message)]
    first = together[0].command
    assert {done.command.id for done in (*together, *later)} == {first.id}
    assert await command_count(node, run.id) == 2
    assert len((await node.state(run.id)).signals) == 1
    assert (await node.event_types(run.id)).count("SignalReceived") == 1


async def test_requests_without_an_id_count_each(node: SmallServer) -> None:
    run = (await node.start()).run
    for _ in range(2):
        await Operators(node).signal()
    assert len((await node.state(run.id)).signals) == 2


async def test_a_request_after_a_lost_answer_is_the_same_request(
    node: SmallServer,
) -> None:
    run = (await node.start()).run
    request = a_close(request_id="c-1", reason="enough")
    first, second, third = [await Operators(node).close(request) for _ in range(3)]
    assert first.command.id == second.command.id == third.command.id
    assert third.command.rejection_reason is None
    assert third.run.status is RunStatus.CANCELLED
    assert await command_count(node, run.id) == 2


async def test_a_rejected_request_stays_rejected(node: SmallServer) -> None:
    run = (await node.start()).run
    await Operators(node).close()
    message = a_message(request_id="r-1")
    done = [await Operators(node).update(message) for _ in range(3)]
    assert {each.command.rejection_reason for each in done} == {"run_not_active"}
    assert len({each.update.id for each in done if each.update}) == 1
    assert await command_count(node, run.id) == 3


@pytest.mark.parametrize("runs_later", [2, KNOWN_RUNS - 1, KNOWN_RUNS])
async def test_a_request_is_known_to_the_runs_that_follow(
    node: SmallServer, runs_later: int
) -> None:
    """Up to a number of runs; then it counts as new."""
    await node.start()
    operators = Operators(node)
    request = a_message(request_id="r-1", arguments=plain("[1]"))
    signal, update = await operators.signal(request), await operators.update(request)
    assert update.update is not None
    ending = CompleteUpdate(update_id=update.update.id)
    await node.complete(await node.leased(), [ending, ContinueAsNew()])
    for _ in range(runs_later - 1):
        await operators.continue_as_new()
    current = (await operators.target()).instance.current_run_id
    count = await command_count(node, current)
    again = await operators.signal(request), await operators.update(request)
    is_known = runs_later < KNOWN_RUNS
    assert [done.is_repeated for done in again] == [is_known, is_known]
    if is_known:
        assert again[0].command.id == signal.command.id
        assert again[1].command.id == update.command.id
        other = a_message(request_id="r-1", arguments=plain("[2]"))
        refused = await node.services.commands.signal(await operators.target(), other)
        assert isinstance(refused, Rejection)
        assert refused.reason == "request_id_conflict"
    added = await command_count(node, current) - count
    assert added == (0 if is_known else 2)


async def test_an_id_for_another_request_is_a_conflict(node: SmallServer) -> None:
    run = (await node.start()).run
    operators = Operators(node)
    await operators.signal(a_message(request_id="r-1", arguments=plain("[1]")))
    target = await operators.target()
    for other in (
        a_message("reject", request_id="r-1", arguments=plain("[1]")),
        a_message(request_id="r-1", arguments=plain("[2]")),
        a_message(request_id="r-1"),
    ):
        refused = await node.services.commands.signal(target, other)
        assert isinstance(refused, Rejection)
        assert refused.reason == "request_id_conflict"
    assert await command_count(node, run.id) == 2


async def test_kinds_of_commands_have_their_own_ids(node: SmallServer) -> None:
    run = (await node.start()).run
    operators = Operators(node)
    message = a_message(request_id="r-1")
    done = (
        await operators.signal(message),
        await operators.update(message),
        await operators.close(a_close(request_id="r-1")),
    )
    assert all(each.command.rejection_reason is None for each in done)
    assert await command_count(node, run.id) == 4


async def test_a_request_is_known_to_the_next_run(node: SmallServer) -> None:
    await node.start()
    operators = Operators(node)
    delivery = await node.leased()
    message = a_message(request_id="r-1")
    first = await operators.signal(message)
    await node.complete(delivery, [ContinueAsNew()])
    again = await operators.signal(message)
    assert again.command.id == first.command.id
    current = (await operators.target()).instance.current_run_id
    assert len((await node.state(current)).signals) == 1


# updates -----------------------------------------------------------------------------


async def complete_update(node: SmallServer, update_id: str) -> None:
    await node.complete(
        await node.leased(),
        [CompleteUpdate(update_id=update_id, result=plain('"yes"'))],
    )


async def test_an_update_is_waited_for(node: SmallServer) -> None:
    await node.start()
    updated = await Operators(node).update()
    assert updated.update is not None
    assert updated.update.is_open
    commands = node.services.commands
    waiting = asyncio.create_task(
        commands.until_closed(updated, seconds=LONG, is_connected=lambda: True)
    )
    await asyncio.sleep(0)
    await complete_update(node, updated.update.id)
    done = await waiting
    assert done.update is not None
    assert done.update.status is UpdateStatus.COMPLETED
    assert done.update.result == plain('"yes"')
    assert not done.is_wait_over
    again = await Operators(node).update(a_message(request_id="other"))
    assert again.update is not None
    assert again.update.id != updated.update.id


async def test_a_repeated_update_is_answered_with_its_result(
    node: SmallServer,
) -> None:
    await node.start()
    message = a_message(request_id="u-1")
    updated = await Operators(node).update(message)
    assert updated.update is not None
    assert (await Operators(node).update(message)).update == updated.update
    await node.complete(
        await node.leased(), [FailUpdate(update_id=updated.update.id, message="no")]
    )
    again = await Operators(node).update(message)
    assert again.command.id == updated.command.id
    assert again.update is not None
    assert again.update.status is UpdateStatus.FAILED
    assert again.update.failure_message == "no"


async def test_an_update_that_another_process_closes_is_seen(
    node: SmallServer, second_node: SmallServer
) -> None:
    await node.start()
    updated = await Operators(second_node).update()
    assert updated.update is not None
    waiting = asyncio.create_task(
        second_node.services.commands.until_closed(
            updated, seconds=LONG, is_connected=lambda: True
        )
    )
    await complete_update(node, updated.update.id)
    done = await waiting
    assert done.update is not None
    assert done.update.status is UpdateStatus.COMPLETED


async def test_an_update_is_waited_for_in_the_next_run(node: SmallServer) -> None:
    await node.start()
    delivery = await node.leased()
    updated = await Operators(node).update()
    assert updated.update is not None
    waiting = asyncio.create_task(
        node.services.commands.until_closed(
            updated, seconds=LONG, is_connected=lambda: True
        )
    )
    await node.complete(delivery, [ContinueAsNew()])
    await complete_update(node, updated.update.id)
    done = await waiting
    assert done.update is not None
    assert done.update.status is UpdateStatus.COMPLETED
    found = await node.faults.real.find_update(updated.update.id)
    assert found == done.update


async def test_the_wait_for_an_update_ends_in_time(node: SmallServer) -> None:
    await node.start()
    updated = await Operators(node).update()
    done = await node.services.commands.until_closed(
        updated, seconds=0.01, is_connected=lambda: True
    )
    assert done.is_wait_over
    assert done.update == updated.update


async def test_a_rejected_update_is_not_waited_for(node: SmallServer) -> None:
    await node.start()
    await Operators(node).close()
    updated = await Operators(node).update()
    done = await node.services.commands.until_closed(
        updated, seconds=LONG, is_connected=lambda: True
    )
    assert done == updated


async def test_nobody_waits_for_a_client_that_has_gone(node: SmallServer) -> None:
    await node.start()
    updated = await Operators(node).update()
    done = await node.services.commands.until_closed(
        updated, seconds=LONG, is_connected=lambda: False
    )
    assert done.is_wait_over


async def test_shutdown_ends_the_wait_for_an_update(node: SmallServer) -> None:
    await node.start()
    updated = await Operators(node).update()
    waiting = asyncio.create_task(
        node.services.commands.until_closed(
            updated, seconds=LONG, is_connected=lambda: True
        )
    )
    await asyncio.sleep(0)
    node.core.waiters.release_all()
    assert (await waiting).is_wait_over


async def test_a_run_that_closes_closes_its_updates(node: SmallServer) -> None:
    await node.start()
    updated = await Operators(node).update()
    waiting = asyncio.create_task(
        node.services.commands.until_closed(
            updated, seconds=LONG, is_connected=lambda: True
        )
    )
    await asyncio.sleep(0)
    await Operators(node).close()
    done = await waiting
    assert done.update is not None
    assert done.update.status is UpdateStatus.FAILED
