"""A bundle as records of the engine (``spec/history-bundles.md`` §2, §5.5).

``facts`` looks at any document, to tell whether it may be imported at all; ``bundles``
reads one that may. Whatever is not as it should be is refused with its place in the
document: a row that is left out would be missed at replay.
"""
