"""Decide about runs and commit, one lane for each run (``architecture.md §3``).

Commands for the same run wait in its lane and are decided one after the other on one
draft, which is committed as one transition: a node never conflicts with itself and a
busy run needs few commits. A decision runs on the hot state first; if that leads to a
rejection, or the commit meets a newer version, it runs again on fresh state.

A run that closes changes its parent in the same transition (decision 22). Many children
of one parent that close at the same time share transitions in the parent's lane.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import repeat
from typing import Any, Generic, TypeVar

import orjson

from dwserver.engine.background import NO_BACKGROUND
from dwserver.engine.context import Context, Policy
from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.child_outcome import (
    ChildHeard,
    hear_of_child,
    will_retry,
)
from dwserver.engine.model import RunState
from dwserver.engine.outcome import Rejection
from dwserver.engine.transition import ScheduleChange, TermGuard, Transition
from dwserver.engine.words import RunStatus
from dwserver.services.backgrounds import read_background
from dwserver.services.commits import CommitObserver, Commits, HandOff
from dwserver.services.hot_runs import HotRun, HotRuns
from dwserver.store.api import Store

Reply = TypeVar("Reply")
Decision = Callable[[Draft], Reply]
Prepare = Callable[[RunState], Awaitable[None] | None]

# Decisions of one lane that share a commit; bounds the size of a transition.
MAX_DECISIONS = 64
# Attempts at a commit before the caller is told that the run is contended.
MAX_ATTEMPTS = 10
# From then on a closing child has a transition with its parent for itself, so that it
# does not meet the conflicts of its siblings.
ALONE_FROM_ATTEMPT = 5


class RunNotFound(Exception):
    """The run does not exist (pruned, or another namespace's)."""


class RunContended(Exception):
    """Other processes changed the run faster than this one could; try again."""


@dataclass(frozen=True, slots=True)
class _Asked(Generic[Reply]):
    """A decision, and what it must have read before it can be taken.

    ``companions``: drafts of other runs that are written together with what it
    changes. ``is_alone``: it shares its transition with no other decision, as one of a
    leader, whose ``term`` guards it.
    """

    decision: Decision[Reply]
    prepare: Prepare | None = None
    companions: tuple[Draft, ...] = ()
    is_alone: bool = False
    term: TermGuard | None = None


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


class _Conflict(Enum):
    """In place of a reply to a decision with companions: decide about them anew."""

    MET = "met"


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
        self._commits = Commits(store, hot=hot, hand_off=hand_off, observers=observers)
        self._now = now
        self._next_id = next_id
        self._spawn = spawn
        self._lanes: dict[str, deque[_Waiting[Any]]] = {}
        self.hot = hot
        self.policy = policy

    def context(self) -> Context:
        return Context(self._now(), self._next_id, orjson.dumps, self.policy)

    async def decide(
        self,
        run_id: str,
        decision: Decision[Reply],
        *,
        prepare: Prepare | None = None,
        term: TermGuard | None = None,
    ) -> Reply:
        """Run ``decision`` on the run's draft and commit what it recorded.

        ``prepare`` runs before every attempt with the state that the decision will
        see, to read what that state does not hold; None when there is nothing to read.
        What it reads of the run is guarded by the run's version. It must not decide
        about runs. ``term``: a leader decides; once it is over nothing is written, and
        the run counts as contended.

        Raises :class:`RunNotFound`, :class:`RunContended`, ``StoreError``.
        """
        asked = _Asked(decision, prepare, is_alone=term is not None, term=term)
        return await self._enter(run_id, asked)

    async def create(self, build: Callable[[Context], Draft]) -> Draft | None:
        """Commit a new run; None when its workflow id is taken."""
        draft = build(self.context())
        return draft if await self._commits.commit([draft]) else None

    async def create_scheduled(
        self,
        build: Callable[[Context], Draft],
        schedule: Callable[[Draft], ScheduleChange],
        *,
        term: TermGuard | None,
    ) -> Draft | None:
        """Commit a new run together with what its start means for a schedule; None
        when either guard fails, or the leader's ``term`` is over."""
        draft = build(self.context())
        change = schedule(draft)
        is_applied = await self._commits.commit([draft], schedule=change, term=term)
        return draft if is_applied else None

    async def commit_import(self, transition: Transition) -> bool:
        """Write a run that another engine began; False when a guard fails."""
        return await self._commits.commit_import(transition)

    # lanes ----------------------------------------------------------------------
    async def _enter(self, run_id: str, asked: _Asked[Reply]) -> Reply:
        """Decide at once if the lane is free, else when it is its turn."""
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

    async def _drain(self, run_id: str, lane: deque[_Waiting[Any]]) -> None:
        """Serve those who waited while the lane was taken."""
        batch: list[_Waiting[Any]] = []
        try:
            while lane:
                batch = _next_batch(lane)
                if batch:
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
        term = next((each.term for each in asked if each.term), None)
        for attempt in range(MAX_ATTEMPTS):
            if state is None:
                state = await self._load(run_id, was=hot)
                is_fresh = True
            failed = await _prepare_all(state, asked)
            draft, replies = self._decide_all(state, asked, failed)
            if not is_fresh and any(isinstance(r, Rejection) for r in replies):
                self.hot.drop(run_id)
                state = None
                continue
            drafts = [draft] if draft.touched else []
            for each, reply in zip(asked, replies, strict=True):
                if not isinstance(reply, _Failed):
                    drafts += each.companions
            is_alone = term is not None or attempt >= ALONE_FROM_ATTEMPT
            if not drafts or await self._write(
                draft, drafts, is_alone=is_alone, term=term
            ):
                return replies
            self.hot.drop(run_id)
            state = None
            if any(each.companions for each in asked):
                return await self._decide_without_companions(run_id, asked)
        raise RunContended(run_id)

    async def _decide_without_companions(
        self, run_id: str, asked: Sequence[_Asked[Any]]
    ) -> list[Any]:
        """After a conflict each lane decides anew about the run that it is for."""
        own = [each for each in asked if not each.companions]
        replies: Iterator[Any] = iter(())
        if own:
            try:
                replies = iter(await self._decide_together(run_id, own))
            except Exception as error:
                replies = repeat(_Failed(error))
        return [_Conflict.MET if each.companions else next(replies) for each in asked]

    async def _load(self, run_id: str, *, was: HotRun | None) -> RunState:
        state = await self._store.load_run(run_id)
        if state is None:
            raise RunNotFound(run_id)
        self.hot.loaded(state, was=was)
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

    # parents --------------------------------------------------------------------
    async def _write(
        self,
        head: Draft,
        drafts: Sequence[Draft],
        *,
        is_alone: bool,
        term: TermGuard | None,
    ) -> bool:
        """Commit what was decided in a lane; ``head`` is the draft of the lane's run.

        When that run has closed and has a parent, the parent's lane takes the drafts
        over: it adds what they mean for the parent and writes all together. Lanes are
        entered from a child to its parent only.
        """
        if head.for_parent is None:
            return await self._commits.commit(drafts, term=term)
        asked = self._hearing(head, tuple(drafts), is_alone=is_alone, term=term)
        try:
            return await self._enter(head.for_parent, asked) is not _Conflict.MET
        except RunNotFound:
            # There is nobody to tell (any more).
            return await self._commits.commit(drafts, term=term)

    def _hearing(
        self,
        child: Draft,
        drafts: tuple[Draft, ...],
        *,
        is_alone: bool,
        term: TermGuard | None,
    ) -> _Asked[ChildHeard | Rejection | _Conflict]:
        background = NO_BACKGROUND

        async def prepare(parent: RunState) -> None:
            nonlocal background
            if will_retry(parent, child):
                background = await read_background(self._store, child.run)

        return _Asked(
            lambda parent: hear_of_child(parent, child, background),
            prepare if child.run.status is RunStatus.FAILED else None,
            companions=drafts,
            is_alone=is_alone,
            term=term,
        )


async def _prepare_all(
    state: RunState, asked: Sequence[_Asked[Any]]
) -> dict[int, _Failed]:
    """Run the preparations at the same time; the failures by position."""
    prepared = [
        (position, reading)
        for position, each in enumerate(asked)
        if each.prepare is not None and (reading := each.prepare(state)) is not None
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


def _next_batch(lane: deque[_Waiting[Any]]) -> list[_Waiting[Any]]:
    """Those at the head of the lane that may share a draft."""
    batch: list[_Waiting[Any]] = []
    while lane and len(batch) < MAX_DECISIONS:
        if lane[0].asked.companions and lane[0].answer.done():
            # Its own lane has gone on without it.
            lane.popleft()
            continue
        if batch and (lane[0].asked.is_alone or batch[0].asked.is_alone):
            break
        batch.append(lane.popleft())
    return batch


def _fail(batch: Sequence[_Waiting[Any]], error: BaseException) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
