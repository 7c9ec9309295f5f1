"""The manifests of ``deploy/k8s``, and the part of the Kubernetes API that they use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.structure import Either, MapOf
from tests.support.source_tree import ROOT

FOLDER = ROOT / "deploy" / "k8s"
NAMESPACE = "dwserver"

TEXTS = MapOf(str)
SELECTOR = {"matchLabels!": TEXTS}
PORT = Either((int, str))

METADATA = {"name!": str, "namespace": str, "labels!": TEXTS, "annotations": TEXTS}
PROBE = {
    "httpGet!": {"path!": str, "port!": PORT},
    "periodSeconds!": int,
    "timeoutSeconds": int,
    "failureThreshold!": int,
}
VARIABLE = {
    "name!": str,
    "value": str,
    "valueFrom": Either(
        (
            {"fieldRef!": {"fieldPath!": str}},
            {"secretKeyRef!": {"name!": str, "key!": str}},
        )
    ),
}
CONTAINER = {
    "name!": str,
    "image!": str,
    "args!": [str],
    "ports": [{"name!": str, "containerPort!": int}],
    "envFrom": [
        Either(({"configMapRef!": {"name!": str}}, {"secretRef!": {"name!": str}}))
    ],
    "env": [VARIABLE],
    "startupProbe": PROBE,
    "readinessProbe": PROBE,
    "livenessProbe": PROBE,
    "resources!": {
        "requests!": {"cpu!": str, "memory!": str},
        "limits!": {"memory!": str},
    },
    "securityContext!": {
        "allowPrivilegeEscalation!": bool,
        "readOnlyRootFilesystem!": bool,
        "capabilities!": {"drop!": [str]},
    },
    "volumeMounts": [{"name!": str, "mountPath!": str}],
}
POD = {
    "metadata!": {"labels!": TEXTS, "annotations": TEXTS},
    "spec!": {
        "serviceAccountName!": str,
        "automountServiceAccountToken!": bool,
        "enableServiceLinks!": bool,
        "terminationGracePeriodSeconds": int,
        "restartPolicy": str,
        "securityContext!": {
            "runAsNonRoot!": bool,
            "runAsUser!": int,
            "runAsGroup!": int,
            "seccompProfile!": {"type!": str},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew!": int,
                "topologyKey!": str,
                "whenUnsatisfiable!": str,
                "labelSelector!": SELECTOR,
            }
        ],
        "containers!": [CONTAINER],
        "volumes": [{"name!": str, "emptyDir!": MapOf(str)}],
    },
}
POLICY_PORTS = [{"port!": int, "protocol": str}]
PEERS = [
    Either(({"podSelector!": SELECTOR}, {"namespaceSelector!": SELECTOR})),
]


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "Namespace": ("v1", {}),
    "ServiceAccount": ("v1", {"automountServiceAccountToken!": bool}),
    "ConfigMap": ("v1", {"data!": TEXTS}),
    "Secret": ("v1", {"type!": str, "stringData!": TEXTS}),
    "Service": (
        "v1",
        {
            "spec!": {
                "clusterIP": str,
                "publishNotReadyAddresses": bool,
                "selector!": TEXTS,
                "ports!": [{"name!": str, "port!": int, "targetPort!": PORT}],
            }
        },
    ),
    "Job": (
        "batch/v1",
        {
            "spec!": {
                "backoffLimit!": int,
                "activeDeadlineSeconds!": int,
                "template!": POD,
            }
        },
    ),
    "Deployment": (
        "apps/v1",
        {
            "spec!": {
                "replicas": int,
                "selector!": SELECTOR,
                "strategy!": {
                    "type!": str,
                    "rollingUpdate!": {"maxSurge!": int, "maxUnavailable!": int},
                },
                "template!": POD,
            }
        },
    ),
    "PodDisruptionBudget": (
        "policy/v1",
        {"spec!": {"maxUnavailable!": int, "selector!": SELECTOR}},
    ),
    "HorizontalPodAutoscaler": (
        "autoscaling/v2",
        {
            "spec!": {
                "scaleTargetRef!": {"apiVersion!": str, "kind!": str, "name!": str},
                "minReplicas!": int,
                "maxReplicas!": int,
                "metrics!": [
                    {
                        "type!": str,
                        "resource!": {
                            "name!": str,
                            "target!": {"type!": str, "averageUtilization!": int},
                        },
                    }
                ],
                "behavior!": {"scaleDown!": {"stabilizationWindowSeconds!": int}},
            }
        },
    ),
    "NetworkPolicy": (
        "networking.k8s.io/v1",
        {
            "spec!": {
                "podSelector!": SELECTOR,
                "policyTypes!": [str],
                "ingress": [{"from": PEERS, "ports": POLICY_PORTS}],
                "egress": [{"to": PEERS, "ports": POLICY_PORTS}],
            }
        },
    ),
}
"""API version and body of each kind, beside ``apiVersion``, ``kind``, ``metadata``."""


def schema_of(kind: str) -> dict[str, Any]:
    _, body = KINDS[kind]
    return {"apiVersion!": str, "kind!": str, "metadata!": METADATA, **body}


def files() -> list[Path]:
    return sorted(FOLDER.glob("*.yaml"))


def manifests() -> list[dict[str, Any]]:
    """Every document of every file, in the order of their names."""
    return [
        document
        for path in files()
        for document in yaml.safe_load_all(path.read_text())
    ]


def of_kind(kind: str) -> Iterator[dict[str, Any]]:
    return (each for each in manifests() if each["kind"] == kind)


def name_of(manifest: dict[str, Any]) -> str:
    return str(manifest["metadata"]["name"])


def by_name(kind: str) -> dict[str, dict[str, Any]]:
    return {name_of(each): each for each in of_kind(kind)}
