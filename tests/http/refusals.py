"""The answer to a request with one wrong field, in the envelope of its plane."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.http.input_cases import Body, Case
from tests.support.json_http import CONTROL_PLANE_HEADER, WORKER_HEADER, Answer

VERSION = "1.20"
MANAGEMENT = ""


def refused_in_envelope(
    answer: Answer, case: Case, *, operation: str | None
) -> list[str]:
    """What is wrong with the refusal of one field; ``operation`` is None on the worker
    plane, :data:`MANAGEMENT` where answers have no nested object."""
    body, problems = answer.body, []
    if answer.status != 422:
        return [f"status {answer.status}: {str(body)[:200]}"]
    if body.get("reason") != "validation_failed":
        problems.append(f"reason {body.get('reason')}")
    errors = body.get("validation_errors")
    if errors != body.get("errors"):
        problems.append("errors and validation_errors differ")
    paths = set(errors) if isinstance(errors, dict) else set()
    if case.path not in paths or not paths <= {case.path, *case.also}:
        problems.append(f"errors at {errors}")
    elif not all(isinstance(text, str) and text for text in errors[case.path]):
        problems.append(f"texts {errors[case.path]}")
    if not body.get("message"):
        problems.append("no message")
    if operation is None:
        if body.get("protocol_version") != VERSION or "server_capabilities" not in body:
            problems.append("no worker envelope")
        if answer.headers.get(WORKER_HEADER.lower()) != VERSION:
            problems.append("no worker header")
    else:
        nested = body.get("control_plane", {}).get("operation", MANAGEMENT)
        if nested != operation:
            problems.append("no control-plane envelope")
        if answer.headers.get(CONTROL_PLANE_HEADER.lower()) != "2":
            problems.append("no control-plane header")
    return problems


def check(
    name: str,
    wrong: Iterable[Case],
    send: Callable[[Body], Answer],
    *,
    operation: str | None = None,
) -> list[str]:
    return [
        f"{name}: {case.label}: {problem}"
        for case in wrong
        for problem in refused_in_envelope(send(case.body), case, operation=operation)
    ]
