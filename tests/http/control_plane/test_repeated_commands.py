"""Commands that arrive several times, over HTTP."""

from __future__ import annotations

from tests.support.json_http import operator, read_history
from tests.support.processes import TEST_TOKEN, StartServer


def test_three_identical_requests_count_once(
    start_server: StartServer, store_url: str
) -> None:
    """Every command with a request id, and start with signal, over HTTP."""
    control = operator(start_server(store_url).base_url, TEST_TOKEN)
    path = "/api/workflows/three"
    start = {
        "workflow_type": "c.flow",
        "task_queue": "cq",
        "signal_input": ["Ada"],
        "request_id": "s",
    }
    requests = (
        ("signal-with-start/hello", start, 202),
        ("signal/go", {"input": [1], "request_id": "r"}, 202),
        ("update/set", {"input": [1], "request_id": "r"}, 202),
        ("repair", {"request_id": "r"}, 200),
        ("terminate", {"reason": "enough", "request_id": "r"}, 200),
        ("archive", {"reason": "done", "request_id": "r"}, 200),
    )
    for sequence, (command, body, status) in enumerate(requests, start=2):
        answers = [
            control.request("POST", f"{path}/{command}", body).expect(status)
            for _ in range(3)
        ]
        assert answers[0] == answers[1] == answers[2]
        assert answers[0]["command_sequence"] == sequence
        if command.startswith("signal-with-start"):
            assert answers[0]["start_outcome"] == "started_new"
            assert answers[0]["control_plane"]["operation_name"] == "hello"
    run_id = answers[0]["run_id"]
    events = read_history(control, "three", run_id)
    assert [event["event_type"] for event in events] == [
        "StartAccepted",
        "WorkflowStarted",
        "SignalReceived",
        "SignalReceived",
        "UpdateAccepted",
        "RepairRequested",
        "TerminateRequested",
        "WorkflowTerminated",
        "UpdateCompleted",
        "ArchiveRequested",
        "WorkflowArchived",
    ]
