"""The Store on PostgreSQL: one statement for each group of transitions.

``store`` is the adapter, ``bootstrap`` its schema, ``write`` the group commit's write.
"""

from dwserver.store.postgres.bootstrap import bootstrap
from dwserver.store.postgres.store import PostgresStore

__all__ = ["PostgresStore", "bootstrap"]
