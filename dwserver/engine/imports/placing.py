"""The place of an imported run beside those that its workflow id has here.

Workflow ids are unique within a namespace only (decision 20f); run ids everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dwserver.engine.imports.eligibility import Finding, Rule
from dwserver.engine.model import Instance, Run
from dwserver.engine.records import replace
from dwserver.engine.transition import RunChange, Transition


@dataclass(frozen=True, slots=True)
class Here:
    """What the workflow id stands for here: its current run and all of them."""

    instance: Instance
    current: Run
    runs: Sequence[Run]


def place(
    change: RunChange, here: Here | None, *, is_current: bool
) -> Transition | Finding:
    """The write of the imported run, or what stands in its way.

    A run that joins others is guarded by the version of the current one, which every
    change of the instance raises: whoever imports at the same time meets a conflict.
    """
    run = change.run
    if here is None:
        return Transition(changes=(change,), new_instances=(_instance(run),))
    refused = _refusal(run, here, is_current=is_current)
    if refused is not None:
        return refused
    current = here.current
    guard = RunChange(
        base_version=current.version, run=replace(current, version=current.version + 1)
    )
    instance = replace(
        here.instance, run_count=max(here.instance.run_count, run.run_number)
    )
    if is_current:
        instance = replace(
            instance, workflow_type=run.workflow_type, current_run_id=run.id
        )
    return Transition(changes=(guard, change), instances=(instance,))


def _instance(run: Run) -> Instance:
    return Instance(
        namespace=run.namespace,
        workflow_id=run.workflow_id,
        workflow_type=run.workflow_type,
        current_run_id=run.id,
        run_count=run.run_number,
        created_at=run.started_at,
    )


def _refusal(run: Run, here: Here, *, is_current: bool) -> Finding | None:
    """An earlier run that has ended may join an open one; nothing may take its
    place."""
    if is_current and not here.current.status.is_terminal:
        text = f"The workflow id has the open run {here.current.id} here."
        return Finding(Rule.OPEN_RUN_PRESENT, text)
    if any(other.run_number == run.run_number for other in here.runs):
        text = f"The workflow id has another run of the number {run.run_number} here."
        return Finding(Rule.RUN_NUMBER_CONFLICT, text)
    return None
