"""Rows: external payload storage."""

from __future__ import annotations

from types import MappingProxyType

from dwserver.config.variable import Origin, Variable
from dwserver.config.variable import ValueType as T

STORAGE_VARIABLES = (
    Variable(
        "DW_EXTERNAL_STORAGE_LOCAL_ROOT",
        T.STRING,
        "storage.local_root",
        default="external-payloads",
        origin=Origin.OWN,
        description="Directory below which the local driver keeps payloads; policies "
        "may name directories in it, others are refused. All nodes need the same one.",
    ),
    Variable(
        "DW_EXTERNAL_STORAGE_ENDPOINTS",
        T.CSV,
        "storage.endpoints",
        default=(),
        origin=Origin.OWN,
        description="URLs of S3-compatible services that policies may name as their "
        "endpoint; others than the public service of AWS are refused.",
    ),
    Variable(
        "DW_EXTERNAL_STORAGE_CREDENTIALS",
        T.JSON,
        "storage.credentials",
        default=MappingProxyType({}),
        is_secret=True,
        origin=Origin.OWN,
        expected="a JSON object of profiles, each with access_key_id, "
        "secret_access_key and, if need be, session_token",
        description="Keys for object stores by the auth_profile of a policy; a policy "
        "without one takes `default`, or what AWS_* names, web identity or the machine "
        "offer.",
    ),
    Variable(
        "DW_EXTERNAL_STORAGE_TIMEOUT_SECONDS",
        T.NUMBER,
        "storage.timeout_seconds",
        default=10.0,
        unit="seconds",
        minimum=0.1,
        origin=Origin.OWN,
        description="Longest time that one transfer from or to storage may take.",
    ),
    Variable(
        "DW_EXTERNAL_STORAGE_MAX_PAYLOAD_BYTES",
        T.INTEGER,
        "storage.max_payload_bytes",
        default=16_777_216,
        unit="bytes",
        minimum=1,
        origin=Origin.OWN,
        description="Largest payload that clients may refer to, and the most that one "
        "request may refer to.",
    ),
)
