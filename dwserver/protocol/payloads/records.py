"""What a payload is once it has passed the edge.

Source: ``decisions.md`` 9, ``spec/control-plane-api.md`` §13,
``spec/worker-protocol.md`` §2.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dwserver.engine.model import Payload
from dwserver.engine.payloads import PLAIN_CODEC, WIRE_CODEC

AVRO_CODEC: Final = WIRE_CODEC
KNOWN_CODECS: Final = (AVRO_CODEC,)


# A workflow that is started without input runs with no arguments.
EMPTY_ARGUMENTS: Final = Payload(PLAIN_CODEC, "[]")


@dataclass(frozen=True, slots=True)
class ExternalReference:
    """Where the blob text of a payload is kept.

    ``sha256`` (lower-case hex) and ``size_bytes`` cover the blob text as stored.
    ``expires_at`` is the client's ISO-8601 hint, unread.
    """

    codec: str
    uri: str
    sha256: str
    size_bytes: int
    expires_at: str | None = None


class PayloadDecodeError(ValueError):
    """A blob that cannot be turned into a value; the text says why."""


class PayloadEncodeError(ValueError):
    """A value that has no representation in the wanted framing."""
