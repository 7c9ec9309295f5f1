"""The functional core: what happens to a run, decided without touching anything.

Theory of operation
-------------------
A *decision* is a synchronous function of a :class:`~dwserver.engine.draft.Draft`
(the run's hot state, copied on write), a command, and a
:class:`~dwserver.engine.context.Context` (time, ids, policy). It either

* returns a :class:`~dwserver.engine.outcome.Rejection` and has **not** touched the
  draft, or
* records its changes in the draft and returns the reply for the caller.

``draft.freeze()`` turns the recorded changes into a
:class:`~dwserver.engine.transition.RunChange`; the store writes the changes of one
:class:`~dwserver.engine.transition.Transition` atomically, guarded by the run's
version. If the guard fails, the decision simply runs again on fresh state.

Decisions never read history. Everything they need is in
:class:`~dwserver.engine.model.RunState`: the run row and its *open* rows (tasks,
activities, timers), plus the closed members of the newest batch, which are needed to
recognise commands that a replaying worker sends again (``spec/engine.md §5.3``).
"""
