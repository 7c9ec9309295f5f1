"""Workflows and activities of a deployment, found by the names of its modules.

An entry of ``DW_EXECUTION_MODULES`` is one of

- ``package.module``: a module with the lists ``WORKFLOWS`` or ``ACTIVITIES``, or both;
- ``package.module:function``: a function that takes a :class:`Registry` and adds to it,
  for activities that need something built first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

LISTS: Final = ("WORKFLOWS", "ACTIVITIES")


class ModuleUnusable(Exception):
    """An entry names nothing that a worker could run; the text says why."""

    def __init__(self, reference: str, why: str) -> None:
        super().__init__(f"[{reference}] {why}")
        self.reference = reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """What a worker runs: classes with ``workflow.defn``, functions with
    ``activity.defn``."""

    workflows: tuple[type, ...]
    activities: tuple[Callable[..., Any], ...]


class Registry:
    """Collects what the functions of a deployment add."""

    def __init__(self) -> None:
        self._workflows: list[type] = []
        self._activities: list[Callable[..., Any]] = []

    def add_workflows(self, *workflows: type) -> None:
        """Have these workflow classes run."""
        for each in workflows:
            if not isinstance(each, type):
                raise TypeError(f"{each!r} is no workflow class")
            self._workflows.append(each)

    def add_activities(self, *activities: Callable[..., Any]) -> None:
        """Have these activity functions run."""
        for each in activities:
            if not callable(each):
                raise TypeError(f"{each!r} is no activity function")
            self._activities.append(each)

    def definitions(self) -> Definitions:
        """What there is so far; an object that was added twice counts once."""
        return Definitions(
            workflows=tuple(dict.fromkeys(self._workflows)),
            activities=tuple(dict.fromkeys(self._activities)),
        )


def load_definitions(references: Sequence[str]) -> Definitions:
    """Import every entry. Raises :class:`ModuleUnusable` for the first bad one."""
    registry = Registry()
    for reference in references:
        try:
            _load(reference, registry)
        except ModuleUnusable:
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise ModuleUnusable(reference, why) from error
    found = registry.definitions()
    if not found.workflows and not found.activities:
        raise ModuleUnusable(
            ",".join(references), "there is neither a workflow nor an activity"
        )
    return found


def _load(reference: str, registry: Registry) -> None:
    module_name, has_function, function = reference.partition(":")
    module = import_module(module_name)
    if has_function:
        register: Callable[[Registry], object] = getattr(module, function)
        register(registry)
        return
    workflows, activities = (getattr(module, name, None) for name in LISTS)
    if workflows is None and activities is None:
        raise ModuleUnusable(
            reference,
            f"the module has neither {LISTS[0]} nor {LISTS[1]}; name a function as "
            "module:function or add the lists",
        )
    registry.add_workflows(*_listed(workflows))
    registry.add_activities(*_listed(activities))


def _listed(found: Iterable[Any] | None) -> Iterable[Any]:
    return () if found is None else found
