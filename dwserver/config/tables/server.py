"""Rows: who this process is and which part of the topology it plays."""

from __future__ import annotations

import secrets
import socket
from functools import cache

from dwserver.config.variable import Derived, Lookup, OnInvalid, Origin, Variable
from dwserver.config.variable import ValueType as T


def _dispatch_mode(lookup: Lookup) -> str:
    """Service mode polls; only an embedded server follows the package's mode."""
    if lookup("DW_MODE") == "service":
        return "poll"
    return str(lookup("DW_V2_TASK_DISPATCH_MODE"))


@cache
def _new_server_id() -> str:
    """Unique for each process: two of them may share a host."""
    return f"{socket.gethostname()}-{secrets.token_hex(4)}"


SERVER_VARIABLES = (
    Variable(
        "DW_MODE",
        T.ENUM,
        "server.mode",
        default="service",
        choices=("service", "embedded"),
        description="Whether external workers poll for tasks (service) or the "
        "process runs them itself (embedded).",
    ),
    Variable(
        "DW_SERVER_ID",
        T.STRING,
        "server.server_id",
        default=Derived("host name and a random suffix", lambda _: _new_server_id()),
        pattern=r"[^\x00-\x1f\x7f]{1,255}",
        expected="1 to 255 characters without control characters",
        description="Name of this node in discovery, logs and the node table; "
        "unique per process.",
    ),
    Variable(
        "DW_SERVER_KEY",
        T.STRING,
        "server.server_key",
        is_secret=True,
        alias="",
        description="Long random text by which nodes trust the requests that they pass "
        "on; ingress, control-plane, matching and history nodes of a split deployment "
        "need the same one.",
    ),
    Variable(
        "DW_DEFAULT_NAMESPACE",
        T.STRING,
        "server.default_namespace",
        default="default",
        pattern=r"[a-zA-Z0-9._-]{1,128}",
        expected="1 to 128 letters, digits, '.', '_' or '-'",
        description="Namespace of requests that name none; bootstrap creates it.",
    ),
    Variable(
        "DW_SERVER_TOPOLOGY_SHAPE",
        T.ENUM,
        "topology.shape",
        default="standalone_server",
        choices=("embedded", "standalone_server", "split_control_execution"),
        on_invalid=OnInvalid.DEFAULT,
        description="Deployment shape that this node belongs to.",
    ),
    Variable(
        "DW_SERVER_PROCESS_CLASS",
        T.STRING,
        "topology.process_class",
        default=Derived("the shape's default class", lambda _: None),
        description="Process class of this node, which decides the roles it hosts.",
    ),
    Variable(
        "DW_INGRESS_FORWARDING",
        T.BOOLEAN,
        "topology.ingress_forwarding",
        default=True,
        origin=Origin.OWN,
        description="Let an ingress node pass requests on to a live peer that "
        "hosts the needed role; off answers 503 instead.",
    ),
    Variable(
        "DW_PEER_CONNECTIONS",
        T.INTEGER,
        "topology.peer_connections",
        default=8192,
        unit="connections",
        minimum=8,
        maximum=60_000,
        origin=Origin.OWN,
        description="Most connections of an ingress to one other node; each long poll "
        "that it holds takes one, and an eighth is kept for other requests.",
    ),
    Variable(
        "DW_INTERNAL_ADDRESS",
        T.URL,
        "topology.internal_address",
        default=Derived("host name and DW_HTTP_PORT", lambda _: None),
        pattern=r"(?i:http)://(\[[0-9a-fA-F:.]+\]|[^/\s@:\[\]?#]+)(:[0-9]{1,5})?/?",
        expected="an http:// address of a host, with its port, without user or path",
        origin=Origin.OWN,
        description="Address under which the other nodes reach this one.",
    ),
    Variable(
        "DW_NODE_HEARTBEAT_SECONDS",
        T.NUMBER,
        "topology.heartbeat_seconds",
        default=2.0,
        unit="seconds",
        minimum=0.1,
        maximum=60,
        origin=Origin.OWN,
        description="How often this node says that it lives; after three missed "
        "heartbeats the others take it for gone.",
    ),
    Variable(
        "DW_TASK_DISPATCH_MODE",
        T.ENUM,
        "topology.task_dispatch_mode",
        default=Derived(
            "poll in service mode, else DW_V2_TASK_DISPATCH_MODE", _dispatch_mode
        ),
        choices=("queue", "poll"),
        alias="WORKFLOW_V2_TASK_DISPATCH_MODE",
        description="How new tasks reach workers, as published by discovery.",
    ),
    Variable(
        "DW_V2_TASK_DISPATCH_MODE",
        T.ENUM,
        None,
        default="queue",
        choices=("queue", "poll"),
        origin=Origin.PACKAGE,
        alias="",
        description="Dispatch mode of an embedded server when "
        "DW_TASK_DISPATCH_MODE is unset.",
    ),
    Variable(
        "DW_V2_MATCHING_ROLE_QUEUE_WAKE",
        T.BOOLEAN,
        "topology.matching_queue_wake",
        default=True,
        origin=Origin.PACKAGE,
        description="Run the broad ready-task sweep on this node; off leaves it "
        "to a dedicated matching process.",
    ),
    Variable(
        "DW_V2_MULTI_NODE",
        T.BOOLEAN,
        "topology.multi_node",
        default=False,
        origin=Origin.PACKAGE,
        description="Declare that several nodes share the database, so that "
        "boot checks for shared coordination.",
    ),
    Variable(
        "DW_V2_NAMESPACE",
        T.STRING,
        None,
        has_effect=False,
        origin=Origin.PACKAGE,
        description="Requests without a namespace are of DW_DEFAULT_NAMESPACE.",
    ),
    Variable(
        "DW_EXPOSE_PACKAGE_PROVENANCE",
        T.BOOLEAN,
        "server.expose_package_provenance",
        default=False,
        description="Show the build's source reference to admins in cluster info.",
    ),
    Variable(
        "DW_PACKAGE_PROVENANCE_PATH",
        T.STRING,
        "server.package_provenance_path",
        default=".package-provenance",
        description="File with the build's source, reference and commit, one per line.",
    ),
    Variable(
        "DW_EXTERNAL_EXECUTOR_CONFIG_PATH",
        T.STRING,
        None,
        has_effect=False,
        description="No activity is mapped to an external carrier.",
    ),
    Variable(
        "DW_EXTERNAL_EXECUTOR_CONFIG_OVERLAY",
        T.STRING,
        None,
        has_effect=False,
        description="No activity is mapped to an external carrier.",
    ),
)
