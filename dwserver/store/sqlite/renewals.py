"""Lease renewals, all that came together at once; called on the writer thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from dwserver.store.api import LeaseRenewal
from dwserver.store.sqlite.reads import fetch
from dwserver.store.sqlite.rows import encode_json, fields
from dwserver.store.sqlite.statements import write_rows

_lease = fields("renew_leases")
_heartbeat = fields("renew_heartbeats")


def renew_leases(
    connection: sqlite3.Connection, renewals: Sequence[LeaseRenewal]
) -> list[bool]:
    """Whether each found its lease held. Of two for one task the later one counts."""
    given = encode_json(list(renewals)).decode()
    held = {row["position"] for row in fetch(connection, "list_held_leases", given)}
    valid = [renewal for n, renewal in enumerate(renewals) if n in held]
    leases = {renewal.task_id: _lease(renewal) for renewal in valid}
    heartbeats = {
        renewal.activity_id: _heartbeat(renewal)
        for renewal in valid
        if renewal.activity_id is not None
    }
    write_rows(connection, "renew_leases", list(leases.values()))
    write_rows(connection, "renew_heartbeats", list(heartbeats.values()))
    return [n in held for n in range(len(renewals))]
