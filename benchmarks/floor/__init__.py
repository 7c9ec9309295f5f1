"""The floor of the machine: the least that a durable Python server can do for W1–W3.

Every request is a bare aiohttp handler, state lives in memory, and what changes state
is answered after one shared PostgreSQL commit. Left out, and paid for by a real server:
authentication, validation, the worker registry, leases and their expiry, guards against
stale writers, recovery after a restart, visibility, several processes. A yardstick,
no server.
"""
