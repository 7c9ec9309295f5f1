"""The export of a run: one document that holds everything that is known of it
(``spec/history-bundles.md`` §2).

``collecting`` reads the run until two looks at its row agree, so that the parts of a
bundle are of one moment; ``bundles`` puts the document together, away from the event
loop; the other modules write its sections. Nothing is changed by an export.
"""
