"""A client for the server that the environment names."""

from __future__ import annotations

import os

from durable_workflow import Client


def connect(namespace: str = "default") -> Client:
    return Client(
        os.environ["DURABLE_WORKFLOW_SERVER_URL"],
        token=os.environ["DURABLE_WORKFLOW_AUTH_TOKEN"],
        namespace=namespace,
    )
