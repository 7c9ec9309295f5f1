"""When schedules fire and what a fire does: pure, like the rest of the engine.

``cron``, ``intervals`` and ``spec`` say when; ``changes`` are the operator's verbs;
``fires`` decide what an occurrence starts, skips or buffers. A decision returns a
``ScheduleChange`` of the transition (``dwserver/engine/transition.py``), which the
store applies only upon the version that it was decided on.
"""
