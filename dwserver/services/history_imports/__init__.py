"""The import of a run that another engine began (``spec/history-bundles.md`` §5).

``importing`` is the way in; ``reports`` writes what the caller is told. What a bundle
means is decided in ``dwserver/engine/imports``; how it is read, in
``dwserver/protocol/history_bundles/reading``.
"""
