"""Events from outside that start workflows, signal and update them."""

from __future__ import annotations

from tests.golden.families.family import Family, Otherwise
from tests.golden.families.interactive import CONTRACT, DECLARED
from tests.golden.replaying import Replay


async def prepare(replay: Replay) -> None:
    await replay.make_namespace()
    contracts = {DECLARED: CONTRACT}
    await replay.register("B", "bq", workflow_command_contracts=contracts)
    await replay.start("bi-36383", DECLARED, task_queue="bq")


QUEUED = "engine §9.6: an update waits behind signals; there it was refused"
FAMILY = Family(
    prepare=prepare,
    otherwise={
        "start_with_workflow_id_duplicate_rejected": Otherwise(
            "control-plane §17 D6: a start that was refused is not accepted",
            200,
            {"accepted": False, "outcome": "duplicate", "reason": "duplicate_start"},
        ),
        "update": Otherwise(QUEUED, 202, {"accepted": True, "outcome": "accepted"}),
        "update_same_key": Otherwise(
            QUEUED, 200, {"accepted": False, "outcome": "duplicate"}
        ),
    },
)
