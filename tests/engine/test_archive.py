"""An operator archives closed runs (``spec/engine.md §4``)."""

from __future__ import annotations

from dwserver.engine.words import CommandStatus, CommandType
from tests.engine.builders import (
    Play,
    begun,
)
from tests.engine.documents import command_document
from tests.engine.endings import archive_run, close


def a_closed_run() -> Play:
    play, _ = begun()
    close(play, CommandType.TERMINATE)
    play.advance(1)
    return play


def test_a_closed_run_is_archived_with_both_events() -> None:
    play = a_closed_run()
    closed = play.run
    done = archive_run(
        play, reason=" exported ", request_id="a", context={"who": "ops"}
    )
    identity = {
        "workflow_command_id": done.command.id,
        "workflow_instance_id": "wf",
        "workflow_run_id": play.run_id,
    }
    snapshot = command_document(done.command)
    assert play.history()[-2:] == [
        (
            "ArchiveRequested",
            {
                **identity,
                "command_type": "archive",
                "outcome": "archived",
                "reason": "exported",
                "command": snapshot,
            },
        ),
        (
            "WorkflowArchived",
            {
                **identity,
                "archive_command_id": done.command.id,
                "reason": "exported",
                "command": snapshot,
            },
        ),
    ]
    assert play.run.archived_at == play.now
    assert (play.run.status, play.run.closed_at) == (closed.status, closed.closed_at)
    [*_, command] = play.here.commands
    assert (command.sequence, command.status, command.outcome) == (
        closed.command_sequence + 1,
        CommandStatus.ACCEPTED,
        "archived",
    )
    assert command.applied_at == play.now
    assert (command.request_id, command.context) == ("a", {"who": "ops"})
    assert command.payload is not None
    assert command.payload.data == '{"reason":"exported"}'


def test_an_archived_run_stays_archived_since_the_first_time() -> None:
    play = a_closed_run()
    archive_run(play)
    first = play.run.archived_at
    play.advance(5)
    again = archive_run(play, reason="  ")
    assert again.command.outcome == "archive_not_needed"
    assert again.command.payload is None
    [event_type, payload] = play.history()[-1]
    assert (event_type, payload["outcome"]) == (
        "ArchiveRequested",
        "archive_not_needed",
    )
    assert "reason" not in payload
    assert play.run.archived_at == first


def test_an_open_run_is_not_archived() -> None:
    play, _ = begun()
    before = play.history()
    done = archive_run(play, reason="too early")
    assert done.command.rejection_reason == "run_not_closed"
    assert done.command.outcome == "rejected_run_not_closed"
    assert play.history() == before
    assert play.run.archived_at is None
    assert play.here.commands[-1] == done.command
