"""How long a duration in a request may be."""

from __future__ import annotations

from typing import Final

# A century. Later instants would leave the calendar of the wire (year 9999).
MAX_DURATION_SECONDS: Final = 3_155_760_000
