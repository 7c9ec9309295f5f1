"""Where the server is: the environment variables that the official clients share."""

from __future__ import annotations

import os

from durable_workflow import Client

TASK_QUEUE = "orders"


def connect() -> Client:
    """A client for ``DURABLE_WORKFLOW_SERVER_URL`` with its namespace and token."""
    return Client(
        os.environ.get("DURABLE_WORKFLOW_SERVER_URL", "http://127.0.0.1:8080"),
        token=os.environ.get("DURABLE_WORKFLOW_AUTH_TOKEN"),
        namespace=os.environ.get("DURABLE_WORKFLOW_NAMESPACE", "default"),
    )
