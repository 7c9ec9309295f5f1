"""Shapes recorded from the reference server, with its sentences masked.

A sentence is any text with a space: it carries no machine meaning, only its place
in the document is compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

SENTENCE = "<text>"


def masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    if isinstance(value, str) and " " in value:
        return SENTENCE
    return value


def recording(folder: Path, name: str) -> Any:
    return orjson.loads((folder / "fixtures" / name).read_bytes())
