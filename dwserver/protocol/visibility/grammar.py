"""Visibility queries as text: predicates joined by AND, nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from dwserver.engine.run_conditions import Operator
from dwserver.protocol.visibility.problems import (
    MAX_LITERALS,
    MAX_PREDICATES,
    InvalidQuery,
    Problem,
)


class LiteralKind(Enum):
    QUOTED = auto()
    BOOLEAN = auto()
    INTEGER = auto()
    FLOAT = auto()
    WORD = auto()


@dataclass(frozen=True, slots=True)
class Literal:
    """``text`` as written, a quoted one without its quotes and escapes."""

    kind: LiteralKind
    text: str


@dataclass(frozen=True, slots=True)
class Predicate:
    """``Field op literal``; no literals: the field stands alone, for true."""

    field: str
    operator: Operator
    literals: tuple[Literal, ...]
    is_list: bool = False


_QUERY: Final = re.compile(
    r"""\b[A-Z][A-Z0-9_]*\s*(?:[!<>]?=|[<>])
    | \b[A-Z][A-Z0-9_]*\s+IN\s*\(
    | (?:^|\bAND\s)\s*NOT\s+[A-Z]""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<word>[A-Za-z0-9_.:-]+)
        | (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
        | (?P<sign>[!<>]=|[=<>(),])
    )""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_INTEGER: Final = re.compile(r"-?\d+", re.ASCII)
_FLOAT: Final = re.compile(r"-?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE]-?\d+)?", re.ASCII)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def is_visibility_query(text: str) -> bool:
    """Whether the text is meant as a query; any other text is searched for."""
    return _QUERY.search(text) is not None


def parse(text: str) -> tuple[Predicate, ...]:
    """The predicates of a query, all of which must hold; raises InvalidQuery."""
    parser = _Parser(_tokens(text))
    predicates = [parser.predicate()]
    while not parser.is_at_end:
        if not parser.takes_word("AND"):
            raise InvalidQuery(Problem.NO_PREDICATE)
        predicates.append(parser.predicate())
        if len(predicates) > MAX_PREDICATES:
            raise InvalidQuery(Problem.TOO_MANY_PREDICATES)
    return tuple(predicates)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def _tokens(text: str) -> list[_Token]:
    tokens = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise InvalidQuery(Problem.NO_PREDICATE)
        tokens.append(_Token(match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0

    @property
    def is_at_end(self) -> bool:
        return self._next == len(self._tokens)

    def takes_word(self, word: str) -> bool:
        """Whether the keyword comes next; then it is behind us."""
        token = self._peek("word")
        if token is None or token.text.upper() != word:
            return False
        self._next += 1
        return True

    def predicate(self) -> Predicate:
        is_negated = self.takes_word("NOT")
        field = self._take("word")
        if _FIELD.fullmatch(field) is None:
            raise InvalidQuery(Problem.NO_PREDICATE)
        operator, literals, is_list = self._comparison(field)
        if is_negated:
            operator = operator.inverse
        return Predicate(field, operator, literals, is_list)

    def _comparison(self, field: str) -> tuple[Operator, tuple[Literal, ...], bool]:
        sign = self._peek("sign")
        if sign is not None and sign.text in _SIGNS:
            self._next += 1
            return Operator(sign.text), (self._literal(),), False
        if self.takes_word("IN"):
            return Operator.EQ, self._list(field), True
        # What follows must be another predicate, or the end.
        return Operator.EQ, (), False

    def _list(self, field: str) -> tuple[Literal, ...]:
        self._take("sign", "(")
        literals = [self._literal()]
        while self._peek("sign", ","):
            self._next += 1
            literals.append(self._literal())
        self._take("sign", ")")
        if len(literals) > MAX_LITERALS:
            raise InvalidQuery(Problem.TOO_MANY_LITERALS, field)
        return tuple(literals)

    def _literal(self) -> Literal:
        if self._peek("quoted") is not None:
            quoted = self._take("quoted")[1:-1]
            return Literal(LiteralKind.QUOTED, _ESCAPED.sub(r"\1", quoted))
        word = self._take("word")
        return Literal(_kind_of(word), word)

    def _peek(self, kind: str, text: str | None = None) -> _Token | None:
        if self.is_at_end:
            return None
        token = self._tokens[self._next]
        is_it = token.kind == kind and text in (None, token.text)
        return token if is_it else None

    def _take(self, kind: str, text: str | None = None) -> str:
        token = self._peek(kind, text)
        if token is None:
            raise InvalidQuery(Problem.NO_PREDICATE)
        self._next += 1
        return token.text


_SIGNS: Final = frozenset(Operator)


def _kind_of(word: str) -> LiteralKind:
    if word.lower() in {"true", "false"}:
        return LiteralKind.BOOLEAN
    if _INTEGER.fullmatch(word):
        return LiteralKind.INTEGER
    return LiteralKind.FLOAT if _FLOAT.fullmatch(word) else LiteralKind.WORD
