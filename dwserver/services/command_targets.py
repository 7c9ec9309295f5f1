"""On which run an operator command is decided (``spec/control-plane-api.md`` §5.12).

A command for a workflow id is decided on its current run and follows when another run
takes its place meanwhile; a command for a run stays with that run. A request with a
``request_id`` that is known gets the first answer again: the id is looked for in the
run and, if that continues another, in the runs of the workflow id before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from dwserver.engine.draft import Draft
from dwserver.engine.model import Command, Instance, Run, RunState
from dwserver.engine.outcome import Rejection
from dwserver.engine.transition import TermGuard
from dwserver.engine.words import CommandRejection, CommandType
from dwserver.services.runs import RunContended, Runs
from dwserver.store.api import Store

# Runs of one workflow id that a command follows before its caller is told to repeat.
MAX_ROUNDS: Final = 5

# Runs of one workflow id, the one decided on included, whose request ids are known.
KNOWN_RUNS: Final = 32

REQUEST_ID_CONFLICT: Final = Rejection(
    "request_id_conflict",
    "The request id has been used for another command of this kind.",
)

Reply = TypeVar("Reply")
Decided = TypeVar("Decided", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A workflow id; ``run_id``: the run of it that the caller named, if any."""

    instance: Instance
    run_id: str | None = None


class Action(Protocol[Decided]):
    """One kind of command. ``prepare`` reads what the decision needs besides the
    state; ``decide`` and ``reject`` record the command; ``repeats`` tells whether a
    recorded one is this request, which ``again`` then answers."""

    @property
    def command_type(self) -> CommandType: ...
    @property
    def request_id(self) -> str | None: ...
    async def prepare(self, run: Run) -> None: ...
    def decide(self, draft: Draft) -> Decided: ...
    def reject(self, draft: Draft, reason: CommandRejection) -> Decided: ...
    def repeats(self, command: Command) -> bool: ...
    def again(self, draft: Draft, command: Command) -> Decided: ...


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """In place of a reply: look at this run, perhaps the same one anew."""

    run_id: str


class _Attempt(Generic[Reply]):
    """One action on one run; what was read belongs to the newest state it was shown."""

    def __init__(self, store: Store, target: Target, action: Action[Reply]) -> None:
        self._store = store
        self._target = target
        self._action = action
        self._first: Command | None = None
        self._successor: str | None = None
        self._was_open = True

    async def prepare(self, state: RunState) -> None:
        run, action = state.run, self._action
        self._first = self._successor = None
        self._was_open = not run.status.is_terminal
        if action.request_id is not None:
            self._first = await self._find_first(run, action.request_id)
        if self._first is None and not self._was_open:
            instance = await self._store.find_instance(run.namespace, run.workflow_id)
            if instance is not None and instance.current_run_id != run.id:
                self._successor = instance.current_run_id
        await action.prepare(run)

    async def _find_first(self, run: Run, request_id: str) -> Command | None:
        command_type = self._action.command_type
        first = await self._store.find_command(
            run.id, request_id, command_type=command_type
        )
        if first is None and run.continued_from_run_id is not None:
            first = await self._store.find_command_of_workflow(
                run, request_id, command_type=command_type, runs=KNOWN_RUNS
            )
        return first

    def decide(self, draft: Draft) -> Reply | Rejection | _Elsewhere:
        action = self._action
        first = self._first or self._recorded_with(draft)
        if first is not None:
            if not action.repeats(first):
                return REQUEST_ID_CONFLICT
            return action.again(draft, first)
        if draft.run.status.is_terminal:
            if self._was_open:
                # Closed by a decision of the same batch: nothing was read for that.
                return _Elsewhere(draft.run.id)
            if self._successor is not None:
                if self._target.run_id is None:
                    return _Elsewhere(self._successor)
                reason = CommandRejection.SELECTED_RUN_NOT_CURRENT
                return action.reject(draft, reason)
        return action.decide(draft)

    def _recorded_with(self, draft: Draft) -> Command | None:
        """The same request in the same batch of decisions."""
        request_id = self._action.request_id
        if request_id is None:
            return None
        return next(
            (
                command
                for command in draft.commands
                if command.request_id == request_id
                and command.command_type is self._action.command_type
            ),
            None,
        )


async def decide_command(
    store: Store,
    runs: Runs,
    *,
    target: Target,
    action: Action[Reply],
    term: TermGuard | None = None,
) -> Reply | Rejection:
    """The answer of ``action`` on the run that ``target`` means now. ``term``: of the
    leader that asks.

    Raises :class:`RunNotFound`, :class:`RunContended`, ``StoreError``.
    """
    run_id = target.run_id or target.instance.current_run_id
    for _ in range(MAX_ROUNDS):
        attempt = _Attempt(store, target, action)
        reply = await runs.decide(
            run_id, attempt.decide, prepare=attempt.prepare, term=term
        )
        if not isinstance(reply, _Elsewhere):
            return reply
        run_id = reply.run_id
    raise RunContended(target.instance.workflow_id)
