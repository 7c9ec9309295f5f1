"""Write drafts as one transition, and what follows from its commit.

A ready task is leased to a waiting poll on the way, as part of the same transition.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dwserver.engine.draft import Draft
from dwserver.engine.leases import lease
from dwserver.engine.model import Task
from dwserver.engine.records import replace
from dwserver.engine.transition import (
    RunChange,
    ScheduleChange,
    TermGuard,
    Transition,
)
from dwserver.engine.words import TaskStatus
from dwserver.matching.pollers import Delivery, Poller
from dwserver.services.hot_runs import HotRuns
from dwserver.store.api import Store


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


class Commits:
    def __init__(
        self,
        store: Store,
        *,
        hot: HotRuns,
        hand_off: HandOff,
        observers: Sequence[CommitObserver],
    ) -> None:
        self._store = store
        self._hot = hot
        self._hand_off = hand_off
        self._observers = observers

    async def commit(
        self,
        drafts: Sequence[Draft],
        *,
        schedule: ScheduleChange | None = None,
        term: TermGuard | None = None,
    ) -> bool:
        """Write these drafts, each of another run, and those of the runs that they
        make. False: a guard failed, nothing was written, all must be decided again.
        ``schedule``: what their start means for it. ``term``: a leader writes."""
        drafts = [each for draft in drafts for each in draft.family()]
        handed: list[tuple[Poller, Delivery]] = []
        is_applied = False
        try:
            for draft in drafts:
                self._hand_off_ready_tasks(draft, handed)
            changes = tuple(draft.freeze() for draft in drafts)
            transition = _transition(drafts, changes)
            if schedule is not None or term is not None:
                transition = replace(transition, schedule=schedule, term=term)
            is_applied = await self._store.commit(transition)
        finally:
            if not is_applied:
                for draft in drafts:
                    self._hot.drop(draft.run.id)
                for poller, _ in handed:
                    self._hand_off.put_back(poller)
        if not is_applied:
            for observer in self._observers:
                observer.conflicted()
            return False
        for draft, change in zip(drafts, changes, strict=True):
            self._after_commit(draft, change)
        for poller, delivery in handed:
            self._hand_off.deliver(poller, delivery)
        return True

    async def commit_import(self, transition: Transition) -> bool:
        """Write runs as another engine has left them. Their ready tasks are taken as
        any task that another process made. False: a guard failed, nothing was
        written."""
        is_applied = False
        try:
            is_applied = await self._store.commit(transition)
        finally:
            for change in transition.changes:
                self._hot.drop(change.run.id)
        if not is_applied:
            for observer in self._observers:
                observer.conflicted()
            return False
        for change in transition.changes:
            for task in change.new_tasks:
                if task.status is TaskStatus.READY:
                    self._hand_off.became_ready(task)
            for observer in self._observers:
                observer.committed(change)
        return True

    def _hand_off_ready_tasks(
        self, draft: Draft, handed: list[tuple[Poller, Delivery]]
    ) -> None:
        for task in draft.ready_tasks():
            poller = self._hand_off.reserve(task)
            if poller is None:
                continue
            leased = lease(
                draft,
                task,
                poller.worker_id,
                fingerprint=poller.fingerprints.get(task.type_name),
            )
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
        self._hot.committed(state, change)
        for task in (*change.new_tasks, *change.tasks):
            if task.status == "ready":
                self._hand_off.became_ready(task)
        for observer in self._observers:
            observer.committed(change)


def _transition(drafts: Sequence[Draft], changes: tuple[RunChange, ...]) -> Transition:
    return Transition(
        changes=changes,
        new_instances=tuple(d.new_instance for d in drafts if d.new_instance),
        instances=tuple(d.instance for d in drafts if d.instance),
    )
