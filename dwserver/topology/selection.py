"""From configured words to the shape and process class of this node.

Source: ``spec/topology-and-operations.md`` §1.10. A word that names nothing never
stops a boot: the default takes its place, and a warning tells of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dwserver.topology.shapes import (
    BUNDLES,
    DEFAULT_CLASSES,
    DEFAULT_SHAPE,
    Bundle,
    ProcessClass,
    Shape,
    roles_of,
)


class SelectedPart(StrEnum):
    SHAPE = "shape"
    PROCESS_CLASS = "process_class"


@dataclass(frozen=True, slots=True)
class SelectionWarning:
    """A configured word that was replaced by a default."""

    part: SelectedPart
    configured: str
    used: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Shape and process class of a node."""

    shape: Shape
    process_class: ProcessClass
    warnings: tuple[SelectionWarning, ...] = ()

    @property
    def roles(self) -> Bundle:
        return roles_of(self.shape, self.process_class)


def select_topology(shape: str | None, process_class: str | None) -> Selection:
    """Selection for the configured words; ``None`` or blank takes the default.

    The default class depends on the shape, and a class counts only in a shape
    that has it. Case means nothing.
    """
    warnings: list[SelectionWarning] = []
    chosen_shape = _select_shape((shape or "").strip(), warnings)
    chosen_class = _select_class(chosen_shape, (process_class or "").strip(), warnings)
    return Selection(chosen_shape, chosen_class, tuple(warnings))


def _select_shape(word: str, warnings: list[SelectionWarning]) -> Shape:
    if not word:
        return DEFAULT_SHAPE
    try:
        return Shape(word.lower())
    except ValueError:
        warnings.append(SelectionWarning(SelectedPart.SHAPE, word, DEFAULT_SHAPE.value))
        return DEFAULT_SHAPE


def _select_class(
    shape: Shape, word: str, warnings: list[SelectionWarning]
) -> ProcessClass:
    default = DEFAULT_CLASSES[shape]
    if not word:
        return default
    for candidate in BUNDLES[shape]:
        if candidate.value == word.lower():
            return candidate
    warnings.append(SelectionWarning(SelectedPart.PROCESS_CLASS, word, default.value))
    return default
