"""How carriers compose connection values and credentials.

Source: ``spec/topology-and-operations.md`` §1.8. Python workers of every release
from 0.4 on refuse to start unless the required parts are exactly these
(``spec/client-compatibility.md`` §3.2).
"""

from __future__ import annotations

from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.schemas import AUTH_COMPOSITION

_ONE_OF_SOURCES = "one_of_source_values"


def auth_composition_contract() -> JsonObject:
    return {
        **AUTH_COMPOSITION.identity(),
        "scope": "external_execution_carriers",
        "unknown_field_policy": "ignore_additive_reject_unknown_required",
        "precedence": {
            "connection_values": [
                "flag",
                "environment",
                "selected_profile",
                "default",
            ],
            "profile_selection": [
                "flag_env",
                "DW_ENV",
                "current_profile",
                "default_profile",
            ],
            "notes": [
                "a flag counts for one invocation",
                "values from the environment are not written to profiles",
                "a profile stores references to secrets rather than secrets",
                "diagnostics show a default as a default",
            ],
        },
        "canonical_environment": {
            "server_url": "DURABLE_WORKFLOW_SERVER_URL",
            "namespace": "DURABLE_WORKFLOW_NAMESPACE",
            "auth_token": "DURABLE_WORKFLOW_AUTH_TOKEN",
            "tls_verify": "DURABLE_WORKFLOW_TLS_VERIFY",
            "profile": "DW_ENV",
        },
        "auth_material": _auth_material(),
        "effective_config": _effective_config(),
        "redaction": {
            "never_echo": [
                "bearer_tokens",
                "private_keys",
                "shared_signature_keys",
                "client_certificate_private_key_material",
                "raw_authorization_headers",
            ],
            "allowed_diagnostics": [
                "redacted",
                "secret_reference_name",
                "environment_variable_name",
                "profile_name",
                "certificate_reference_name",
                "key_reference_name",
            ],
        },
        "resolution": {
            "server_url": "the absolute URL that wins is used as it is",
            "namespace": "the namespace that wins is sent in its header",
            "identity": "subject and roles are what the server says they are",
            "tls": "a bad certificate is an error unless verification is off",
        },
    }


def _auth_material() -> JsonObject:
    return {
        "token": {
            "status": "supported",
            "transport": "bearer_authorization_header",
            "persisted_as": "secret_reference_or_profile_env_reference",
            "effective_config_value": "redacted",
        },
        "mtls": {
            "status": "reserved",
            "persisted_as": "certificate_and_key_references",
            "effective_config_value": "references_only",
        },
        "signed_headers": {
            "status": "reserved",
            "persisted_as": "key_reference_and_header_allowlist",
            "effective_config_value": "references_only",
        },
        "extensions": {
            "status": "reserved",
            "rule": "a new kind of credential first states its redaction, "
            "storage and precedence",
        },
    }


def _effective_config() -> JsonObject:
    return {
        "required_fields": [
            "server_url",
            "namespace",
            "profile",
            "auth",
            "tls",
            "identity",
        ],
        "source_values": [
            "flag",
            "environment",
            "selected_profile",
            "profile_env",
            "default",
            "server",
        ],
        "field_contracts": {
            "server_url": {
                "value": "normalized_absolute_url",
                "source": _ONE_OF_SOURCES,
            },
            "namespace": {
                "value": "non_empty_namespace_name",
                "source": _ONE_OF_SOURCES,
            },
            "profile": {
                "name": "nullable_string",
                "source": "flag_env_or_DW_ENV_or_current_profile_or_default_profile",
            },
            "auth": {
                "type": "token_or_mtls_or_signed_headers_or_none",
                "source": _ONE_OF_SOURCES,
                "value": "redacted_or_reference_only",
            },
            "tls": {"verify": "boolean", "source": _ONE_OF_SOURCES},
            "identity": {
                "subject": "nullable_string",
                "roles": "list_of_strings",
                "source": "server_or_carrier",
            },
        },
    }
