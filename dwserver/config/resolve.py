"""Resolving every variable of the contract against one environment.

Precedence: the name, its legacy alias, the infrastructure names, the default. A
blank value counts as unset.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dwserver.config.connection_urls import (
    UnusableNamesError,
    compose_database_url,
    compose_redis_url,
    normalise_database_url,
    normalise_redis_url,
)
from dwserver.config.contract import BY_NAME, CONTRACT
from dwserver.config.errors import ConfigurationError, InvalidValueError, Problem
from dwserver.config.parse import parse_value
from dwserver.config.variable import Derived, OnInvalid, ValueType, Variable

_URLS = {
    "DW_DATABASE_URL": (normalise_database_url, compose_database_url),
    "DW_REDIS_URL": (normalise_redis_url, compose_redis_url),
}


class Resolver:
    """Typed values of an environment; collects problems instead of raising."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._values: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def resolve_all(self) -> Mapping[str, Any]:
        """Return every variable's value by name; raises ConfigurationError."""
        for variable in CONTRACT:
            self.value(variable.name)
        self._check_pairs()
        if self.problems:
            raise ConfigurationError(tuple(self.problems))
        return self._values

    def value(self, name: str) -> Any:
        """Return one variable's value, resolving what its default needs."""
        if name not in self._values:
            self._values[name] = self._resolve(BY_NAME[name])
        return self._values[name]

    def _own_text(self, variable: Variable) -> tuple[str, str] | None:
        for name in (variable.name, variable.legacy_alias):
            if name is not None and (text := self._environ.get(name, "").strip()):
                return name, text
        return None

    def _resolve(self, variable: Variable) -> Any:
        found = self._own_text(variable)
        if found is None and variable.name in _URLS:
            return self._composed(variable)
        if found is None:
            found = self._infrastructure_text(variable)
        return self._default(variable) if found is None else self._read(variable, found)

    def _infrastructure_text(self, variable: Variable) -> tuple[str, str] | None:
        for name in variable.also_reads:
            text = self._environ.get(name, "").strip()
            if text and not text.startswith("tcp://"):
                return name, text
        return None

    def _read(self, variable: Variable, found: tuple[str, str]) -> Any:
        name, text = found
        try:
            _check_encoding(text)
            if variable.type is ValueType.URL and variable.name in _URLS:
                return self._url(variable, text)
            return parse_value(variable, text)
        except InvalidValueError as error:
            return self._invalid(variable, name, text, expected=str(error))

    def _url(self, variable: Variable, text: str) -> str:
        normalise, _ = _URLS[variable.name]
        if (url := normalise(text)) is None:
            raise InvalidValueError(variable.expectation)
        return url

    def _composed(self, variable: Variable) -> Any:
        _, compose = _URLS[variable.name]
        try:
            url = compose(self._environ)
        except UnusableNamesError as error:
            self.problems.extend(error.problems)
            return self._default(variable)
        return self._default(variable) if url is None else url

    def _invalid(
        self, variable: Variable, name: str, text: str, *, expected: str
    ) -> Any:
        problem = Problem(name, expected, None if variable.is_secret else text)
        match variable.on_invalid:
            case OnInvalid.KEEP:
                self.warnings.append(problem)
                return text
            case OnInvalid.DEFAULT:
                self.warnings.append(problem)
            case OnInvalid.REJECT | OnInvalid.CLAMP:
                self.problems.append(problem)
        return self._default(variable)

    def _default(self, variable: Variable) -> Any:
        if isinstance(variable.default, Derived):
            return variable.default.rule(self.value)
        return variable.default

    def _check_pairs(self) -> None:
        """Rules that tie two variables together."""
        default, maximum = "DW_HISTORY_PAGE_SIZE_DEFAULT", "DW_HISTORY_PAGE_SIZE_MAX"
        if self.value(default) > self.value(maximum):
            self.problems.append(Problem(default, f"at most {maximum}"))
        port = self.value("DW_METRICS_PORT")
        same_host = self.value("DW_METRICS_HOST") == self.value("DW_HTTP_HOST")
        if port and same_host and port == self.value("DW_HTTP_PORT"):
            expected = "a port other than DW_HTTP_PORT"
            self.problems.append(Problem("DW_METRICS_PORT", expected, str(port)))


def _check_encoding(text: str) -> None:
    """Bytes that are no UTF-8 stand as lone surrogates in an environment."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidValueError("text in UTF-8") from None
