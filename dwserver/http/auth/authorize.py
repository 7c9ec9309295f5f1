"""Whether a principal may use a route (``spec/control-plane-api.md`` §3.3)."""

from __future__ import annotations

from dwserver.http.auth.principal import AccessRole, Principal


def is_allowed(principal: Principal, allowed: tuple[AccessRole, ...]) -> bool:
    """Full access, or any of the principal's roles among the allowed ones."""
    if principal.has_full_access:
        return True
    # A plain loop: this runs for every request, mostly over one role.
    for role in principal.roles:  # noqa: SIM110
        if role in allowed:
            return True
    return False
