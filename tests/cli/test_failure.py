"""Failures that an operator can mend are one line; others are bugs and stay loud."""

from __future__ import annotations

import pytest

from dwserver.cli.failure import reported
from dwserver.config.errors import ConfigurationError, Problem
from dwserver.http.call import Refusal
from dwserver.roles.errors import BootError
from dwserver.runtime.supervisor import ServiceStartError
from dwserver.store.api import StoreUnavailable
from dwserver.store.opening import UnknownDatabaseError

EXPECTED = [
    ConfigurationError((Problem("DW_HTTP_PORT", "an integer", "many"),)),
    BootError("no"),
    ServiceStartError("database", StoreUnavailable("gone")),
    StoreUnavailable("gone"),
    PermissionError("no entry"),
    Refusal(422, "validation_failed", "too many"),
]


@pytest.mark.parametrize("error", EXPECTED, ids=lambda error: type(error).__name__)
def test_what_can_be_mended_is_one_line(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, reported():
        raise error
    assert ended.value.code == 1
    shown = capsys.readouterr().err
    assert shown == f"dwserver: {error}\n"


@pytest.mark.parametrize(
    "error", [KeyError("x"), UnknownDatabaseError("a bug by then")]
)
def test_a_bug_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)), reported():
        raise error


def test_nothing_happens_without_a_failure() -> None:
    with reported():
        pass
