"""What is told to workers: only what works, and only what they understand."""

from __future__ import annotations

import orjson
import pytest

from dwserver.protocol.capabilities import (
    TERMINAL_COMMANDS,
    Capability,
    WorkerCommand,
    WorkingFeatures,
    may_send,
    serialize_capabilities,
    server_capabilities,
)
from dwserver.protocol.versions import WorkerVersion

V1_0 = WorkerVersion(1, 0)
V1_16 = WorkerVersion(1, 16)
ALL = WorkingFeatures(
    commands=frozenset(WorkerCommand), capabilities=frozenset(Capability)
)
NONE = WorkingFeatures(
    commands=frozenset(),
    capabilities=frozenset(),
    long_poll_timeout_seconds=7,
    is_compression_enabled=False,
)


def test_terminal_commands_come_first() -> None:
    commands = server_capabilities(ALL, V1_0)["supported_workflow_task_commands"]
    assert set(commands[:3]) == {str(command) for command in TERMINAL_COMMANDS}
    assert not set(commands[3:]) & {str(command) for command in TERMINAL_COMMANDS}


def test_memo_upserts_are_told_from_their_version_on() -> None:
    old = server_capabilities(ALL, WorkerVersion(1, 15))
    new = server_capabilities(ALL, V1_16)
    assert "upsert_memo" not in old["supported_workflow_task_commands"]
    assert "workflow_memo_updates" not in old
    assert "upsert_memo" in new["supported_workflow_task_commands"]
    assert new["workflow_memo_updates"] == {"supported": True}


@pytest.mark.parametrize("command", WorkerCommand)
def test_who_may_send_what(command: WorkerCommand) -> None:
    assert may_send(command, V1_16)
    later = (WorkerCommand.UPSERT_MEMO, WorkerCommand.OPEN_SIGNAL_WAIT)
    assert may_send(command, V1_0) is (command not in later)


def test_nothing_is_told_that_does_not_work() -> None:
    body = server_capabilities(NONE, V1_16)
    assert body["long_poll_timeout"] == 7
    assert body["supported_workflow_task_commands"] == []
    assert body["response_compression"] == []
    assert body["history_compression"]["supported_encodings"] == []
    assert not {str(word) for word in Capability} & set(body)
    assert "workflow_memo_updates" not in body


def test_each_capability_is_told_alone() -> None:
    for word in Capability:
        features = WorkingFeatures(commands=frozenset(), capabilities=frozenset({word}))
        told = server_capabilities(features, V1_0)
        assert told[word] is True
        assert len(told) == len(server_capabilities(NONE, V1_0)) + 1


def test_serialised_form_is_the_same_object() -> None:
    assert orjson.loads(serialize_capabilities(ALL, V1_16)) == server_capabilities(
        ALL, V1_16
    )
