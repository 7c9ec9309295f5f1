"""Decide about runs and commit, one lane for each run (``architecture.md §3``).

Commands for the same run wait in its lane and are decided one after the other on one
draft, which is committed as one transition: a node never conflicts with itself and a
busy run needs few commits. A decision runs on the hot state first; if that leads to a
rejection, or the commit meets a newer version, it runs again on fresh state.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import orjson

from dwserver.engine.context import Context, Policy
from dwserver.engine.draft import Draft
from dwserver.engine.leases import lease
from dwserver.engine.model import RunState, Task
from dwserver.engine.outcome import Rejection
from dwserver.engine.transition import RunChange, Transition
from dwserver.matching.pollers import Delivery, Poller
from dwserver.services.hot_runs import HotRuns
from dwserver.store.api import Store

Reply = TypeVar("Reply")
Decision = Callable[[Draft], Reply]
Prepare = Callable[[RunState], Awaitable[None]]

# Decisions of one lane that share a commit; bounds the size of a transition.
MAX_DECISIONS = 64
# Attempts at a commit before the caller is told that the run is contended.
MAX_ATTEMPTS = 10


class RunNotFound(Exception):
    """The run does not exist (pruned, or another namespace's)."""


class RunContended(Exception):
    """Other processes changed the run faster than this one could; try again."""


class HandOff(Protocol):
    """What matching does for a transition (see ``matching.matcher``)."""

    def reserve(self, task: Task) -> Poller | None: ...
    def deliver(self, poller: Poller, delivery: Delivery) -> None: ...
    def put_back(self, poller: Poller) -> None: ...
    def became_ready(self, task: Task) -> None: ...


class CommitObserver(Protocol):
    """Told after every commit; must not block."""

    def committed(self, change: RunChange) -> None: ...
    def conflicted(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Asked(Generic[Reply]):
    """A decision, and what it must have read before it can be taken."""

    decision: Decision[Reply]
    prepare: Prepare | None = None


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Reply]):
    """A decision whose turn comes when the lane is free."""

    asked: _Asked[Reply]
    answer: asyncio.Future[Reply] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


@dataclass(frozen=True, slots=True)
class _Failed:
    """In place of a reply: this decision, and only this one, raised."""

    error: Exception


