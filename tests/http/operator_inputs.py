"""What can be wrong with requests of operators, field by field."""

from __future__ import annotations

from dwserver.protocol.control_plane import UNSUPPORTED_START_FIELDS
from dwserver.protocol.durations import MAX_DURATION_SECONDS
from tests.http.input_cases import (
    ABSENT,
    NO_ARRAY,
    NO_OBJECT,
    NO_TEXT,
    Body,
    Wrong,
    boolean,
    integer,
    text,
    word,
)

START: Body = {"workflow_id": "fresh", "workflow_type": "orders.Ship"}
START_TABLE = (
    text("workflow_type", longest=255, required=True),
    text("workflow_id", longest=128),
    Wrong("workflow_id", ("with space", "a/b", "naïve")),
    text("task_queue", longest=255),
    Wrong("input", NO_ARRAY),
    Wrong("input", ({"codec": "zip", "blob": "AAAA"},), path="input.codec"),
    Wrong("input", ({"codec": "", "blob": "AAAA"},), path="input.codec"),
    Wrong("input", ({"codec": "avro", "blob": 7},), path="input.blob"),
    Wrong("input", ({"codec": "avro", "blob": "no base64!"},), path="input.blob"),
    Wrong(
        "input",
        ({"codec": "avro", "external_storage": {}},),
        path="input.external_storage",
    ),
    text("business_key", longest=255),
    Wrong("memo", NO_ARRAY),
    Wrong("search_attributes", NO_ARRAY),
    Wrong(
        "search_attributes",
        (
            ["eu"],
            {"": "eu"},
            {"a b": "eu"},
            {"k" * 129: "eu"},
            {"Region": "r" * 2049},
            {"Region": ["eu", 1]},
            {"Region": {"eu": 1}},
            {"Region": [["eu"]]},
            {f"k{n}": n for n in range(101)},
            {f"k{n}": "v" * 2048 for n in range(21)},
            # Of another type than the namespace or the system says.
            {"Amount": "7"},
            {"Amount": [7]},
            {"StartTime": "soon"},
        ),
    ),
    Wrong("memo", ({"m": "x" * 262_144}, {"m": [{"$dw.plain": "x"}]})),
    Wrong("duplicate_policy", (*NO_TEXT, "replace")),
    integer("execution_timeout_seconds", least=1, most=MAX_DURATION_SECONDS),
    integer("run_timeout_seconds", least=1, most=MAX_DURATION_SECONDS),
    integer("priority", least=0, most=9),
    text("fairness_key", longest=64),
    Wrong("fairness_key", ("with space",)),
    integer("fairness_weight", least=1, most=1000),
    *(Wrong(name, (None, 1, "value")) for name in sorted(UNSUPPORTED_START_FIELDS)),
)

ATTRIBUTE: Body = {"name": "Region", "type": "keyword"}
ATTRIBUTE_TABLE = (
    text("name", longest=128, required=True),
    Wrong("name", ("1a", "a-b", "a b", "naïve", "a\n!")),
    word("type", required=True),
    Wrong("type", ("Keyword", "string")),
)
POLICY: Body = {"driver": "s3"}
POLICY_TABLE = (
    word("driver", required=True),
    boolean("enabled"),
    integer("threshold_bytes", least=1),
    Wrong("config", NO_OBJECT),
    text("config.uri", longest=2048),
    text("config.bucket", longest=255),
    text("config.disk", longest=255),
    text("config.prefix", longest=1024),
    text("config.region", longest=128),
    text("config.endpoint", longest=2048),
    text("config.auth_profile", longest=255),
)
STORAGE_TEST: Body = {"small_payload_bytes": 1, "large_payload_bytes": 1}
STORAGE_TEST_TABLE = (
    word("driver"),
    integer("small_payload_bytes", least=1, most=1_048_576, required=True),
    integer("large_payload_bytes", least=1, most=16_777_216, required=True),
)

IMPORT: Body = {"dry_run": True}
IMPORT_TABLE = (
    boolean("dry_run"),
    text("import_id", longest=255),
    boolean("require_signature"),
    text("signing_key"),
)

COHORT: Body = {"build_id": "b1"}
# Null and blank are the workers without a build id.
COHORT_TABLE = (
    text("build_id", longest=255),
    Wrong("build_id", (ABSENT, "with a \0")),
)

ENVELOPE: Body = {"codec": "avro", "blob": "AAI3Ag=="}
REQUEST_ID = text("request_id", longest=255)
MESSAGE_INPUT = (
    Wrong("input", NO_ARRAY),
    Wrong("input", ({"codec": "zip", "blob": "AAAA"},), path="input.codec"),
    Wrong("input", ({"codec": "avro", "blob": 7},), path="input.blob"),
    Wrong("input", ({"codec": "avro", "blob": "no base64!"},), path="input.blob"),
    # A number is no list of arguments.
    Wrong("input", ({"codec": "avro", "blob": "AAI1Ag=="},), path="input.blob"),
)
REASON_TABLE = (text("reason", longest=1000), REQUEST_ID)
WITH_START: Body = {"workflow_type": "orders.Ship"}
WITH_START_TABLE = (
    *(w for w in START_TABLE if w.field not in {"workflow_id", "request_id"}),
    Wrong("signal_input", NO_ARRAY),
    Wrong("signal_input", ({"codec": "", "blob": ""},), path="signal_input.codec"),
    REQUEST_ID,
)
# Operator commands to a workflow id: path, operation, a good body, wrong values.
OPERATOR_COMMANDS: tuple[tuple[str, str, Body, tuple[Wrong, ...]], ...] = (
    ("signal/go", "signal", {}, (*MESSAGE_INPUT, REQUEST_ID)),
    (
        "update/go",
        "update",
        {},
        (
            *MESSAGE_INPUT,
            REQUEST_ID,
            word("wait_for"),
            integer("wait_timeout_seconds", least=1, most=MAX_DURATION_SECONDS),
            Wrong("wait_policy", (None, "accepted")),
        ),
    ),
    ("cancel", "cancel", {}, REASON_TABLE),
    ("terminate", "terminate", {}, REASON_TABLE),
    ("archive", "archive", {}, REASON_TABLE),
    ("repair", "repair", {}, (REQUEST_ID,)),
    ("signal-with-start/go", "signal", WITH_START, WITH_START_TABLE),
)
