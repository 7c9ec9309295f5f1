"""Which definition of its workflow type a run stays with
(``spec/topology-and-operations.md §5.10``).

A worker may tell a fingerprint of the definition that it has of a type. The first lease
of a workflow task to one that tells it records it on the run, in the write that leases
the task; so the run's version decides between two. It stays until the run closes: the
next run of a workflow id, like a child or the retry of one, begins without.
"""

from __future__ import annotations


def may_continue(recorded: str | None, advertised: str | None) -> bool:
    """Whether a worker that tells this fingerprint may go on with a run of that one;
    what is not told fits everything."""
    return recorded is None or advertised is None or recorded == advertised
