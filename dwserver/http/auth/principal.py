"""Who sends a request (``spec/control-plane-api.md`` §3.2, §3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from dwserver.protocol.json_types import JsonObject, JsonValue

_NO_CLAIMS: Mapping[str, JsonValue] = MappingProxyType({})


class AccessRole(StrEnum):
    """What a credential was issued for. Admin does not include worker."""

    WORKER = "worker"
    OPERATOR = "operator"
    ADMIN = "admin"


class AuthMethod(StrEnum):
    """How a principal proved who it is."""

    NONE = "none"
    TOKEN = "token"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated caller. ``method`` is an :class:`AuthMethod`, or a word of a
    custom provider; ``claims`` hold nothing secret; a principal with
    ``has_full_access`` passes every role check of the built-in drivers."""

    subject: str
    roles: tuple[str, ...]
    method: str = AuthMethod.NONE
    tenant: str | None = None
    claims: Mapping[str, JsonValue] = field(default_factory=lambda: _NO_CLAIMS)
    has_full_access: bool = False

    @property
    def primary_role(self) -> str | None:
        """The first role, which refusals and the audit name."""
        return self.roles[0] if self.roles else None

    def audit_form(self) -> JsonObject:
        """What command contexts record; empty values are left out."""
        form: JsonObject = {
            "subject": self.subject,
            "roles": list(self.roles),
            "tenant": self.tenant,
            "claims": dict(self.claims),
            "legacy_full_access": self.has_full_access,
        }
        return {key: value for key, value in form.items() if value}


ANONYMOUS = Principal(
    subject="anonymous",
    roles=(AccessRole.ADMIN.value,),
    method=AuthMethod.NONE,
    has_full_access=True,
)
"""Everyone, while no authentication is configured."""
