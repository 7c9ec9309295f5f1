"""Every statement about a cluster has a test that is named after it.

Statements: ``spec/topology-and-operations.md`` §7.1 (V), §7.2 (R), and the rows of the
table in §7.3 (HA).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.support.source_tree import ROOT, python_files

STATEMENTS = (
    *("v1", "v2", "v3", "v4", "v5"),
    *("r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10"),
    "ha_database_failover",
    "ha_redis_failover",
    "ha_api_node_loss",
    "ha_worker_loss",
    "ha_scheduler_loss",
)

_TEST = re.compile(r"^(?:async )?def test_(\w+)", re.MULTILINE)
_ID = re.compile(r"(?:ha_(?:database|redis|scheduler|worker|api_node)_[a-z]+|[rv]\d+)")


def ids_of(test: str) -> Iterator[str]:
    """The ids with which the name of a test begins."""
    while match := _ID.match(test):
        yield match[0]
        test = test[match.end() :].removeprefix("_")


def named_ids() -> set[str]:
    texts = (path.read_text("utf-8") for path in python_files(ROOT / "tests"))
    return {
        id_ for text in texts for name in _TEST.findall(text) for id_ in ids_of(name)
    }


def test_every_statement_has_a_test() -> None:
    assert sorted(set(STATEMENTS) - named_ids()) == []
