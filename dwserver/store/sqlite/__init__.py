"""The embedded database: one SQLite file, served by one process.

Theory of operation
-------------------
A thread owns the one connection that writes. It takes all work that waits, runs it in
one ``BEGIN IMMEDIATE … COMMIT`` and reports all of it to the event loop at once: the
cost of a durable commit is shared, and nothing hops between threads per statement. Two
more threads read, each with a connection of its own: one for the short reads of
requests, one for lists, so that a long list delays nobody. A reader begins after the
work was handed to it, hence it sees every commit that was acknowledged before.

A statement gives up the interpreter lock for each row that it steps over, and in a busy
process the thread waits for it each time. Rows are therefore written many at once.
"""

from dwserver.store.sqlite.bootstrap import bootstrap
from dwserver.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore", "bootstrap"]
