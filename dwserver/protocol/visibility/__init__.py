"""The query language of the run list (``spec/control-plane-api.md`` §5.1.1).

Text → predicates (``grammar``) → typed conditions (``conditions``), which the store
turns into one statement. Pure.
"""
