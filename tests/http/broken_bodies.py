"""Bodies of requests that no route may take, made from the fields that it declares.

Each has a certain defect, whatever else is in it: it is no JSON, too large, too deep,
or has a field of a wrong type. So each must be refused, and nothing may change.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from dwserver.http.route import Route
from dwserver.protocol.validation import Field, Kind

LIMIT = 2_097_152

# Nothing that the kind takes, in any of its forms.
WRONG_VALUES: dict[Kind, tuple[bytes, ...]] = {
    Kind.STRING: (b"7", b"true", b"[]", b'{"a":1}', b"1e300", b"18446744073709551616"),
    Kind.TEXT: (b"7", b"false", b'["a"]', b"{}", b"-1e-300"),
    Kind.INTEGER: (
        b'"many"',
        b"1.5",
        b"true",
        b"[1]",
        b"9223372036854775808",
        b"-9223372036854775809",
        b"123456789012345678901234567890",
        b"1e300",
        b'"99999999999999999999"',
    ),
    Kind.NUMBER: (b'"nan"', b'"Infinity"', b"true", b"[]", b'"1e999"'),
    Kind.BOOLEAN: (b'"maybe"', b"2", b"[]", b"1.5", b"{}"),
    Kind.ARRAY: (b'"text"', b"7", b"true"),
    Kind.LIST: (b'"text"', b"7", b"{}", b'{"0":"a"}'),
    Kind.OBJECT: (b'"text"', b"7", b'["a"]', b"true"),
}
NOT_JSON = (
    b"{",
    b'{"a":}',
    b"{'a':1}",
    b'{"a":1,}',
    b'{"a":1}{"a":2}',
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":-Infinity}',
    b'{"a":01}',
    b'{"a":+1}',
    b'{"a":.5}',
    b'{"a":1.}',
    b'{"a":0x1}',
    b'{"a":"\x01"}',
    b'{"a":"\\x41"}',
    b'{"a":"\\u12"}',
    b'{"a":"\\ud800"}',
    b'{"a":"\xff"}',
    b'{"a":"\xc0\xaf"}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\xf4\x90\x80\x80"}',
    b'{"\xfe":1}',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b"// nothing\n{}",
    b"undefined",
    b"\x00",
    b"a=1&b=2",
)


@dataclass(frozen=True, slots=True)
class Body:
    """``kind`` says what is wrong, ``statuses`` how it may be refused."""

    kind: str
    raw: bytes
    statuses: frozenset[int]


BAD_JSON = frozenset({400})
TOO_LARGE = frozenset({413})
# A target that has gone, or is another's, may be told before the fields.
REFUSED = frozenset({404, 409, 422})

Maker = Callable[[Route, random.Random], Body]


def bodies(route: Route, dice: random.Random) -> Iterator[Body]:
    """Broken bodies for the route, without end; every kind comes up again and again."""
    while True:
        for maker in MAKERS:
            yield maker(route, dice)


def wrong_type(route: Route, dice: random.Random) -> Body:
    return Body("wrong type", _with_defect(route, dice), REFUSED)


def wrong_type_among_noise(route: Route, dice: random.Random) -> Body:
    noise = b",".join(
        b'"%b":%b' % (_word(dice), dice.choice(SCALARS)) for _ in range(50)
    )
    raw = _with_defect(route, dice)
    return Body("noise", b"{%b,%b" % (noise, raw[1:]), REFUSED)


def duplicate_keys(route: Route, dice: random.Random) -> Body:
    """The first of two equal keys is right; the last one counts."""
    field, wrong = _defect(route, dice)
    right = orjson.dumps(_right_value(field))
    members = b'"%b":%b,"%b":%b' % (field, right, field, wrong)
    return Body("duplicate keys", _around(route, members, without=field), REFUSED)


def no_json(route: Route, dice: random.Random) -> Body:
    return Body("no JSON", dice.choice(NOT_JSON), BAD_JSON)


def cut_off(route: Route, dice: random.Random) -> Body:
    whole = _with_defect(route, dice)
    return Body("cut off", whole[: dice.randrange(1, len(whole))], BAD_JSON)


def garbled(route: Route, dice: random.Random) -> Body:
    """Random bytes behind a quotation mark are no UTF-8."""
    noise = bytes(dice.randrange(128, 256) for _ in range(dice.randrange(1, 200)))
    return Body("garbled", b'{"a":"\xff%b"}' % noise, BAD_JSON)


def deep(route: Route, dice: random.Random) -> Body:
    levels = dice.choice((201, 255, 1_000, 1_025, 20_000, 200_000))
    opening, closing = dice.choice(((b"[", b"]"), (b'{"a":', b"}")))
    is_closed = dice.random() < 0.7
    nested = opening * levels + b"1" + closing * (levels if is_closed else 0)
    name = dice.choice([b"input", b"commands", b"anything"])
    return Body("deep", b'{"%b":%b}' % (name, nested), BAD_JSON)


def huge_number(route: Route, dice: random.Random) -> Body:
    digits = dice.choice((400, 5_000, 100_000))
    sign = dice.choice((b"", b"-"))
    number = sign + dice.choice((b"9" * digits, b"1e%d" % digits))
    members = b'"anything":%b' % number
    field, wrong = _defect(route, dice)
    raw = _around(route, b'%b,"%b":%b' % (members, field, wrong), without=field)
    # Readers of JSON may refuse a number that no float can hold.
    return Body("huge number", raw, REFUSED | BAD_JSON)


def _sized(size: int, kind: str) -> Maker:
    def make(route: Route, dice: random.Random) -> Body:
        is_too_large = size > LIMIT and not route.takes_bundles
        statuses = TOO_LARGE if is_too_large else REFUSED
        raw = _with_defect(route, dice)
        filler = size - len(raw) - len(b'"x":"",')
        padded = b'{"x":"%b",%b' % (b"x" * filler, raw[1:])
        return Body(kind, padded, statuses)

    return make


SCALARS = (b"null", b"0", b"-1", b'""', b'"\\u0000"', b"1e10", b"[[]]", b'{"":{}}')
LARGE_MAKERS: tuple[Maker, ...] = (
    _sized(LIMIT - 1, "just below the limit"),
    _sized(LIMIT, "at the limit"),
    _sized(LIMIT + 1, "just over the limit"),
)
MAKERS: tuple[Maker, ...] = (
    wrong_type,
    wrong_type_among_noise,
    duplicate_keys,
    no_json,
    cut_off,
    garbled,
    deep,
    huge_number,
)


def _word(dice: random.Random) -> bytes:
    """A name that no field has."""
    return b"x-%x" % dice.getrandbits(32)


def _defect(route: Route, dice: random.Random) -> tuple[bytes, bytes]:
    """A field at the top, and a value that it cannot have."""
    assert route.shape is not None
    fields = [
        field
        for field in route.shape.body
        if not field.is_nested and field.kind in WRONG_VALUES
    ]
    field = dice.choice(fields)
    return field.name.encode(), dice.choice(WRONG_VALUES[field.kind])


def _with_defect(route: Route, dice: random.Random) -> bytes:
    field, wrong = _defect(route, dice)
    return _around(route, b'"%b":%b' % (field, wrong), without=field)


def _around(route: Route, members: bytes, *, without: bytes) -> bytes:
    """``members`` behind the required fields, which are as they should be."""
    assert route.shape is not None
    needed = {
        field.name: _right_value(field.name.encode(), field)
        for field in route.shape.body
        if field.required and not field.is_nested and field.name.encode() != without
    }
    text = orjson.dumps(needed)[1:-1]
    return b"{%b%b%b}" % (text, b"," if text else b"", members)


def _right_value(name: bytes, field: Field | None = None) -> Any:
    kind = field.kind if field else Kind.STRING
    if field is not None and field.choices:
        return min(field.choices)
    match kind:
        case Kind.INTEGER | Kind.NUMBER:
            return 1
        case Kind.OBJECT:
            return {"message": "m"}
        case Kind.LIST | Kind.ARRAY:
            return []
        case _:
            return name.decode()
