"""A run of the embedded engine becomes a run of this server
(``spec/history-bundles.md`` §5).

``eligibility`` says whether a bundle may be taken over; ``records`` is what was read of
it; ``history`` follows the events to find what the rows do not tell; ``translation``
makes the rows of our own model; ``placing`` finds their place beside the runs that the
workflow id has here.
"""
