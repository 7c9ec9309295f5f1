"""Options and fixtures of every test. Fixtures are lazy: a pure test starts nothing."""

from __future__ import annotations

import pytest

from tests.support.environment import forget_configuration

forget_configuration()

pytest_plugins = (
    "tests.support.substrate",
    "tests.support.databases",
    "tests.support.processes",
    "tests.support.s3_service",
    "tests.support.sqlite_stores",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full", action="store_true", help="also run the tests marked 'full'"
    )


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave tests marked ``full`` out, unless asked for."""
    if config.getoption("--full"):
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
