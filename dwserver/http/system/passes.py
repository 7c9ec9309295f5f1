"""What the routes of the maintenance passes have in common.

Source: ``spec/topology-and-operations.md`` §4.5–4.7: rows are bounded, an exception of
one candidate is a row of the report and makes the status 207. Each route's pass is a
function of the body alone, which the command line runs without a server.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, TypedDict

from dwserver.http.call import Reply
from dwserver.http.route_shape import Count
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.reasons import Reason
from dwserver.protocol.validation import INTEGER, Field, Item
from dwserver.services.runs import RunContended

MAX_ROWS: Final = 100
MAX_ID_LENGTH: Final = 128

# More is asked for than is given: no error, as the original.
SCAN_LIMIT: Final = Field("limit", INTEGER, minimum=1)
IDENTIFIER: Final = Item(max_length=MAX_ID_LENGTH, pattern=re.compile(r".+", re.DOTALL))


class PassCounts(TypedDict):
    processed: Count
    skipped: Count
    failed: Count


class ScanReport(TypedDict):
    """``scan_pressure``: there may be more than the scan looked at."""

    scan_limit: Count
    scan_pressure: bool


def scan_report(found: Sequence[object], *, limit: int) -> JsonObject:
    return {"scan_limit": limit, "scan_pressure": len(found) >= limit}


def left_alone(outcome: StrEnum | Exception) -> JsonObject:
    """Of a row: the candidate was skipped, or could not be decided; why."""
    if isinstance(outcome, Exception):
        return {"outcome": "error", "reason": failure_reason(outcome)}
    return {"outcome": "skipped", "reason": outcome.value}


def pass_report(rows: Sequence[JsonObject], *, done: str) -> JsonObject:
    """What came of a pass; ``done``: the outcome of what it dealt with."""
    outcomes = Counter(row["outcome"] for row in rows)
    return {
        "processed": len(rows),
        done: outcomes[done],
        "skipped": outcomes["skipped"],
        "failed": outcomes["error"],
        "results": rows,
    }


def pass_reply(report: JsonObject) -> Reply:
    return Reply(pass_status(report["failed"]), report)


def scan_limit(values: JsonObject) -> int:
    """Rows that a pass looks at, 100 at most and by default."""
    asked = values[SCAN_LIMIT.name]
    return MAX_ROWS if asked is None else min(int(asked), MAX_ROWS)


def pass_status(failed: int) -> int:
    return 207 if failed else 200


def failure_reason(error: Exception) -> str:
    if isinstance(error, RunContended):
        return Reason.BACKEND_LOCK_PRESSURE.value
    return Reason.BACKEND_UNAVAILABLE.value
