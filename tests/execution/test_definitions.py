"""What the entries of DW_EXECUTION_MODULES bring in, and what is said of bad ones."""

from __future__ import annotations

import pytest

from dwserver.execution.definitions import ModuleUnusable, load_definitions
from dwserver.execution.worker import check_definitions

PROGRAMS = "tests.execution.programs"


def test_a_module_brings_its_lists() -> None:
    found = load_definitions([f"{PROGRAMS}.greetings"])
    assert [each.__name__ for each in found.workflows] == ["Greet", "Linger"]
    assert [each.__name__ for each in found.activities] == [
        "make_greeting",
        "wait_for_mark",
    ]
    check_definitions(found)


def test_a_function_registers_and_nothing_counts_twice() -> None:
    entries = [f"{PROGRAMS}.registering:register", f"{PROGRAMS}.greetings"]
    found = load_definitions(entries)
    assert [each.__name__ for each in found.workflows] == ["Greet", "Linger"]
    check_definitions(found)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("no_such_module_anywhere", "ModuleNotFoundError: No module named"),
        (f"{PROGRAMS}.without_lists", "neither WORKFLOWS nor ACTIVITIES"),
        (f"{PROGRAMS}.registering:missing", "AttributeError: .*missing"),
        (f"{PROGRAMS}.registering:fail", "ConnectionError: the warehouse is closed"),
        (f"{PROGRAMS}.registering:register_an_object", "TypeError: .*no workflow"),
        (f"{PROGRAMS}.registering:register_nothing", "neither a workflow nor"),
        (":register", "ValueError"),
    ],
)
def test_a_bad_entry_is_named_with_its_trouble(entry: str, why: str) -> None:
    with pytest.raises(ModuleUnusable, match=why) as caught:
        load_definitions([entry])
    assert f"[{entry}]" in str(caught.value)


def test_two_workflows_of_one_name_are_refused() -> None:
    found = load_definitions([f"{PROGRAMS}.greetings"])
    twin = type("Twin", (found.workflows[0],), {"__workflow_name__": "greet"})
    twice = type(found)(workflows=(*found.workflows, twin), activities=())
    with pytest.raises(Exception, match="greet"):
        check_definitions(twice)
