"""References to external storage in requests, and large payloads on their way in
(``spec/control-plane-api.md`` §13.1, §13.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from aiohttp import hdrs

from dwserver.engine.model import Payload
from dwserver.http.call import Call, Refusal
from dwserver.http.errors import RETRY_AFTER_SECONDS, invalid_fields, refuse
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.payloads.envelopes import parse_reference
from dwserver.protocol.payloads.external import EXTERNAL_KEYS
from dwserver.protocol.reasons import Plane, Reason
from dwserver.protocol.validation import collect
from dwserver.services.catalog import Services
from dwserver.services.external_payloads import (
    PayloadStorageUnavailable,
    ReferenceRefused,
)

Record = TypeVar("Record")

# Where commands of workflow tasks have payloads.
COMMAND_FIELDS: Final = ("arguments", "input", "result")


async def fetched(
    services: Services, call: Call, value: JsonValue, *, field: str, plane: Plane
) -> JsonValue:
    """``value``; in the place of a reference the envelope with the blob itself.

    A reference stays where the namespace has no storage: whoever parses it refuses it.
    Raises the refusals 422, at the field, and 503.
    """
    if not isinstance(value, dict) or value.keys() != EXTERNAL_KEYS:
        return value
    if services.external_payloads.is_unused(call.namespace):
        return value
    reference = parse_reference(value, field)
    if isinstance(reference, list):
        raise invalid_fields(collect(reference))
    try:
        blob = await services.external_payloads.fetched(call.namespace, reference)
    except ReferenceRefused as error:
        raise invalid_fields({f"{field}.external_storage": [str(error)]}) from None
    except PayloadStorageUnavailable as error:
        raise storage_unavailable(error, plane) from None
    return value if blob is None else {"codec": reference.codec, "blob": blob}


async def fetched_commands(
    services: Services, call: Call, commands: JsonValue
) -> JsonValue:
    """The commands of a completion, with :func:`fetched` payloads. Together they may
    refer to no more than one payload may have."""
    if services.external_payloads.is_unused(call.namespace):
        return commands
    if not isinstance(commands, list):
        return commands
    limit = services.limits.external_payload_bytes
    if sum(map(_referred_bytes, commands)) > limit:
        text = f"The commands refer to more than {limit} bytes in external storage."
        raise invalid_fields({"commands": [text]})
    return [
        await _fetched_command(services, call, command, f"commands.{index}")
        if isinstance(command, dict)
        else command
        for index, command in enumerate(commands)
    ]


def _referred_bytes(command: JsonValue) -> int:
    """By the words of the references; a wrong word is refused when it is fetched."""
    if not isinstance(command, dict):
        return 0
    found = 0
    for name in COMMAND_FIELDS:
        value = command.get(name)
        reference = value.get("external_storage") if isinstance(value, dict) else None
        size = reference.get("size_bytes") if isinstance(reference, dict) else None
        found += size if isinstance(size, int) else 0
    return found


async def _fetched_command(
    services: Services, call: Call, command: JsonObject, path: str
) -> JsonObject:
    found: JsonObject = {
        name: await fetched(
            services,
            call,
            command[name],
            field=f"{path}.{name}",
            plane=Plane.WORKER,
        )
        for name in COMMAND_FIELDS
        if name in command
    }
    return {**command, **found}


async def kept(
    services: Services,
    call: Call,
    payload: Payload | None,
    *,
    plane: Plane,
    **fields: JsonValue,
) -> Payload | None:
    """``payload`` as it is to be recorded; raises the refusal 503 with ``fields``."""
    if payload is None or services.external_payloads.is_unused(call.namespace):
        return payload
    try:
        return await services.external_payloads.kept(call.namespace, payload)
    except PayloadStorageUnavailable as error:
        raise storage_unavailable(error, plane, **fields) from None


async def kept_in(
    services: Services, call: Call, records: Sequence[Record], *, plane: Plane
) -> Sequence[Record]:
    """``records`` with their payloads :func:`kept`."""
    if services.external_payloads.is_unused(call.namespace):
        return records
    try:
        return await services.external_payloads.kept_in(call.namespace, records)
    except PayloadStorageUnavailable as error:
        raise storage_unavailable(error, plane) from None


def storage_unavailable(
    error: PayloadStorageUnavailable, plane: Plane, **fields: JsonValue
) -> Refusal:
    refusal = refuse(
        Reason.EXTERNAL_PAYLOAD_STORAGE_UNAVAILABLE,
        plane,
        str(error),
        retryable=True,
        retry_after_seconds=RETRY_AFTER_SECONDS,
        **fields,
    )
    refusal.headers = {hdrs.RETRY_AFTER: str(RETRY_AFTER_SECONDS)}
    return refusal
