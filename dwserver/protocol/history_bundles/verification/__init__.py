"""Whether a history bundle is what its exporter wrote, told without a server
(``spec/history-bundles.md`` §3.5).

``verifying`` is the way in. ``rules`` names what can be found, ``checks`` holds the
order; the checks themselves stand in a module per part of the bundle.
"""