class Runs:
    """The way to every run of this process; see the module text."""

    def __init__(
        self,
        store: Store,
        *,
        hot: HotRuns,
        hand_off: HandOff,
        now: Callable[[], int],
        next_id: Callable[[], str],
        policy: Policy,
        spawn: Callable[[str, Coroutine[Any, Any, None]], object],
        observers: Sequence[CommitObserver] = (),
    ) -> None:
        self._store = store
        self._hand_off = hand_off
        self._now = now
        self._next_id = next_id
        self._policy = policy
        self._spawn = spawn
        self._observers = observers
        self._lanes: dict[str, deque[_Waiting[Any]]] = {}
        self.hot = hot

    def context(self) -> Context:
        return Context(self._now(), self._next_id, orjson.dumps, self._policy)

    async def decide(
        self,
        run_id: str,
        decision: Decision[Reply],
        *,
        prepare: Prepare | None = None,
    ) -> Reply:
        """Run ``decision`` on the run's draft and commit what it recorded.

        ``prepare`` runs before every attempt with the state that the decision will
        see, to read what that state does not hold. What it reads of the run is guarded
        by the run's version. It must not decide about runs.

        Raises :class:`RunNotFound`, :class:`RunContended`, ``StoreError``.
        """
        asked = _Asked(decision, prepare)
        lane = self._lanes.get(run_id)
        if lane is not None:
            waiting = _Waiting(asked)
            lane.append(waiting)
            return await waiting.answer
        lane = self._lanes[run_id] = deque()
        try:
            (reply,) = await self._decide_together(run_id, (asked,))
        finally:
            if lane:
                self._spawn("run-lane", self._drain(run_id, lane))
            else:
                del self._lanes[run_id]
        if isinstance(reply, _Failed):
            raise reply.error
        result: Reply = reply
        return result

    async def create(self, build: Callable[[Context], Draft]) -> Draft | None:
        """Commit a new run; None when its workflow id is taken."""
        draft = build(self.context())
        return draft if await self._commit(draft) else None

    # lanes ----------------------------------------------------------------------
    async def _drain(self, run_id: str, lane: deque[_Waiting[Any]]) -> None:
        """Serve those who waited while the lane was taken."""
        batch: list[_Waiting[Any]] = []
        try:
            while lane:
                batch = [lane.popleft() for _ in range(min(len(lane), MAX_DECISIONS))]
                await self._answer(run_id, batch)
        except BaseException as error:
            _fail((*batch, *lane), error)
            lane.clear()
            raise
        finally:
            del self._lanes[run_id]

    async def _answer(self, run_id: str, batch: list[_Waiting[Any]]) -> None:
        try:
            replies = await self._decide_together(
                run_id, [waiting.asked for waiting in batch]
            )
        except Exception as error:
            _fail(batch, error)
            return
        for waiting, reply in zip(batch, replies, strict=True):
            if waiting.answer.done():
                continue
            if isinstance(reply, _Failed):
                waiting.answer.set_exception(reply.error)
            else:
                waiting.answer.set_result(reply)

    async def _decide_together(
        self, run_id: str, asked: Sequence[_Asked[Any]]
    ) -> list[Any]:
        """The replies, in order, once everything they recorded is committed."""
        hot = self.hot.get(run_id)
        state = hot.state if hot else None
        is_fresh = False
        for _ in range(MAX_ATTEMPTS):
            if state is None:
                state = await self._load(run_id)
                is_fresh = True
            failed = await _prepare_all(state, asked)
            draft, replies = self._decide_all(state, asked, failed)
            if not is_fresh and any(isinstance(r, Rejection) for r in replies):
                self.hot.drop(run_id)
                state = None
                continue
            if not draft.touched or await self._commit(draft):
                return replies
            self.hot.drop(run_id)
            state = None
        raise RunContended(run_id)

    async def _load(self, run_id: str) -> RunState:
        state = await self._store.load_run(run_id)
        if state is None:
            raise RunNotFound(run_id)
        self.hot.loaded(state)
        return state

    def _decide_all(
        self,
        state: RunState,
        asked: Sequence[_Asked[Any]],
        failed: dict[int, _Failed],
    ) -> tuple[Draft, list[Any]]:
        """One draft of all decisions but the ``failed`` ones. One that fails is left
        out of it as well, and the others are decided anew without it."""
        while True:
            draft = Draft(state, self.context())
            replies: list[Any] = []
            for position, each in enumerate(asked):
                if position in failed:
                    replies.append(failed[position])
                    continue
                touched = draft.touched
                try:
                    reply = each.decision(draft)
                except Exception as error:
                    failed[position] = _Failed(error)
                    break
                if isinstance(reply, Rejection) and draft.touched != touched:
                    text = f"a rejected decision changed the run: {reply.reason}"
                    failed[position] = _Failed(RuntimeError(text))
                    break
                replies.append(reply)
            else:
                return draft, replies

    # commits --------------------------------------------------------------------
    async def _commit(self, draft: Draft) -> bool:
        drafts = (draft, *draft.created)
        handed: list[tuple[Poller, Delivery]] = []
        is_applied = False
        try:
            for each in drafts:
                self._hand_off_ready_tasks(each, handed)
            changes = tuple(each.freeze() for each in drafts)
            is_applied = await self._store.commit(_transition(drafts, changes))
        finally:
            if not is_applied:
                self.hot.drop(draft.run.id)
                for poller, _ in handed:
                    self._hand_off.put_back(poller)
        if not is_applied:
            for observer in self._observers:
                observer.conflicted()
            return False
        for each, change in zip(drafts, changes, strict=True):
            self._after_commit(each, change)
        for poller, delivery in handed:
            self._hand_off.deliver(poller, delivery)
        return True

    def _hand_off_ready_tasks(
        self, draft: Draft, handed: list[tuple[Poller, Delivery]]
    ) -> None:
        for task in draft.ready_tasks():
            poller = self._hand_off.reserve(task)
            if poller is None:
                continue
            leased = lease(draft, task, poller.worker_id)
            if leased is None:
                self._hand_off.put_back(poller)
                continue
            arguments = draft.arguments
            activity_id = task.activity_id
            handed.append(
                (
                    poller,
                    Delivery(
                        leased,
                        arguments.get(activity_id) if activity_id else None,
                        activity_id in arguments,
                    ),
                )
            )

    def _after_commit(self, draft: Draft, change: RunChange) -> None:
        state = draft.settled()
        self.hot.committed(state, change)
        for task in (*change.new_tasks, *change.tasks):
            if task.status == "ready":
                self._hand_off.became_ready(task)
        for observer in self._observers:
            observer.committed(change)


async def _prepare_all(
    state: RunState, asked: Sequence[_Asked[Any]]
) -> dict[int, _Failed]:
    """Run the preparations at the same time; the failures by position."""
    prepared = [
        (position, each.prepare(state))
        for position, each in enumerate(asked)
        if each.prepare is not None
    ]
    if not prepared:
        return {}
    outcomes = await asyncio.gather(
        *(awaitable for _, awaitable in prepared), return_exceptions=True
    )
    failed = {}
    for (position, _), outcome in zip(prepared, outcomes, strict=True):
        if isinstance(outcome, Exception):
            failed[position] = _Failed(outcome)
        elif outcome is not None:
            raise outcome
    return failed


def _transition(drafts: Sequence[Draft], changes: tuple[RunChange, ...]) -> Transition:
    return Transition(
        changes=changes,
        new_instances=tuple(d.new_instance for d in drafts if d.new_instance),
        instances=tuple(d.instance for d in drafts if d.instance),
    )


def _fail(batch: Sequence[_Waiting[Any]], error: BaseException) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
