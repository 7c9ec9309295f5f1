"""A page of the run list as one statement.

It is put together from the blocks ``page_*``: *branches*, each a range
of an index that is cut off at the length of the page, and around them the block that
merges them and reads the runs. ``$1``: namespace, ``$2, $3``: position, ``$4``:
length, ``$5``: the earliest start; what follows are the values of the conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dwserver.engine.run_conditions import (
    AttributeCondition,
    Condition,
    Operator,
    RunCondition,
    Value,
)
from dwserver.engine.search_attributes import AttributeType
from dwserver.store.attribute_rows import AttributeKind, term_of
from dwserver.store.run_pages import Lead, RunPage


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the databases write differently; templates take ``column`` and ``value``.

    ``among``: the column is one of the members of a bound list, whose members are of
    ``type``. ``contains``: the column has a text as a part. ``bound_list``: what is
    bound for a list.
    """

    blocks: Mapping[str, str]
    among: str
    contains: str
    bound_list: Callable[[Sequence[Value]], object]


@dataclass(frozen=True, slots=True)
class Statement:
    text: str
    arguments: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What the values of a type are, and the column that compares them."""

    kinds: tuple[AttributeKind, ...]
    column: str
    bind: Callable[[Value], Value]
    sql_type: str


def _of_term(kind: AttributeKind) -> _Comparison:
    return _Comparison((kind,), "term", term_of, "text")


_COMPARISONS: Final[Mapping[AttributeType, _Comparison]] = {
    AttributeType.KEYWORD: _of_term(AttributeKind.STRING),
    AttributeType.TEXT: _of_term(AttributeKind.STRING),
    AttributeType.KEYWORD_LIST: _of_term(AttributeKind.MEMBER),
    AttributeType.BOOL: _of_term(AttributeKind.BOOLEAN),
    AttributeType.INT: _Comparison((AttributeKind.INTEGER,), "whole", int, "bigint"),
    AttributeType.DATETIME: _Comparison(
        (AttributeKind.STRING,), "whole", int, "bigint"
    ),
    AttributeType.DOUBLE: _Comparison(
        (AttributeKind.INTEGER, AttributeKind.REAL),
        "number",
        float,
        "double precision",
    ),
}


def page_statement(
    page: RunPage, *, namespace: str, text: str | None, limit: int, dialect: Dialect
) -> Statement:
    """The statement of a page that has a bucket; ``text``: part of a workflow id or
    business key."""
    composer = _Composer(dialect, (namespace, *page.last, limit, page.floor))
    branches = composer.branches(page, text)
    union = "\nunion\n".join(f"select * from (\n{each}\n) b" for each in branches)
    merged = dialect.blocks["page_of_runs"].replace("{branches}", union)
    return Statement(merged, tuple(composer.arguments))


class _Composer:
    def __init__(self, dialect: Dialect, arguments: Sequence[object]) -> None:
        self._dialect = dialect
        self.arguments = list(arguments)

    def branches(self, page: RunPage, text: str | None) -> list[str]:
        filters = [self._check(condition) for condition in page.rest]
        if text:
            filters.append(self._contains(text))
        # What does not lead must not look like another way to the rows.
        joined = "".join(f"\nand ({each}) is true" for each in filters)
        match page.leading:
            case None:
                return [
                    self._block("page_in_bucket", joined, bucket=bucket)
                    for bucket in page.buckets
                ]
            case RunCondition() as condition:
                return self._of_runs(page.lead, condition, joined)
            case AttributeCondition() as condition:
                return self._of_attribute(page.lead, condition, joined)

    def _of_runs(self, lead: Lead, condition: RunCondition, filters: str) -> list[str]:
        if lead is Lead.WORKFLOW_TYPE:
            return [
                self._block("page_of_type", filters, value=self._bind(value))
                for value in condition.values
            ]
        if lead is Lead.RUN_ID:
            among = self._among("r.id", condition.values, "text")
            return [self._block("page_by_run_id", filters, among=among)]
        # One look-up each: a list would be estimated, and worth a scan at times.
        bound = [self._bind(value) for value in condition.values]
        return [
            self._block(name, filters, value=value)
            for value in bound
            for name in ("page_of_first_run", "page_of_sibling_runs")
        ]

    def _of_attribute(
        self, lead: Lead, condition: AttributeCondition, filters: str
    ) -> list[str]:
        name = self._bind(condition.name)
        if lead is Lead.ATTRIBUTE_NUMBER:
            check = self._holds("a", condition)
            return [self._block("page_by_number", filters, attribute=name, check=check)]
        return [
            self._block(
                "page_by_term",
                filters,
                attribute=name,
                value=self._bind(term_of(value)),
                kind=_COMPARISONS[condition.type].kinds[0].value,
            )
            for value in condition.values
        ]

    def _block(self, name: str, filters: str, **given: str) -> str:
        text = self._dialect.blocks[name]
        for key, value in given.items():
            text = text.replace(f"{{{key}}}", value)
        return text.replace("{filters}", filters)

    # conditions -----------------------------------------------------------------
    def _check(self, condition: Condition) -> str:
        """Whether run ``r`` fulfils it."""
        if isinstance(condition, RunCondition):
            column = f"r.{condition.column.value}"
            is_instant = isinstance(condition.values[0], int)
            sql_type = "bigint" if is_instant else "text"
            return self._compare(column, condition.operator, condition.values, sql_type)
        name = self._bind(condition.name)
        is_list = condition.type is AttributeType.KEYWORD_LIST
        if is_list and condition.operator is Operator.NE:
            kinds = _words((AttributeKind.MEMBER, AttributeKind.NO_MEMBER))
            is_list_row = _exists(name, f"v.kind in ({kinds})")
            has_one = AttributeCondition(
                condition.name, condition.type, Operator.EQ, condition.values
            )
            has_any = _exists(name, self._holds("v", has_one))
            return f"{is_list_row} and not {has_any}"
        return _exists(name, self._holds("v", condition))

    def _holds(self, alias: str, condition: AttributeCondition) -> str:
        """Whether a row of the attribute fulfils it."""
        comparison = _COMPARISONS[condition.type]
        values = [comparison.bind(value) for value in condition.values]
        compared = self._compare(
            f"{alias}.{comparison.column}",
            condition.operator,
            values,
            comparison.sql_type,
        )
        return f"{alias}.kind in ({_words(comparison.kinds)}) and {compared}"

    def _compare(
        self, column: str, operator: Operator, values: Sequence[Value], sql_type: str
    ) -> str:
        if len(values) == 1:
            return f"{column} {operator.value} {self._bind(values[0])}"
        among = self._among(column, values, sql_type)
        if operator is Operator.EQ:
            return among
        return f"{column} is not null and not {among}"

    def _contains(self, text: str) -> str:
        bound = self._bind(text)
        either = (
            self._dialect.contains.format(column=f"r.{column}", value=bound)
            for column in ("workflow_id", "business_key")
        )
        return f"({' or '.join(either)})"

    def _among(self, column: str, values: Sequence[Value], sql_type: str) -> str:
        bound = self._bind(self._dialect.bound_list(values))
        text = self._dialect.among.format(column=column, value=bound, type=sql_type)
        return f"({text})"

    def _bind(self, value: object) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments)}"


def _words(kinds: Sequence[AttributeKind]) -> str:
    return ", ".join(f"'{kind.value}'" for kind in kinds)


def _exists(name: str, holds: str) -> str:
    """The offset keeps it a look-up for each run; PostgreSQL would make a join of it,
    and begin with all runs that have the attribute."""
    return (
        "exists (select 1 from run_attributes v "
        f"where v.run_id = r.id and v.name = {name} and {holds} limit 1 offset 0)"
    )
