"""Sizes and values that the scenarios and what tests expect of them have in common."""

from __future__ import annotations

import hashlib
from typing import Any

CHAIN_START = 100
CHAIN_LENGTH = 5
FAN_WIDTH = 50
CONTINUATIONS = 2
NAP_SECONDS = 1
TALLY_NUMBERS = [1, 2, 3]
LARGE_CHARACTERS = 1_000_000
BALLOTS = 30
CREW = ("ada", "bob", "cy")
CLOSE_POLICIES = ("abandon", "request_cancel", "terminate")
CANCEL_REASON = "changed our mind"
TERMINATE_REASON = "pulled the plug"
STAGE_ATTRIBUTE = "SdkStage"

# Stands for the id of the started workflow in the arguments of a scenario.
JOB = "$job"

ORDER: dict[str, Any] = {
    "order_id": "o-1",
    "item": "teapot",
    "quantity": 3,
    "unit_price_cents": 1900,
    "address": "1 Old Lane",
}
NEW_ADDRESS = "2 New Street"


def large_text(seed: str) -> str:
    """Reproducible and hard to compress."""
    block = ""
    blocks: list[str] = []
    while len(blocks) * 64 < LARGE_CHARACTERS:
        block = hashlib.sha256((seed + block).encode()).hexdigest()
        blocks.append(block)
    return "".join(blocks)[:LARGE_CHARACTERS]
