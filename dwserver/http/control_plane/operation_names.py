"""Names of signals, queries and updates in paths (``control-plane-api.md`` §5.6)."""

from __future__ import annotations

from dwserver.http.errors import invalid_fields
from dwserver.protocol.control_plane import CONTRACTS, Operation
from dwserver.protocol.validation import required


def check_operation_name(operation: Operation, name: str, *, max_bytes: int) -> None:
    """Refuse (422) a name that cannot be one, before anything is looked up."""
    field = CONTRACTS[operation].operation_name_field
    if field is None:
        raise ValueError(f"{operation} has no name")
    text = _broken_rule(operation, name, field, max_bytes)
    if text is not None:
        raise invalid_fields({field: [text]})


def _broken_rule(
    operation: Operation, name: str, field: str, max_bytes: int
) -> str | None:
    if not name.strip():
        return required(field)
    if len(name.encode()) > max_bytes:
        return f"The {operation} name exceeds the maximum length of {max_bytes} bytes."
    if any(char < " " or char == "\x7f" for char in name):
        return f"The {operation} name must not contain control characters."
    return None
