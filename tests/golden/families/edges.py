"""What every request meets first: health, versions, bodies, credentials."""

from __future__ import annotations

from tests.golden.deviations import READY, REGISTERED, Deviation
from tests.golden.families.administration import SEEN_WHOLE, nothing
from tests.golden.families.family import Family, Otherwise
from tests.golden.replaying import Replay


async def a_completed_workflow(replay: Replay) -> None:
    """The only one that lists show."""
    await replay.register("pe", "q1")
    await replay.start("x-1", "t.flow", task_queue="q1")
    task = await replay.poll("workflow", "pe", "q1", task_id="of no interest")
    await replay.complete(task, {"type": "complete_workflow"})


SYSTEM = "the metrics of the system are not served yet"
NO_WORK = (
    Deviation(
        r"candidates\.\w+",
        "there other recordings had left work behind",
        r"(\d+|'<instant>') there, (0|None) here|length \d there, 0 here",
    ),
)
CLUSTER_INFO = (
    Deviation(
        r"client_compatibility\.clients\..*|supported_sdk_versions\.\w+",
        "client-compatibility §2: clients up to 2.x are supported",
    ),
    Deviation(
        r"coordination_health|control_plane\..*\.rejection_\w+",
        "topology §1.11, control-plane §4.4: later members",
        "extra",
    ),
    Deviation(
        r"capabilities\.(history_export|payload_codecs_engine_specific)"
        r"|control_plane\..*\.engine_specific_values",
        "advertised as soon as it works; decision 9: one codec",
        "missing",
    ),
    Deviation(
        r"worker_protocol\.external_task_\w+_contract\.fixtures\..*\.example\..*"
        r"|bridge_adapter_outcome_contract\..*\.adapter_example",
        "examples of our own",
    ),
    Deviation(
        r"worker_protocol\..*\.required_outcome",
        "topology §1.9: told for both envelopes",
        "extra",
    ),
    Deviation(
        r"worker_protocol\..*\.mapping_kinds",
        "decision 3: an empty map is {}",
        r"\[\] there, \{\} here",
    ),
    Deviation(r"version", "the version of this server", "'2.0.0' there, .* here"),
)
HEALTH = Family(
    prepare=nothing,
    env={"DW_SERVER_ID": "ref-server-1"},
    deviations=(*READY, *CLUSTER_INFO),
    otherwise={
        "up_page": Otherwise("a page of the framework of the original", 404),
        "health_options_cors_preflight": Otherwise(
            "control-plane §1.4: a preflight is answered like any OPTIONS", 200
        ),
        **dict.fromkeys(
            (
                "cluster_info_operator",
                "cluster_info_worker",
                "cluster_info_with_cp_version",
                "cluster_info_with_worker_version",
                "cluster_info_wrong_cp_version",
                "cluster_info_unknown_namespace",
                "cluster_info_namespace_query_param",
                "cluster_info_gzip",
                "cluster_info_deflate",
                "cluster_info_gzip_deflate_br",
                "cluster_info_identity",
                "cluster_info_gzip_q0",
            ),
            SEEN_WHOLE,
        ),
    },
)
PROTOCOL_ERRORS = Family(
    prepare=a_completed_workflow,
    namespace="default",
    left_out={"cp_operator_token_on_system": SYSTEM},
    deviations=(
        Deviation(
            r"protocol_version",
            "control-plane §1.4: unknown routes have the envelope of their plane",
            "extra",
        ),
    ),
    otherwise={
        "cp_unknown_route_no_version_html": Otherwise(
            "control-plane §1.4: no page of a framework",
            members={"reason": "not_found"},
        )
    },
)
AUTH_NONE = Family(
    prepare=nothing,
    env={"DW_AUTH_DRIVER": "none"},
    otherwise={"cluster_info": SEEN_WHOLE},
    deviations=(*REGISTERED, *READY, *NO_WORK),
)
AUTH_LEGACY = Family(
    prepare=nothing,
    env={
        "DW_AUTH_TOKEN": "shared-token",
        "DW_WORKER_TOKEN": "",
        "DW_OPERATOR_TOKEN": "",
        "DW_ADMIN_TOKEN": "",
    },
    otherwise={"cluster_info": SEEN_WHOLE},
    deviations=(*REGISTERED, *READY, *NO_WORK),
)
AUTH_SIGNATURE = Family(
    prepare=nothing,
    env={
        "DW_AUTH_DRIVER": "signature",
        "DW_WORKER_SIGNATURE_KEY": "wk-key",
        "DW_OPERATOR_SIGNATURE_KEY": "op-key",
        "DW_ADMIN_SIGNATURE_KEY": "ad-key",
    },
    deviations=(*REGISTERED, *READY, *NO_WORK),
)
AUTH_UNCONFIGURED = Family(
    prepare=nothing,
    env={"DW_WORKER_TOKEN": "", "DW_OPERATOR_TOKEN": "", "DW_ADMIN_TOKEN": ""},
    deviations=READY,
)
