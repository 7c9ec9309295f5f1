"""Rows: credentials and who a request is attributed to."""

from __future__ import annotations

from dwserver.config.variable import OnInvalid, Variable
from dwserver.config.variable import ValueType as T

_HEADER = {
    "pattern": r"[!#$%&'*+.^_`|~0-9A-Za-z-]+",
    "expected": "an HTTP header name",
}


def _secret(name: str, setting: str, description: str) -> Variable:
    return Variable(
        name, T.STRING, f"auth.{setting}", is_secret=True, description=description
    )


def _header(name: str, setting: str, default: str, description: str) -> Variable:
    return Variable(
        name,
        T.STRING,
        f"attribution.{setting}",
        default=default,
        pattern=_HEADER["pattern"],
        expected=_HEADER["expected"],
        description=description,
    )


AUTH_VARIABLES = (
    Variable(
        "DW_AUTH_DRIVER",
        T.ENUM,
        "auth.driver",
        default="token",
        choices=("none", "token", "signature"),
        on_invalid=OnInvalid.KEEP,
        description="How requests prove who they are; an unknown driver refuses "
        "every request.",
    ),
    Variable(
        "DW_AUTH_PROVIDER",
        T.STRING,
        "auth.provider",
        description="Auth provider in Python, as `module:attribute`, that replaces the "
        "built-in drivers.",
    ),
    _secret(
        "DW_AUTH_TOKEN",
        "shared_token",
        "Single bearer token for every role, used alone or beside role tokens.",
    ),
    _secret("DW_WORKER_TOKEN", "worker_token", "Bearer token of workers."),
    _secret("DW_OPERATOR_TOKEN", "operator_token", "Bearer token of operators."),
    _secret("DW_ADMIN_TOKEN", "admin_token", "Bearer token of administrators."),
    _secret(
        "DW_SIGNATURE_KEY",
        "shared_signature_key",
        "Single HMAC key for every role under the signature driver.",
    ),
    _secret("DW_WORKER_SIGNATURE_KEY", "worker_signature_key", "HMAC key of workers."),
    _secret(
        "DW_OPERATOR_SIGNATURE_KEY", "operator_signature_key", "HMAC key of operators."
    ),
    _secret(
        "DW_ADMIN_SIGNATURE_KEY", "admin_signature_key", "HMAC key of administrators."
    ),
    Variable(
        "DW_AUTH_BACKWARD_COMPATIBLE",
        T.BOOLEAN,
        "auth.accepts_shared_credential",
        default=True,
        description="Accept the shared token or key although role credentials exist.",
    ),
    Variable(
        "DW_TRUST_FORWARDED_ATTRIBUTION_HEADERS",
        T.BOOLEAN,
        "attribution.trusts_forwarded_headers",
        default=False,
        description="Take caller and authentication details from the headers of "
        "a trusted gateway.",
    ),
    _header(
        "DW_CALLER_TYPE_HEADER",
        "caller_type_header",
        "X-Workflow-Caller-Type",
        "Header with the forwarded kind of caller.",
    ),
    _header(
        "DW_CALLER_LABEL_HEADER",
        "caller_label_header",
        "X-Workflow-Caller-Label",
        "Header with the forwarded name of the caller.",
    ),
    _header(
        "DW_AUTH_STATUS_HEADER",
        "auth_status_header",
        "X-Workflow-Auth-Status",
        "Header with the gateway's authentication verdict.",
    ),
    _header(
        "DW_AUTH_METHOD_HEADER",
        "auth_method_header",
        "X-Workflow-Auth-Method",
        "Header with the gateway's authentication method.",
    ),
)
