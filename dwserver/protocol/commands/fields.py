"""Reads the fields of one command and notes what is wrong with them.

Identifiers are trimmed, an optional one may be absent but not blank; whole numbers
may come as decimal strings, never as booleans or fractions
(``spec/worker-protocol.md`` §6.8).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dwserver.engine.hosts import HOST_TYPE
from dwserver.engine.model import JsonMap, Payload
from dwserver.engine.payloads import PLAIN_KEY
from dwserver.protocol.durations import MAX_DURATION_SECONDS
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.payloads.envelopes import (
    codec_error,
    parse_worker_payload,
    plain,
)
from dwserver.protocol.validation import (
    Errors,
    as_boolean,
    at_least,
    attribute_name,
    bad_format,
    first_text,
    must_be,
    not_allowed,
    not_greater,
    required,
    storable,
    too_long,
)
from dwserver.protocol.versions import OLDEST_WORKER_VERSION, WorkerVersion

MAX_NAME_LENGTH: Final = 255
MAX_COUNT: Final = (1 << 31) - 1

_INTEGER: Final = re.compile(r"-?\d{1,18}", re.ASCII)


@dataclass(slots=True)
class CommandFields:
    """One command; ``path`` is its place in the request, such as ``commands.0``.
    ``version`` is what the worker speaks."""

    raw: JsonObject
    path: str
    run_codec: str
    errors: Errors
    version: WorkerVersion = OLDEST_WORKER_VERSION

    def path_of(self, name: str) -> str:
        return f"{self.path}.{name}"

    def report(self, name: str, message: str) -> None:
        """Note an error of the field ``name`` (a dotted path within the command)."""
        self.errors.setdefault(self.path_of(name), []).append(message)

    def report_command(self, message: str) -> None:
        """Note an error of the command as a whole."""
        self.errors.setdefault(self.path, []).append(message)

    def required_identifier(self, name: str) -> str:
        """A non-blank string; ``""`` with an error otherwise."""
        value = self.raw.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            self.report(name, required(self.path_of(name)))
            return ""
        return self._identifier(name, value) or ""

    def identifier(self, *names: str) -> str | None:
        """The first of ``names`` that is present: the canonical one, then aliases."""
        for name in names:
            value = self.raw.get(name)
            if value is not None:
                return self._identifier(name, value)
        return None

    def _identifier(self, name: str, value: JsonValue) -> str | None:
        path = self.path_of(name)
        if not isinstance(value, str):
            self.report(name, must_be(path, "a string"))
            return None
        text = value.strip()
        if not text:
            self.report(name, must_be(path, "a non-empty string when it is given"))
        elif len(text) > MAX_NAME_LENGTH:
            self.report(name, too_long(path, MAX_NAME_LENGTH))
        elif "\0" in text:
            self.report(name, bad_format(path))
        elif name == "workflow_type" and text == HOST_TYPE:
            self.report(name, not_allowed(path))
        return text

    def optional_text(self, name: str) -> str | None:
        """Free text, absent when blank."""
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.report(name, must_be(self.path_of(name), "a string"))
            return None
        return storable(value) if value.strip() else None

    def required_text(self, name: str) -> str:
        text = self.optional_text(name)
        if text is None and self.path_of(name) not in self.errors:
            self.report(name, required(self.path_of(name)))
        return text or ""

    def failure_message(self) -> str:
        """``message``; where it is blank, the name of the exception, as workers send
        for ``raise ValueError()``."""
        raw = self.raw
        if isinstance(raw.get("message"), str):
            names = (raw.get("exception_type"), raw.get("exception_class"))
            text = first_text(raw["message"], *names)
            if text is not None:
                return storable(text)
        return self.required_text("message")

    def seconds(
        self, name: str, *, minimum: int, is_required: bool = False
    ) -> int | None:
        """Whole seconds within bounds; None when absent or wrong."""
        value = self.raw.get(name)
        if value is None:
            if is_required:
                self.report(name, required(self.path_of(name)))
            return None
        return self.bounded_integer(
            name, value, minimum=minimum, maximum=MAX_DURATION_SECONDS
        )

    def bounded_integer(
        self, name: str, value: JsonValue, *, minimum: int, maximum: int
    ) -> int | None:
        """``value`` found at ``name``, which may lie deeper in the command."""
        number = as_whole_number(value)
        if number is None:
            self.report(name, must_be(self.path_of(name), "an integer"))
            return None
        if number < minimum:
            self.report(name, at_least(self.path_of(name), minimum))
            return None
        if number > maximum:
            self.report(name, not_greater(self.path_of(name), maximum))
            return None
        return number

    def flag(self, name: str) -> bool:
        """A boolean, false when absent."""
        value = self.raw.get(name)
        if value is None:
            return False
        known = as_boolean(value)
        if known is None:
            self.report(name, must_be(self.path_of(name), "true or false"))
        return bool(known)

    def payload(self, *names: str) -> Payload | None:
        """The first of ``names`` that is present, as a payload."""
        name, value = names[0], None
        for name in names:
            value = self.raw.get(name)
            if value is not None:
                break
        declared = self.raw.get("payload_codec")
        if declared is not None:
            problem = codec_error(declared, self.path_of("payload_codec"))
            if problem is not None:
                self.report("payload_codec", problem.message)
        parsed = parse_worker_payload(value, self.run_codec, self.path_of(name))
        if not isinstance(parsed, list):
            return parsed
        for error in parsed:
            self.errors.setdefault(error.path, []).append(error.message)
        return None

    def json_object(self, name: str) -> JsonMap | None:
        """An object to be recorded as it is; None when absent or empty."""
        value = self.raw.get(name)
        if value is None or value == []:
            return None
        if not isinstance(value, dict):
            self.report(name, must_be(self.path_of(name), "an object"))
            return None
        for message in recording_errors(value, self.path_of(name)):
            self.report(name, message)
        return value or None


def as_whole_number(value: JsonValue) -> int | None:
    """An integer or its decimal text, within 18 digits."""
    if type(value) is int:
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    return None


def recording_errors(value: JsonValue, path: str) -> list[str]:
    """Why JSON of a caller cannot be part of a history event as it is, if so."""
    parsed = plain(value, path)
    if isinstance(parsed, list):
        return [error.message for error in parsed]
    # The key that marks unencoded payloads in events is the server's own.
    if f'"{PLAIN_KEY}":' in parsed.data:
        return [
            f"The {attribute_name(path)} field must not hold the key [{PLAIN_KEY}]."
        ]
    return []
