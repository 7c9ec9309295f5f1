"""The wire as data: versions, reasons, payloads, checks and manifests.

Nothing here performs I/O, reads a clock or knows a request object. Every fact
of the HTTP contract is written once, in one table, and the rest is derived.
"""
