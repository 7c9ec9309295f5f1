"""The table itself: consistent names, and settings that match it in both ways."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections import Counter
from pathlib import Path

import pytest

from dwserver.config.contract import (
    CONTRACT,
    FRAMEWORK_NAMES,
    FRAMEWORK_PREFIXES,
    INFRASTRUCTURE,
    REPLACEMENTS,
    SECTIONS,
)
from dwserver.config.settings import Settings
from dwserver.config.variable import Derived, Group, Origin, ValueType, Variable

SEED_NAMES = (
    (Path(__file__).parent / "fixtures/seed_names.txt").read_text().splitlines()
)
"""Every name of seed 004's tables, and the two that only seeds 001 and 002 name."""

PYTHON_TYPES = {
    ValueType.STRING: str,
    ValueType.URL: str,
    ValueType.ENUM: str,
    ValueType.INTEGER: int,
    ValueType.NUMBER: float,
    ValueType.BOOLEAN: bool,
    ValueType.CSV: tuple,
}


def test_every_name_of_the_seeds_is_in_the_contract() -> None:
    assert set(SEED_NAMES) - {variable.name for variable in CONTRACT} == set()


def test_names_and_aliases_are_unique_and_well_formed() -> None:
    names = [variable.name for variable in CONTRACT]
    aliases = [v.legacy_alias for v in CONTRACT if v.legacy_alias]
    repeated = [name for name, n in Counter(names + aliases).items() if n > 1]
    assert repeated == []
    assert [name for name in names if not re.fullmatch(r"DW_[A-Z0-9_]+", name)] == []
    assert not any(alias.startswith("DW_") for alias in aliases)
    assert len(REPLACEMENTS) == len(aliases)


def test_no_name_of_ours_or_later_has_a_legacy_alias() -> None:
    newer = [v for v in CONTRACT if v.origin in (Origin.OWN, Origin.LATER)]
    assert [v.name for v in newer if v.legacy_alias] == []


def test_every_group_has_a_section() -> None:
    assert list(SECTIONS) == list(Group)


@pytest.mark.parametrize("variable", CONTRACT, ids=lambda v: v.name)
def test_a_row_is_complete_and_its_default_is_allowed(variable: Variable) -> None:
    assert re.fullmatch(r"[A-Z].*\.", variable.description)
    assert variable.setting is not None or variable.name.startswith("DW_")
    assert bool(variable.choices) == (variable.type is ValueType.ENUM)
    if isinstance(variable.default, int | float) and not isinstance(
        variable.default, bool
    ):
        assert variable.minimum is not None
        assert variable.minimum <= variable.default
        assert variable.maximum is None or variable.default <= variable.maximum
    if variable.choices and not isinstance(variable.default, Derived):
        assert variable.default in variable.choices


def test_rows_and_settings_fields_match_one_to_one() -> None:
    rows = Counter(v.setting for v in CONTRACT if v.setting is not None)
    fields = {
        f"{group.name}.{field.name}"
        for group in dataclasses.fields(Settings)
        if group.name != "warnings"
        for field in dataclasses.fields(typing.get_type_hints(Settings)[group.name])
    }
    assert set(rows) == fields - {"server.app_version"}
    assert max(rows.values()) == 1


def test_annotations_of_the_settings_agree_with_the_types_of_the_rows() -> None:
    groups = typing.get_type_hints(Settings)
    wrong = []
    for variable in CONTRACT:
        if variable.setting is None or variable.type is ValueType.JSON:
            continue
        group, field = variable.setting.split(".")
        hint = typing.get_type_hints(groups[group])[field]
        alternatives = set(typing.get_args(hint)) - {type(None)}
        bare = typing.get_origin(hint) or hint
        if bare is not tuple and alternatives:
            (bare,) = alternatives
        if bare is not PYTHON_TYPES[variable.type]:
            wrong.append(variable.name)
    assert wrong == []


def test_infrastructure_names_are_recognised_and_feed_a_row() -> None:
    fed = {name for variable in CONTRACT for name in variable.also_reads}
    listed = {row.name for row in INFRASTRUCTURE}
    assert fed == listed - {"APP_VERSION"}
    assert all(
        name in FRAMEWORK_NAMES or name.startswith(FRAMEWORK_PREFIXES)
        for name in listed
    )
