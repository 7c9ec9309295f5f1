"""The Kubernetes manifests: what they say is what the server understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dwserver.config.settings import Settings
from dwserver.topology.shapes import BUNDLES, ProcessClass, Role, Shape
from tests.deploy.kubernetes import (
    KINDS,
    NAMESPACE,
    by_name,
    manifests,
    name_of,
    of_kind,
    schema_of,
)
from tests.deploy.settings import PROBES, SECRETS, selection_of, settings_of
from tests.deploy.structure import problems

SHAPE = Shape.SPLIT_CONTROL_EXECUTION
FIELDS = {"metadata.name": "pod-1", "status.podIP": "10.0.0.7"}
# Values that fit where a secret goes.
FILLED = {
    "DW_DATABASE_URL": "postgresql://user:password@database:5432/dwserver",
    "DW_REDIS_URL": "redis://redis:6379/0",
}
COMPONENT = "app.kubernetes.io/component"


def pod_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    template: dict[str, Any] = manifest["spec"]["template"]
    return template


def container_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    (container,) = pod_of(manifest)["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def pods() -> list[dict[str, Any]]:
    return [*of_kind("Deployment"), *of_kind("Job")]


def secret_values() -> dict[str, str]:
    names = by_name("Secret")[NAMESPACE]["stringData"]
    return {name: FILLED.get(name, "filled") for name in names}


def environment_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """As Kubernetes makes it."""
    container = container_of(manifest)
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        match source:
            case {"configMapRef": {"name": name}}:
                found |= by_name("ConfigMap")[name]["data"]
            case {"secretRef": {"name": name}}:
                assert name in by_name("Secret")
                found |= secret_values()
    for variable in container.get("env", []):
        match variable:
            case {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}:
                found[name] = FIELDS[path]
            case {"name": name, "valueFrom": {"secretKeyRef": {"key": key}}}:
                found[name] = secret_values()[key]
            case {"name": name, "value": text}:
                for known, value in found.items():
                    text = text.replace(f"$({known})", value)
                assert "$(" not in text
                found[name] = text
    return found


def settings_by_class() -> dict[ProcessClass, tuple[dict[str, Any], Settings]]:
    found = {}
    for deployment in of_kind("Deployment"):
        settings = settings_of(environment_of(deployment))
        selected = selection_of(settings)
        assert selected.shape is SHAPE
        assert selected.process_class not in found
        found[selected.process_class] = (deployment, settings)
    return found


@pytest.mark.parametrize(
    "manifest", manifests(), ids=lambda m: f"{m['kind']}-{name_of(m)}"
)
def test_structure_is_known(manifest: dict[str, Any]) -> None:
    kind = manifest["kind"]
    assert list(problems(schema_of(kind), manifest)) == []
    assert manifest["apiVersion"] == KINDS[kind][0]
    if kind != "Namespace":
        assert manifest["metadata"]["namespace"] == NAMESPACE
        assert manifest["metadata"]["labels"]["app.kubernetes.io/name"] == "dwserver"


def test_names_are_unique() -> None:
    names = [(each["kind"], name_of(each)) for each in manifests()]
    assert len(names) == len(set(names))


def test_every_class_of_the_shape_has_one_deployment() -> None:
    found = settings_by_class()
    assert set(found) == set(BUNDLES[SHAPE])
    for process_class, (deployment, _) in found.items():
        component = process_class.value.removesuffix("_node").replace("_", "-")
        assert name_of(deployment) == f"dwserver-{component}"
        assert container_of(deployment)["args"] == ["serve"]


def test_nodes_tell_each_other_where_they_are() -> None:
    for _, settings in settings_by_class().values():
        assert settings.topology.internal_address == "http://10.0.0.7:8080"
        assert settings.server.server_id == "pod-1"
        assert settings.database.url == FILLED["DW_DATABASE_URL"]
        assert settings.redis.url == FILLED["DW_REDIS_URL"]


def test_bootstrap_prepares_the_same_database() -> None:
    (job,) = of_kind("Job")
    assert container_of(job)["args"] == ["bootstrap"]
    settings = settings_of(environment_of(job))
    assert settings.database.url == FILLED["DW_DATABASE_URL"]


def test_secrets_stand_in_the_secret_alone_and_it_is_empty() -> None:
    (secret,) = of_kind("Secret")
    assert set(secret["stringData"].values()) == {""}
    assert set(secret["stringData"]) <= SECRETS
    (config,) = of_kind("ConfigMap")
    assert not set(config["data"]) & SECRETS
    for manifest in pods():
        written = [
            v["name"] for v in container_of(manifest).get("env", []) if "value" in v
        ]
        assert not set(written) & SECRETS


def test_workers_get_no_credentials_of_operators() -> None:
    for process_class, (_, settings) in settings_by_class().items():
        runs_user_code = Role.EXECUTION_PLANE in BUNDLES[SHAPE][process_class]
        assert runs_user_code == (settings.auth.admin_token is None)
        assert runs_user_code == (settings.auth.operator_token is None)
        assert runs_user_code == (settings.server.server_key is None)
        if runs_user_code:
            assert settings.execution.token == "filled"


def test_workers_talk_to_the_service_of_the_edge() -> None:
    _, settings = settings_by_class()[ProcessClass.EXECUTION_NODE]
    service = by_name("Service")["dwserver"]
    assert service["spec"]["selector"][COMPONENT] == "ingress"
    (port,) = service["spec"]["ports"]
    assert settings.execution.server_url == f"http://dwserver:{port['port']}"


def test_probes_ask_routes_that_answer_anyone() -> None:
    for deployment, settings in settings_by_class().values():
        container = container_of(deployment)
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        assert ports == {"http": settings.http.port, "metrics": settings.metrics.port}
        asked = {
            probe: container[probe]["httpGet"]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        }
        assert {each["port"] for each in asked.values()} == {"http"}
        assert {each["path"] for each in asked.values()} == set(PROBES)
        assert asked["readinessProbe"]["path"] == "/api/ready"
        # A database that fails over must not end every node.
        liveness = container["livenessProbe"]
        assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 300


def test_stopping_has_the_time_it_needs() -> None:
    for deployment, settings in settings_by_class().values():
        grace = pod_of(deployment)["spec"]["terminationGracePeriodSeconds"]
        shutdown = settings.shutdown
        assert grace > shutdown.drain_seconds + shutdown.timeout_seconds
        readiness = container_of(deployment)["readinessProbe"]
        notices = readiness["periodSeconds"] * readiness["failureThreshold"]
        assert shutdown.drain_seconds >= notices


def test_pods_are_confined() -> None:
    assert by_name("ServiceAccount").keys() == {"dwserver"}
    for manifest in pods():
        pod = pod_of(manifest)["spec"]
        assert pod["serviceAccountName"] == "dwserver"
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        container = container_of(manifest)["securityContext"]
        assert container["allowPrivilegeEscalation"] is False
        assert container["readOnlyRootFilesystem"] is True
        assert container["capabilities"] == {"drop": ["ALL"]}


def test_images_are_one_image() -> None:
    assert {container_of(each)["image"] for each in pods()} == {"dwserver:local"}


def test_selectors_find_their_pods_and_nobody_elses() -> None:
    deployments = by_name("Deployment")
    budgets, services = by_name("PodDisruptionBudget"), by_name("Service")
    assert budgets.keys() == deployments.keys()
    assert services.keys() - {"dwserver"} == deployments.keys()
    seen = set()
    for name, deployment in deployments.items():
        labels = pod_of(deployment)["metadata"]["labels"]
        assert labels[COMPONENT] not in seen
        seen.add(labels[COMPONENT])
        assert deployment["spec"]["selector"]["matchLabels"] == labels
        assert budgets[name]["spec"]["selector"]["matchLabels"] == labels
        assert services[name]["spec"]["selector"] == labels
        for spread in pod_of(deployment)["spec"]["topologySpreadConstraints"]:
            assert spread["labelSelector"]["matchLabels"] == labels
    for policy in of_kind("NetworkPolicy"):
        chosen = policy["spec"]["podSelector"]["matchLabels"]
        assert any(
            chosen.items() <= pod_of(each)["metadata"]["labels"].items()
            for each in pods()
        )


def test_a_disruption_leaves_a_node_of_each_class() -> None:
    autoscalers = by_name("HorizontalPodAutoscaler")
    for name, deployment in by_name("Deployment").items():
        # One that is scaled has no number of its own, which an apply would restore.
        assert ("replicas" in deployment["spec"]) != (name in autoscalers)
        if name in autoscalers:
            replicas = autoscalers[name]["spec"]["minReplicas"]
        else:
            replicas = deployment["spec"]["replicas"]
        assert replicas >= 2
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_autoscalers_scale_what_is_there() -> None:
    for autoscaler in of_kind("HorizontalPodAutoscaler"):
        target = autoscaler["spec"]["scaleTargetRef"]
        deployment = by_name("Deployment")[target["name"]]
        assert target["kind"] == "Deployment"
        assert target["apiVersion"] == deployment["apiVersion"]
        assert "cpu" in container_of(deployment)["resources"]["requests"]


def test_clients_reach_the_edge_alone() -> None:
    policies = by_name("NetworkPolicy")
    open_to_all = [
        name
        for name, policy in policies.items()
        if any("from" not in rule for rule in policy["spec"].get("ingress", []))
    ]
    assert open_to_all == ["dwserver-clients"]
    chosen = policies["dwserver-clients"]["spec"]["podSelector"]["matchLabels"]
    assert chosen[COMPONENT] == "ingress"
