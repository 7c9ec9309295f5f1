"""``replay_histories.py < runs.json``: replays what was recorded, with the SDK's code.

Input: a list of ``{workflow_type, arguments, run_id, events, prefixes}``. Uses the
SDK's ``Replayer``, or its replay function where the release has no such class. Prints
for each run ``commands``, the names of the commands that the workflow code ends with,
and ``problems``: what disagrees between code and history, for the whole history and
for its first ``n`` events with each ``n`` of ``prefixes``.
"""

from __future__ import annotations

import copy
import json
import sys
from typing import Any

import durable_workflow
from durable_workflow import workflow

from tests.sdk.programs.registry import WORKFLOWS

CLASSES = {cls.__workflow_name__: cls for cls in WORKFLOWS}


class Mismatch(Exception):
    """The SDK blames the workflow for a wait that the history shows otherwise."""


def replay(run: dict[str, Any], events: list[Any]) -> list[str]:
    workflow_class = CLASSES[run["workflow_type"]]
    arguments = copy.deepcopy(run["arguments"])
    given: dict[str, Any] = {"run_id": run["run_id"], "payload_codec": "avro"}
    if hasattr(durable_workflow, "Replayer"):
        replayer = durable_workflow.Replayer(workflows=[workflow_class])
        outcome = replayer.replay(events, arguments, **given)
    else:
        outcome = workflow.replay(workflow_class, events, arguments, **given)
    for command in outcome.commands:
        if str(getattr(command, "exception_type", "")).startswith("NonDeterministic"):
            raise Mismatch(command.message)
    return [type(command).__name__ for command in outcome.commands]


def judge(run: dict[str, Any]) -> dict[str, Any]:
    events = run["events"]
    commands: list[str] = []
    problems = []
    for length in [*run["prefixes"], len(events)]:
        try:
            commands = replay(run, events[:length])
        except Exception as error:
            problems.append(f"first {length} events: {type(error).__name__}: {error}")
    return {"commands": commands, "problems": problems}


print(json.dumps([judge(run) for run in json.load(sys.stdin)]))
