"""Values that records hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dwserver.engine.records import quick_init

JsonMap = Mapping[str, object]


@quick_init
@dataclass(frozen=True, slots=True)
class Payload:
    """An encoded value: ``data`` is the codec's transport text.

    Codec ``avro``: ``data`` is the base64 text exactly as a client sent it. Codec
    ``json``: ``data`` is compact JSON text of a value that a caller sent unencoded;
    it is encoded for each reader at delivery (decision 9).
    """

    codec: str
    data: str
