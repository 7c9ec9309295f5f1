"""Names for JSON values at the edge of the program."""

from __future__ import annotations

from typing import Any, TypeAlias

# JSON is untyped until a check has looked at it: this is the one place for Any.
JsonValue: TypeAlias = Any
JsonObject: TypeAlias = dict[str, Any]
