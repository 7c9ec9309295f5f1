"""Typed members of one object of a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, TypeVar

import orjson

from dwserver.engine.imports.eligibility import Rule
from dwserver.engine.imports.records import InconsistentBundle
from dwserver.engine.model import JsonMap, Payload
from dwserver.engine.payloads import PLAIN_KEY
from dwserver.engine.search_attributes import instant_of
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.payloads.records import AVRO_CODEC

Word = TypeVar("Word", bound=StrEnum)

MAX_TEXT: Final = 255
"""Characters of ids, names and words: what keys of both databases hold."""
MAX_STEP: Final = 2**53 - 1
MAX_COUNT: Final = 2**31 - 1


class Row:
    """``path``: its place in the document, for what is said about it."""

    __slots__ = ("_members", "path")

    def __init__(self, members: JsonValue, path: str) -> None:
        self.path = path
        if not isinstance(members, dict):
            raise self.problem("", "is not an object")
        self._members: JsonObject = members

    def problem(self, name: str, what: str) -> InconsistentBundle:
        place = f"{self.path}.{name}".strip(".") or "bundle"
        return InconsistentBundle(Rule.ROW_INVALID, f"`{place}` {what}.")

    def has(self, name: str) -> bool:
        return self._members.get(name) is not None

    def value(self, name: str) -> JsonValue:
        return self._members.get(name)

    # texts ----------------------------------------------------------------------
    def text(self, name: str) -> str:
        found = self.text_or_none(name)
        if found is None:
            raise self.problem(name, "is missing")
        return found

    def text_or_none(self, name: str) -> str | None:
        """Of at most :data:`MAX_TEXT` characters; an empty one counts as missing."""
        found = self.prose_or_none(name)
        if found is not None and len(found) > MAX_TEXT:
            raise self.problem(name, f"is longer than {MAX_TEXT} characters")
        return found

    def prose_or_none(self, name: str) -> str | None:
        """A text of any length."""
        found = self._members.get(name)
        if found is None or found == "":
            return None
        if not isinstance(found, str):
            raise self.problem(name, "is not a text")
        if "\0" in found:
            raise self.problem(name, "holds a null character")
        return found

    def word(
        self, name: str, words: type[Word], *, default: Word | None = None
    ) -> Word:
        found = self.text_or_none(name)
        if found is None and default is not None:
            return default
        try:
            return words(found or "")
        except ValueError:
            what = f"is [{found}], which is not known" if found else "is missing"
            raise self.problem(name, what) from None

    def word_or_none(self, name: str, words: type[Word]) -> Word | None:
        return self.word(name, words) if self.has(name) else None

    # numbers --------------------------------------------------------------------
    def integer(
        self,
        name: str,
        *,
        default: int | None = None,
        minimum: int = 0,
        maximum: int = MAX_STEP,
    ) -> int:
        found = self._members.get(name)
        if found is None and default is not None:
            return default
        if isinstance(found, bool) or not isinstance(found, int):
            raise self.problem(name, "is not a whole number")
        if not minimum <= found <= maximum:
            raise self.problem(name, f"is not between {minimum} and {maximum}")
        return found

    def integer_or_none(self, name: str, *, minimum: int = 0) -> int | None:
        return self.integer(name, minimum=minimum) if self.has(name) else None

    def count(self, name: str) -> int:
        return self.integer(name, default=0, maximum=MAX_COUNT)

    def flag(self, name: str) -> bool:
        return self._members.get(name) is True

    # instants -------------------------------------------------------------------
    def instant(self, *names: str) -> int:
        """The first of the members that is there."""
        for name in names:
            found = self.instant_or_none(name)
            if found is not None:
                return found
        raise self.problem(names[0], "is missing")

    def instant_or_none(self, name: str) -> int | None:
        found = self._members.get(name)
        if found is None:
            return None
        at = instant_of(found) if isinstance(found, str) else None
        if at is None:
            raise self.problem(name, "is not an instant")
        return at

    # what holds others ----------------------------------------------------------
    def map(self, name: str) -> JsonMap:
        """PHP writes an empty map as an empty list."""
        found = self._members.get(name)
        if not found:
            return {}
        if not isinstance(found, dict):
            raise self.problem(name, "is not an object")
        return found

    def kept_map(self, name: str) -> JsonMap:
        """One whose members may stand in events of this server later on."""
        found = self.map(name)
        if f'"{PLAIN_KEY}":'.encode() in orjson.dumps(found):
            raise self.problem(name, f"holds the key [{PLAIN_KEY}]")
        return found

    def row(self, name: str) -> Row:
        return Row(self._members.get(name), f"{self.path}.{name}".lstrip("."))

    def rows(self, name: str) -> Iterator[Row]:
        found = self._members.get(name)
        if found is None:
            return
        if not isinstance(found, list):
            raise self.problem(name, "is not a list")
        place = f"{self.path}.{name}".lstrip(".")
        for index, members in enumerate(found):
            yield Row(members, f"{place}[{index}]")

    def payload(self, name: str, codec: str | None) -> Payload | None:
        """An encoded value. What lies in the storage of the embedded application cannot
        be read from here."""
        found = self._members.get(name)
        if found is None or found == "":
            return None
        if not isinstance(found, str):
            raise self.problem(name, "is not an encoded payload")
        if "\0" in found:
            raise self.problem(name, "holds a null character")
        return Payload(codec or AVRO_CODEC, found)
