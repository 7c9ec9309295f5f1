"""The quickstart of the README as a user runs it, in the environment that is there."""

from __future__ import annotations

import subprocess
import sys

from examples.order_processing.history_table import DESCRIPTIONS
from tests.support.environment import clean_environment
from tests.support.source_tree import ROOT

QUICKSTART_SECONDS = 200


def test_quickstart_shows_an_approved_order() -> None:
    result = subprocess.run(
        (sys.executable, "-m", "examples.order_processing.quickstart"),
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=QUICKSTART_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    assert "query     status: waiting for approval" in lines
    assert "update    change_address: 2 New Street" in lines
    assert "signal    approve: ada" in lines
    assert "'address': '2 New Street', 'approved_by': 'ada'" in result.stdout
    assert lines[-1] == "server stopped"
    # Every event of the table is described, but for the acceptance of the start.
    shown = {
        words[1] for line in lines if (words := line.split()) and words[0].isdigit()
    }
    assert shown - DESCRIPTIONS.keys() == {"StartAccepted"}
