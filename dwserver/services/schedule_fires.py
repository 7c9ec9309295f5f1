"""One fire of a schedule, from its decision to its commit.

The run and the change of the schedule are one transition, upon the version that was
decided on: of several that fire the same occurrence one succeeds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any, Final

import structlog

from dwserver.engine.context import Context
from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.close import CloseRequest
from dwserver.engine.lifecycle.start import DuplicatePolicy, Start, start_new
from dwserver.engine.model import Instance, RunInput
from dwserver.engine.model.schedules import FireKind, OverlapPolicy, Schedule
from dwserver.engine.outcome import Rejection
from dwserver.engine.schedules import fires
from dwserver.engine.schedules.fires import Buffered, Fire, Skipped, Starts
from dwserver.engine.transition import ScheduleChange, TermGuard, Transition
from dwserver.engine.words import CommandType, EventType
from dwserver.protocol.payloads.envelopes import parse_input
from dwserver.protocol.payloads.records import AVRO_CODEC, EMPTY_ARGUMENTS
from dwserver.services.external_payloads import (
    ExternalPayloads,
    PayloadStorageUnavailable,
)
from dwserver.services.operator_commands import OperatorCommands
from dwserver.services.runs import RunContended, Runs
from dwserver.services.start_gate import StartGate
from dwserver.store.api import Store, StoreUnavailable

_CLOSE_REASONS: Final = {
    CommandType.CANCEL: "Schedule overlap: cancel_other policy applied.",
    CommandType.TERMINATE: "Schedule overlap: terminate_other policy applied.",
}
_MILLISECOND: Final = 1000

_log = structlog.stdlib.get_logger(__name__)


class FireOutcome(StrEnum):
    TRIGGERED = "triggered"
    DRAINED = "drained"
    BUFFERED = "buffered"
    BUFFER_FULL = "buffer_full"
    SKIPPED = "skipped"
    ALREADY_FIRED = "already_fired"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """What became of a fire, and the schedule after it. ``reason``: of a skip or a
    failure. ``buffer_depth``: fires held back now."""

    outcome: FireOutcome
    schedule: Schedule
    workflow_id: str | None = None
    run_id: str | None = None
    reason: str | None = None
    buffer_depth: int | None = None


class _NotStartable(Exception):
    """The action of a schedule cannot be started; why."""


class ScheduleFires:
    """See the module text. ``compatibility``: the marker of new runs."""

    def __init__(
        self,
        store: Store,
        *,
        runs: Runs,
        gate: StartGate,
        commands: OperatorCommands,
        external_payloads: ExternalPayloads,
        default_task_queue: str,
        compatibility: str | None,
    ) -> None:
        self._store = store
        self._runs = runs
        self._gate = gate
        self._commands = commands
        self._external_payloads = external_payloads
        self._default_task_queue = default_task_queue
        self._compatibility = compatibility

    async def open_run(self, schedule: Schedule) -> str | None:
        """The run of its latest workflow, if that is open."""
        if schedule.latest_workflow_id is None:
            return None
        instance = await self._store.find_instance(
            schedule.namespace, schedule.latest_workflow_id
        )
        if instance is None:
            return None
        state = await self._store.load_run(instance.current_run_id)
        if state is None or state.run.status.is_terminal:
            return None
        return state.run.id

    async def fire(
        self,
        schedule: Schedule,
        fire: Fire,
        *,
        open_run_id: str | None,
        term: TermGuard | None = None,
    ) -> Fired | None:
        """None: the schedule has changed meanwhile, or the leader's ``term`` is over;
        nothing was written. Raises StoreError when the database is at fault."""
        try:
            return await self._fire(schedule, fire, open_run_id, term)
        except StoreUnavailable:
            raise
        except (_NotStartable, PayloadStorageUnavailable, RunContended) as error:
            return await self._fail(schedule, fire, str(error), term)
        except Exception as error:
            # Whatever it is, it concerns this schedule: the others go on.
            _log.error(
                "schedule_fire_crashed",
                namespace=schedule.namespace,
                schedule_id=schedule.schedule_id,
                exc_info=error,
            )
            return await self._fail(schedule, fire, type(error).__name__, term)

    async def _fire(
        self,
        schedule: Schedule,
        fire: Fire,
        open_run_id: str | None,
        term: TermGuard | None,
    ) -> Fired | None:
        decided = fires.decide(
            schedule,
            fire,
            is_open=open_run_id is not None,
            context=self._runs.context(),
        )
        if isinstance(decided, Starts):
            start = await self._start_of(schedule, fire, decided.workflow_id)
            if await self._gate.mismatch(start) is not None:
                blocked = fires.block(schedule, fire, context=self._runs.context())
                if blocked is None or not await self._write(blocked.change, term):
                    return None
                return _not_started(blocked)
            if decided.closes is not None:
                await self._close_latest(schedule, decided.closes, term)
            return await self._start(schedule, fire, start, term)
        if not await self._write(decided.change, term):
            return None
        return _not_started(decided)

    async def _start(
        self, schedule: Schedule, fire: Fire, start: Start, term: TermGuard | None
    ) -> Fired | None:
        changes: list[ScheduleChange] = []

        def change(draft: Draft) -> ScheduleChange:
            changes.append(
                fires.started(
                    schedule,
                    fire,
                    workflow_id=draft.run.workflow_id,
                    run_id=draft.run.id,
                    context=draft.context,
                )
            )
            return changes[-1]

        while True:
            draft = await self._runs.create_scheduled(
                partial(_new_run, start, schedule, fire), change, term=term
            )
            if draft is not None:
                return Fired(
                    outcome=(
                        FireOutcome.DRAINED
                        if fire.is_drained
                        else FireOutcome.TRIGGERED
                    ),
                    schedule=changes[-1].schedule,
                    workflow_id=draft.run.workflow_id,
                    run_id=draft.run.id,
                )
            instance = await self._store.find_instance(
                schedule.namespace, start.workflow_id
            )
            if instance is None:
                return None
            if fire.kind is not FireKind.MANUAL:
                return await self._resolve(schedule, fire, instance, term)
            # Two were asked for within a millisecond.
            fire = replace(fire, at=fire.at + _MILLISECOND)
            start = await self._start_of(
                schedule, fire, fires.workflow_id_of(schedule, fire)
            )

    async def _resolve(
        self,
        schedule: Schedule,
        fire: Fire,
        instance: Instance,
        term: TermGuard | None,
    ) -> Fired | None:
        """The workflow id of the occurrence is taken: by the occurrence itself, or by
        something else that was started under its name."""
        if instance.workflow_type != schedule.workflow_type:
            text = f"The workflow id [{instance.workflow_id}] is in use."
            return await self._fail(schedule, fire, text, term)
        if fire.kind is FireKind.TICK:
            change = fires.already_fired(schedule, fire, context=self._runs.context())
            if not await self._write(change, term):
                return None
            schedule = change.schedule
        return Fired(
            outcome=FireOutcome.ALREADY_FIRED,
            schedule=schedule,
            workflow_id=instance.workflow_id,
            run_id=instance.current_run_id,
        )

    async def _fail(
        self, schedule: Schedule, fire: Fire, reason: str, term: TermGuard | None
    ) -> Fired | None:
        change = fires.failed(
            schedule, fire, reason=reason, context=self._runs.context()
        )
        if not await self._write(change, term):
            return None
        return Fired(
            outcome=FireOutcome.FAILED, schedule=change.schedule, reason=reason
        )

    async def _write(self, change: ScheduleChange, term: TermGuard | None) -> bool:
        return await self._store.commit(Transition(schedule=change, term=term))

    async def _close_latest(
        self, schedule: Schedule, how: CommandType, term: TermGuard | None
    ) -> None:
        """As well as can be: whatever is refused, the fire starts (§3.3)."""
        assert schedule.latest_workflow_id is not None
        target = await self._commands.find_target(
            schedule.namespace, schedule.latest_workflow_id, None
        )
        if isinstance(target, Rejection):
            return
        request = CloseRequest(
            namespace=schedule.namespace,
            command_type=how,
            reason=_CLOSE_REASONS[how],
        )
        await self._commands.close(target, request, term=term)

    async def _start_of(
        self, schedule: Schedule, fire: Fire, workflow_id: str
    ) -> Start:
        """The start that the action asks for, like one that came over HTTP."""
        action: dict[str, Any] = dict(schedule.action)
        arguments = parse_input(action.get("input"))
        if isinstance(arguments, list):
            raise _NotStartable(arguments[0].message)
        kept = await self._external_payloads.kept(schedule.namespace, arguments)
        is_skip = fire.effective_policy(schedule) is OverlapPolicy.SKIP
        return Start(
            namespace=schedule.namespace,
            workflow_id=workflow_id,
            workflow_type=schedule.workflow_type,
            task_queue=action.get("task_queue") or self._default_task_queue,
            input=RunInput(
                memo=schedule.memo,
                search_attributes=schedule.search_attributes,
                arguments=kept or EMPTY_ARGUMENTS,
            ),
            payload_codec=AVRO_CODEC,
            duplicate_policy=(
                DuplicatePolicy.USE_EXISTING if is_skip else DuplicatePolicy.FAIL
            ),
            execution_timeout_seconds=action.get("execution_timeout_seconds"),
            run_timeout_seconds=action.get("run_timeout_seconds"),
            compatibility=self._compatibility,
            context=fire.command or {},
        )


def _new_run(start: Start, schedule: Schedule, fire: Fire, context: Context) -> Draft:
    draft = start_new(start, context)
    draft.append(EventType.SCHEDULE_TRIGGERED, fires.run_event(schedule, fire))
    return draft


def _not_started(decided: Skipped | Buffered) -> Fired:
    schedule = decided.change.schedule
    if isinstance(decided, Buffered):
        return Fired(
            outcome=FireOutcome.BUFFERED,
            schedule=schedule,
            buffer_depth=decided.depth,
        )
    outcome = FireOutcome.BUFFER_FULL if decided.is_full else FireOutcome.SKIPPED
    return Fired(outcome=outcome, schedule=schedule, reason=decided.reason)
