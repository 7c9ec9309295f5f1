"""Read what a decision needs of a run besides its hot state."""

from __future__ import annotations

from dwserver.engine.background import Background
from dwserver.engine.model import Run
from dwserver.store.api import Store


async def read_background(store: Store, run: Run) -> Background:
    """Input and instance, as guarded by the version of ``run``."""
    inputs = await store.run_inputs([run.id])
    instance = await store.find_instance(run.namespace, run.workflow_id)
    return Background(input=inputs[run.id], instance=instance)
