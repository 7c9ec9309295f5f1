"""Published manifests against the recorded discovery document.

Sentences and examples are ours; everything else is compared whole. Each deviation
stands here with the decision that asks for it.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest

from dwserver.protocol.capabilities import (
    Capability,
    WorkerCommand,
    WorkingFeatures,
)
from dwserver.protocol.control_plane import control_plane_block
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.manifests.auth_composition import auth_composition_contract
from dwserver.protocol.manifests.bridge_adapter_outcome import (
    OUTCOMES,
    REJECTION_REASONS,
    BridgeOutcome,
    bridge_adapter_outcome_contract,
)
from dwserver.protocol.manifests.client_compatibility import (
    client_compatibility,
    supported_sdk_versions,
)
from dwserver.protocol.manifests.executor_config import (
    ConfigError,
    ConfigErrorCode,
    ConfigStatus,
    ExecutorConfigState,
    external_executor_config_contract,
)
from dwserver.protocol.manifests.external_task_input import (
    external_task_input_contract,
)
from dwserver.protocol.manifests.external_task_result import (
    external_task_result_contract,
)
from dwserver.protocol.manifests.limits import (
    Limits,
    StructuralLimits,
    limits_block,
    structural_limits_block,
)
from dwserver.protocol.manifests.server_features import (
    ServerFeature,
    capabilities_block,
)
from dwserver.protocol.manifests.worker_protocol import worker_protocol_block
from dwserver.protocol.reasons import REASONS
from dwserver.protocol.versions import WorkerVersion
from tests.protocol.recordings import masked, recording

RECORDED = recording(Path(__file__).parent, "cluster_info.json")
ADVERTISED = WorkerVersion(1, 0)
# What the recorded server offered.
APRIL = WorkingFeatures(
    commands=frozenset(WorkerCommand)
    - {WorkerCommand.OPEN_CONDITION_WAIT, WorkerCommand.OPEN_SIGNAL_WAIT},
    capabilities=frozenset(Capability) - {Capability.POLL_STATUS},
)


def published() -> JsonObject:
    features = frozenset(ServerFeature) - {ServerFeature.EMBEDDED_V2_IMPORT}
    return {
        "default_namespace": "default",
        "supported_sdk_versions": supported_sdk_versions(),
        "capabilities": capabilities_block(features, is_compression_enabled=True),
        "limits": limits_block(Limits()),
        "structural_limits": structural_limits_block(StructuralLimits()),
        "client_compatibility": client_compatibility(ADVERTISED),
        "auth_composition_contract": auth_composition_contract(),
        "control_plane": control_plane_block(),
        "worker_protocol": worker_protocol_block(APRIL, ADVERTISED),
        "bridge_adapter_outcome_contract": bridge_adapter_outcome_contract(),
    }


def flattened(value: Any, path: str = "") -> dict[str, Any]:
    """Leaves by path; lists are leaves."""
    if isinstance(value, dict) and value:
        leaves: dict[str, Any] = {}
        for key, item in value.items():
            leaves.update(flattened(item, f"{path}.{key}" if path else key))
        return leaves
    return {path: value}


def without_example_values(document: JsonObject) -> JsonObject:
    """Examples are ours: only their keys and the types of containers count."""

    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shape(item) for key, item in value.items()}
        if isinstance(value, list):
            return [shape(value[0])] if value else []
        return "<value>"

    result: JsonObject = orjson.loads(orjson.dumps(document))
    worker = result["worker_protocol"]
    for contract in ("external_task_input_contract", "external_task_result_contract"):
        for entry in worker[contract]["fixtures"].values():
            entry["sha256"] = "<digest>"
            entry["example"] = {
                key: item if key in ("schema", "version") else shape(item)
                for key, item in entry["example"].items()
            }
    return result


# Path to (recorded, ours); ABSENT stands for a missing key.
ABSENT = "<absent>"
START = "control_plane.response_contract.operations.start"
WORKER_REQUIREMENTS = RECORDED["client_compatibility"]["clients"]["sdk-python"][
    "requires"
]
SEAMS = "worker_protocol.external_execution_surface_contract.contract_seams"
DEVIATIONS: dict[str, tuple[Any, Any]] = {
    # Decision 20h: windows that include today's clients, PHP named as well.
    "supported_sdk_versions.python": (">=0.2,<1.0", ">=0.2,<3.0"),
    "supported_sdk_versions.cli": (">=0.1,<1.0", ">=0.1,<3.0"),
    "client_compatibility.clients.cli.supported_versions": (
        ">=0.1,<1.0",
        ">=0.1,<3.0",
    ),
    "client_compatibility.clients.sdk-python.supported_versions": (
        ">=0.2,<1.0",
        ">=0.2,<3.0",
    ),
    "client_compatibility.clients.sdk-php.supported_versions": (ABSENT, ">=1.0"),
    "client_compatibility.clients.sdk-php.requires": (ABSENT, WORKER_REQUIREMENTS),
    # No codec of one engine only (spec/topology-and-operations.md §1.3).
    "capabilities.payload_codecs_engine_specific.php": (
        ["workflow-serializer-y", "workflow-serializer-base64"],
        ABSENT,
    ),
    "control_plane.request_contract.operations.start.fields.payload_codec."
    "engine_specific_values.php": (
        ["workflow-serializer-y", "workflow-serializer-base64"],
        ABSENT,
    ),
    # Published since the recording; ours by decisions 20c and 20f.
    f"{START}.rejection_fields": (
        ABSENT,
        [
            "workflow_id",
            "command_status",
            "command_source",
            "outcome",
            "reason",
            "rejection_reason",
            "message",
        ],
    ),
    f"{START}.rejection_reasons": (
        ABSENT,
        ["duplicate_not_allowed", "task_queue_draining", "compatibility_blocked"],
    ),
    # Decision 3: an empty map is an object.
    "worker_protocol.external_executor_config_contract.runtime.summary.mapping_kinds": (
        [],
        {},
    ),
    # spec/topology-and-operations.md §1.9 gives every published seam an outcome.
    f"{SEAMS}.input_envelope.required_outcome": (ABSENT, "<text>"),
    f"{SEAMS}.result_envelope.required_outcome": (ABSENT, "<text>"),
    # Names of our own in the examples of the bridge journeys.
    "bridge_adapter_outcome_contract.reference_journeys."
    "incident_webhook_signals_workflow.request.adapter_example": (
        "pagerduty",
        "alerts",
    ),
    "bridge_adapter_outcome_contract.reference_journeys."
    "commerce_event_starts_workflow.request.adapter_example": ("stripe", "shop"),
}


def test_the_whole_document_equals_the_recording_but_for_the_listed_deviations() -> (
    None
):
    ours = flattened(masked(without_example_values(published())))
    theirs = flattened(RECORDED)
    differences = {
        path: (theirs.get(path, ABSENT), ours.get(path, ABSENT))
        for path in theirs | ours
        if theirs.get(path, ABSENT) != ours.get(path, ABSENT)
    }
    assert differences == DEVIATIONS


@pytest.mark.parametrize("block", RECORDED)
def test_keys_keep_their_order(block: str) -> None:
    ours = flattened({block: published()[block]})
    theirs = flattened({block: RECORDED[block]})
    common = [path for path in ours if path in theirs]
    assert common == [path for path in theirs if path in ours]


def test_documents_are_fresh_so_that_no_caller_spoils_another() -> None:
    first = published()
    first["worker_protocol"]["server_capabilities"]["response_compression"].append("x")
    first["auth_composition_contract"]["redaction"]["never_echo"].clear()
    first["control_plane"]["response_contract"]["projected_fields"].clear()
    first["client_compatibility"]["clients"]["cli"]["requires"].clear()
    assert flattened(masked(without_example_values(published()))) != flattened(first)
    assert published()["control_plane"]["response_contract"]["projected_fields"]
    assert published()["client_compatibility"]["clients"]["cli"]["requires"]


def test_python_workers_accept_the_auth_composition() -> None:
    contract = auth_composition_contract()
    assert contract["schema"] == "durable-workflow.v2.auth-composition.contract"
    assert contract["version"] == 1
    assert contract["canonical_environment"] == {
        "server_url": "DURABLE_WORKFLOW_SERVER_URL",
        "namespace": "DURABLE_WORKFLOW_NAMESPACE",
        "auth_token": "DURABLE_WORKFLOW_AUTH_TOKEN",
        "tls_verify": "DURABLE_WORKFLOW_TLS_VERIFY",
        "profile": "DW_ENV",
    }
    material = contract["auth_material"]
    assert material["token"]["status"] == "supported"
    assert material["token"]["effective_config_value"] == "redacted"
    assert {material["mtls"]["status"], material["signed_headers"]["status"]} == {
        "reserved"
    }
    never = set(contract["redaction"]["never_echo"])
    assert never >= {"bearer_tokens", "private_keys", "raw_authorization_headers"}


def test_advertised_version_is_required_of_workers() -> None:
    required = client_compatibility(WorkerVersion(1, 20))["required_protocols"]
    assert required["worker_protocol"]["version"] == "1.20"


@pytest.mark.parametrize(
    "contract", [external_task_input_contract(), external_task_result_contract()]
)
def test_fixtures_carry_their_name_and_checksum(contract: JsonObject) -> None:
    for name, entry in contract["fixtures"].items():
        example = entry["example"]
        kind = name.replace("_", "-")
        assert entry["artifact"] == f"{entry['schema']}.{kind}.v{entry['version']}"
        assert entry["sha256"] == sha256(orjson.dumps(example)).hexdigest()


@pytest.mark.parametrize(
    "contract", [external_task_input_contract(), external_task_result_contract()]
)
def test_examples_satisfy_their_own_envelope(contract: JsonObject) -> None:
    envelopes = contract["envelopes"]
    for name, entry in contract["fixtures"].items():
        envelope = envelopes.get(name, envelopes.get("failure"))
        assert set(envelope["required_fields"]) <= set(entry["example"]), name


def test_examples_use_the_published_words() -> None:
    contract = external_task_result_contract()
    words = contract["envelopes"]["failure"]["failure_fields"]
    assert words["classification"]["values"][6] == "malformed_output"
    for name, entry in contract["fixtures"].items():
        if name == "success":
            continue
        failure = entry["example"]["failure"]
        assert failure["kind"] in words["kind"]["values"]
        assert failure["classification"] in words["classification"]["values"]


def test_bridge_rejections_are_known_reasons_with_a_status() -> None:
    for reason in REJECTION_REASONS:
        assert REASONS[reason].control, reason
    assert {outcome: facts.http_status for outcome, facts in OUTCOMES.items()} == {
        BridgeOutcome.ACCEPTED: 202,
        BridgeOutcome.DUPLICATE: 200,
        BridgeOutcome.REJECTED: 422,
        BridgeOutcome.UNAUTHORIZED: 401,
    }


def test_executor_configuration_is_told_without_its_path() -> None:
    state = ExecutorConfigState(
        status=ConfigStatus.INVALID,
        source_basename="executors.json",
        source_sha256="ab" * 32,
        overlay="staging",
        carrier_count=1,
        mapping_kinds={"activity": 2},
        errors=(
            ConfigError(
                code=ConfigErrorCode.UNKNOWN_CARRIER,
                message="no such carrier",
                context={"mapping": "ship"},
            ),
        ),
    )
    assert external_executor_config_contract(state)["runtime"] == {
        "configured": True,
        "status": "invalid",
        "source": {
            "type": "file",
            "basename": "executors.json",
            "sha256": "ab" * 32,
        },
        "overlay": "staging",
        "summary": {
            "carrier_count": 1,
            "mapping_count": 2,
            "mapping_kinds": {"activity": 2},
        },
        "errors": [
            {
                "code": "unknown_carrier",
                "message": "no such carrier",
                "context": {"mapping": "ship"},
            }
        ],
    }


@pytest.mark.parametrize(("configured", "told"), [(-5, 0), (80, 80), (150, 100)])
def test_warning_threshold_is_a_percentage(configured: int, told: int) -> None:
    block = structural_limits_block(
        StructuralLimits(warning_threshold_percent=configured)
    )
    assert block["warning_threshold_percent"] == told


def test_features_that_do_not_work_are_not_told() -> None:
    offered = frozenset({ServerFeature.SIGNALS})
    block = capabilities_block(offered, is_compression_enabled=False)
    assert block == {
        "signals": True,
        "payload_codecs": ["avro"],
        "response_compression": [],
    }
