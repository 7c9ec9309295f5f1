"""``replay_history.py SCENARIO RUN_ID < events.json``: replays a finished history.

Uses the SDK's ``Replayer``, or its replay function where the release has no such
class. Prints the names of the commands that the workflow code ends with; any
disagreement between code and history raises.
"""

from __future__ import annotations

import json
import sys

import durable_workflow
from scenarios import SCENARIOS

scenario, run_id = sys.argv[1:]
events = json.load(sys.stdin)
workflow_class, arguments = SCENARIOS[scenario]
if hasattr(durable_workflow, "Replayer"):
    replayer = durable_workflow.Replayer(workflows=[workflow_class])
    outcome = replayer.replay(events, arguments, run_id=run_id, payload_codec="avro")
else:
    outcome = durable_workflow.workflow.replay(
        workflow_class, events, arguments, run_id=run_id, payload_codec="avro"
    )
print(json.dumps([type(command).__name__ for command in outcome.commands]))
