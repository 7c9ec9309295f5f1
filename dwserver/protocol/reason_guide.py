"""Why each reason is sent and what to do about it: the texts of ``docs/reasons/``.

Statuses and meanings are in the table of reasons; these are for people who look one
up. ``python -m dwserver.protocol.reason_pages`` writes the pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from dwserver.protocol.reasons import Reason


@dataclass(frozen=True, slots=True)
class Guide:
    """What leads to a refusal, and what helps."""

    cause: str
    remedy: str


_R = Reason

GUIDES: Final[Mapping[Reason, Guide]] = MappingProxyType(
    {
        _R.MALFORMED_REQUEST: Guide(
            "What arrived is no HTTP/1.1 request: it has no `Host`, contradicts itself "
            "about its length, uses an unknown method, is not HTTP at all (TLS for "
            "instance), or a line of its head is longer than 8190 bytes. The "
            "connection is closed.",
            "Look at the address and the scheme that the client uses, at what a proxy "
            "makes of the request, and at the length of its query string.",
        ),
        _R.MALFORMED_JSON: Guide(
            "The body of the request is not JSON: it is cut off, uses another "
            "encoding than UTF-8, holds NaN, or is nested too "
            "deeply. `json_error` says where.",
            "Send one JSON object in UTF-8. Repeating the same bytes fails again.",
        ),
        _R.MISSING_CONTROL_PLANE_VERSION: Guide(
            "A request to the control plane came without its version header.",
            "Send `X-Durable-Workflow-Control-Plane-Version: 2`. Official clients "
            "do so themselves; look for a proxy that drops headers.",
        ),
        _R.UNSUPPORTED_CONTROL_PLANE_VERSION: Guide(
            "The version header names another version of the control plane than 2. "
            "`supported_version` and `requested_version` show both.",
            "Send `2`, or use a client of the same generation as the server.",
        ),
        _R.MISSING_PROTOCOL_VERSION: Guide(
            "A request of a worker came without its version header.",
            "Send `X-Durable-Workflow-Protocol-Version`. Official SDKs do so "
            "themselves; look for a proxy that drops headers.",
        ),
        _R.UNSUPPORTED_PROTOCOL_VERSION: Guide(
            "The worker asks for a version of the worker protocol that this server "
            "does not speak, or a newer one than it advertises.",
            "Compare `requested_version` with `supported_version`. Raise "
            "`DW_WORKER_PROTOCOL_VERSION`, or use an SDK release that the server "
            "supports.",
        ),
        _R.UNAUTHORIZED: Guide(
            "The request has no credential, or one that fits no configured secret. "
            "The answer does not say which.",
            "Send `Authorization: Bearer` with the token of the plane, or the "
            "signature header with `DW_AUTH_DRIVER=signature`. Check for blanks "
            "around a secret that came from a file.",
        ),
        _R.FORBIDDEN: Guide(
            "The credential is known, but its role may not do this: workers use the "
            "worker plane, operators the control plane, some routes are for admins.",
            "Use a credential of one of the `allowed_roles`.",
        ),
        _R.NOT_FOUND: Guide(
            "The server has no such path, or not in this version.",
            "Check the path; `GET /api/openapi.json` lists all of them. Behind a "
            "proxy, check that it keeps the prefix `/api`.",
        ),
        _R.METHOD_NOT_ALLOWED: Guide(
            "The path exists, but not for this method.",
            "Use a method from the `Allow` header.",
        ),
        _R.NAMESPACE_NOT_FOUND: Guide(
            "The namespace of the header, of the query string or of the path does "
            "not exist.",
            "Create it with `POST /api/namespaces`, or correct `X-Namespace`. "
            "Without one, `default` is meant.",
        ),
        _R.PAYLOAD_TOO_LARGE: Guide(
            "The body is larger than `limit` bytes, compressed or not, or a payload "
            "is.",
            "Send less, raise `DW_MAX_PAYLOAD_BYTES`, or let large payloads go to "
            "external storage by a policy of the namespace.",
        ),
        _R.UNSUPPORTED_MEDIA_TYPE: Guide(
            "A request with a body does not declare JSON.",
            "Send `Content-Type: application/json`.",
        ),
        _R.VALIDATION_FAILED: Guide(
            "One or more fields break their rules. `errors` has the texts by field; "
            "nothing was done.",
            "Correct the fields that `errors` names. Repeating the same request "
            "fails again.",
        ),
        _R.SERVER_ERROR: Guide(
            "The server cannot decide about the request because it is configured "
            "incompletely, no secret for instance, or it failed where it should "
            "not.",
            "Look at `GET /api/ready` and at the log under the same `X-Request-Id`.",
        ),
        _R.CONTROL_PLANE_INTERNAL_ERROR: Guide(
            "An unexpected failure of the server. It may have happened after the "
            "change was written.",
            "Look at the log under `error_id`. Commands with a `request_id` can be "
            "repeated safely; report what the log says.",
        ),
        _R.BACKEND_UNAVAILABLE: Guide(
            "The database does not answer or the session was lost. A change under "
            "way may have been written.",
            "Wait for `retry_after_seconds` and repeat. Check the database and `GET "
            "/api/ready`.",
        ),
        _R.BACKEND_LOCK_PRESSURE: Guide(
            "Too many changes want the same rows at once, and the server has tried "
            "several times. Nothing was written.",
            "Wait for `retry_after_seconds` and repeat. If it lasts, spread the "
            "load over more workflow ids and look for long transactions in the "
            "database.",
        ),
        _R.TOPOLOGY_ROLE_UNAVAILABLE: Guide(
            "This node does not host the role that serves the route, and no live "
            "node that does could be reached. `required_roles` and `missing_roles` "
            "tell.",
            "Send the request to a node that hosts the role, or start one. Look at "
            "the live nodes with `GET /api/cluster/info`.",
        ),
        _R.WORKFLOW_V2_BLOCKED: Guide(
            "The database cannot be used yet: it cannot be reached, or migrations "
            "are pending. `blocked_by` names the checks.",
            "Run `dwserver bootstrap` once against the database, then wait until "
            "`GET /api/ready` answers 200.",
        ),
        _R.LONG_POLL_CAPACITY_EXHAUSTED: Guide(
            "As many polls wait at this node as it may hold.",
            "Wait for `retry_after_seconds`, then poll again; SDKs do. Raise the "
            "limit of waiting polls, or run more nodes.",
        ),
        _R.INSTANCE_NOT_FOUND: Guide(
            "The namespace has no workflow with this id. One of another namespace "
            "looks the same.",
            "Check the id and the namespace. A start that was refused leaves no "
            "workflow.",
        ),
        _R.INSTANCE_NOT_STARTED: Guide(
            "The workflow id is reserved, but no run of it exists.",
            "Start the workflow first.",
        ),
        _R.INSTANCE_ALREADY_STARTED: Guide(
            "The workflow id was used before. An id belongs to one workflow, also "
            "after it closed.",
            "Use another id, or start with `duplicate_policy: use-existing` to get "
            "the active run.",
        ),
        _R.DUPLICATE_NOT_ALLOWED: Guide(
            "The same as `instance_already_started`, under the name that Python "
            "SDKs recognise.",
            "Use another id, or start with `duplicate_policy: use-existing` to get "
            "the active run.",
        ),
        _R.COMPATIBILITY_BLOCKED: Guide(
            "No live worker has the compatibility marker that the run would get, "
            "and the server is set to refuse such starts.",
            "Start workers of that build, or set `DW_V2_FLEET_VALIDATION_MODE` to "
            "`warn`.",
        ),
        _R.TASK_QUEUE_DRAINING: Guide(
            "All workers of the task queue are draining, so it takes no new runs.",
            "Start workers of a build that is not drained, resume the drained one, "
            "or use another queue.",
        ),
        _R.RUN_NOT_FOUND: Guide(
            "The workflow has no run with this id in the namespace.",
            "List the runs of the workflow; leave the run id out to reach the "
            "current one.",
        ),
        _R.RUN_NOT_ACTIVE: Guide(
            "The command needs an open run, and the run is closed.",
            "Nothing is left to do. A repeat of a cancel or terminate that "
            "succeeded gets this answer.",
        ),
        _R.RUN_NOT_CLOSED: Guide(
            "The command needs a closed run, and the run is open.",
            "Wait until it is closed, or cancel or terminate it.",
        ),
        _R.HISTORICAL_RUN_COMMAND_REJECTED: Guide(
            "The command names a run that has been followed by a newer one.",
            "Leave the run id out of the path, or name the current run.",
        ),
        _R.SELECTED_RUN_NOT_CURRENT: Guide(
            "The run was replaced by another one while the command was under way.",
            "Leave the run id out of the path, or name the current run.",
        ),
        _R.HISTORY_PRUNED: Guide(
            "Retention has removed the history of the run; its row is left.",
            "Export histories before the retention period of the namespace ends, or "
            "make it longer.",
        ),
        _R.UNKNOWN_SIGNAL: Guide(
            "The workflow type declares its signals, and this name is not among them.",
            "Check the name against the worker's code. Types without a declaration "
            "take every signal.",
        ),
        _R.INVALID_SIGNAL_ARGUMENTS: Guide(
            "The arguments of the signal do not fit its declaration, or named ones "
            "were sent for a signal without one.",
            "Correct the arguments that `validation_errors` names.",
        ),
        _R.UNKNOWN_UPDATE: Guide(
            "The workflow type declares its updates, and this name is not among them.",
            "Check the name against the worker's code. Types without a declaration "
            "take every update.",
        ),
        _R.INVALID_UPDATE_ARGUMENTS: Guide(
            "The arguments of the update do not fit its declaration.",
            "Correct the arguments that `validation_errors` names.",
        ),
        _R.UPDATE_REJECTED: Guide(
            "The workflow refused the update, a validator for instance, or it "
            "closed before.",
            "Read the message of the refusal; send another update when the workflow "
            "can take it.",
        ),
        _R.REQUEST_ID_CONFLICT: Guide(
            "The `request_id` was used before for another command of that kind, "
            "with another name or other arguments.",
            "Use a new `request_id` for a new command; repeat a command with "
            "exactly what it had.",
        ),
        _R.STRUCTURAL_LIMIT_EXCEEDED: Guide(
            "The change would take the run over a limit on sizes or counts, such as "
            "the number of its pending activities or the bytes of its history.",
            "Split the work into children, use continue-as-new earlier, or raise "
            "the limit that the message names.",
        ),
        _R.WORKFLOW_DEFINITION_UNAVAILABLE: Guide(
            "The command needs code of the workflow that the server cannot load.",
            "Leave such work to a worker: run one that has the workflow type.",
        ),
        _R.WORKFLOW_OUTPUT_CODEC_UNAVAILABLE: Guide(
            "The output of the run is in a codec that the server cannot read.",
            "Read `output_envelope` and decode it with the codec that wrote it.",
        ),
        _R.INVALID_IMPORT_BUNDLE: Guide(
            "The body of an import is empty or no object.",
            "Send the exported bundle, or an object with the bundle as `bundle`.",
        ),
        _R.EMBEDDED_V2_IMPORT_UNAVAILABLE: Guide(
            "The node is taking another large bundle; it takes one at a time.",
            "Send the bundle again when the other import has been answered.",
        ),
        _R.QUERY_NOT_FOUND: Guide(
            "The workflow type declares its queries, and this name is not among them; "
            "a standalone activity has none.",
            "Check the name against the worker's code.",
        ),
        _R.REJECTED_UNKNOWN_QUERY: Guide(
            "The worker that was asked has no handler for this query.",
            "Check the name, and that all workers of the queue run the same code.",
        ),
        _R.INVALID_QUERY_ARGUMENTS: Guide(
            "The arguments of the query do not fit its declaration.",
            "Correct the arguments that `validation_errors` names.",
        ),
        _R.QUERY_REJECTED: Guide(
            "The worker could not answer: its handler raised, or the state could "
            "not be replayed.",
            "Read the message, and the log of the worker.",
        ),
        _R.QUERY_WORKER_UNAVAILABLE: Guide(
            "No live worker of the task queue runs the workflow type.",
            "Start one, or wait until one polls.",
        ),
        _R.QUERY_WORKER_INCOMPATIBLE: Guide(
            "Workers of the queue are live, but none has the compatibility marker "
            "of the run.",
            "Start a worker of the build that the run is pinned to.",
        ),
        _R.QUERY_WORKER_TIMEOUT: Guide(
            "A worker took the query and did not answer in time.",
            "Repeat it; queries change nothing. If it lasts, look at the load and "
            "the log of the workers.",
        ),
        _R.QUERY_WORKER_EXECUTION_TIMEOUT: Guide(
            "The handler of the query took longer than the worker allows.",
            "Make the handler quicker: it must only read state.",
        ),
        _R.QUERY_TASK_NOT_CLAIMED: Guide(
            "No worker polled for the query in time, although live ones are known.",
            "Check that the workers have free slots and poll for queries, then repeat.",
        ),
        _R.QUERY_TASK_QUEUE_FULL: Guide(
            "As many queries wait for workers of this queue as may.",
            "Ask less often, or run more workers.",
        ),
        _R.QUERY_TASK_QUEUE_UNAVAILABLE: Guide(
            "The exchange that brings queries to workers cannot be reached: Redis "
            "in a cluster.",
            "Check Redis and repeat; everything but queries goes on meanwhile.",
        ),
        _R.QUERY_TASK_NOT_FOUND: Guide(
            "The query task is unknown: it was answered, given up, or never existed.",
            "Drop it. The worker was probably too slow.",
        ),
        _R.QUERY_TASK_NOT_LEASED: Guide(
            "Nobody holds the query task; its lease ran out.",
            "Drop the answer.",
        ),
        _R.QUERY_TASK_ATTEMPT_MISMATCH: Guide(
            "The answer is of an earlier attempt of the query task.",
            "Drop the answer; a later attempt is under way.",
        ),
        _R.QUERY_TASK_TIMED_OUT: Guide(
            "The caller of the query has stopped waiting.",
            "Drop the answer.",
        ),
        _R.NAMESPACE_ALREADY_EXISTS: Guide(
            "A namespace has this name already.",
            "Use it, or choose another name. A repeated create gets this answer.",
        ),
        _R.WORKER_NOT_FOUND: Guide(
            "The namespace has no worker registration with this id.",
            "List the workers. A repeated deregistration gets this answer.",
        ),
        _R.ATTRIBUTE_NOT_FOUND: Guide(
            "The namespace has not defined this search attribute.",
            "List the search attributes; names are case-sensitive.",
        ),
        _R.ATTRIBUTE_ALREADY_EXISTS: Guide(
            "The namespace has defined this search attribute; `type` is the type "
            "that it has.",
            "Use it. For another type, delete it first; runs keep their values.",
        ),
        _R.NAME_RESERVED: Guide(
            "The name belongs to a search attribute of the system.",
            "Choose another name.",
        ),
        _R.SYSTEM_ATTRIBUTE: Guide(
            "Search attributes of the system cannot be deleted.",
            "Leave it.",
        ),
        _R.SEARCH_ATTRIBUTE_LIMIT_REACHED: Guide(
            "The namespace has defined as many search attributes as it may.",
            "Delete one that is not used, or raise `DW_MAX_SEARCH_ATTRIBUTES`.",
        ),
        _R.ACTIVITY_NOT_FOUND: Guide(
            "The namespace has no standalone activity with this id.",
            "Check the id and the namespace.",
        ),
        _R.ACTIVITY_ID_RESERVED_IN_NAMESPACE: Guide(
            "The id of the standalone activity was used before.",
            "Use another id, or describe the activity that has it.",
        ),
        _R.SCHEDULE_NOT_FOUND: Guide(
            "The namespace has no schedule with this id.",
            "List the schedules. A repeated delete gets this answer.",
        ),
        _R.SCHEDULE_ALREADY_EXISTS: Guide(
            "A schedule has this id already.",
            "Update it, or choose another id. A repeated create gets this answer.",
        ),
        _R.MEMO_TOO_LARGE: Guide(
            "The memo is larger than it may be.",
            "Send less, or raise `DW_MAX_MEMO_BYTES`.",
        ),
        _R.INVALID_TIME_RANGE: Guide(
            "The end of the range is not after its start.",
            "Swap or correct the two instants.",
        ),
        _R.INVALID_AFTER_SEQUENCE: Guide(
            "`after_sequence` is no sequence number.",
            "Send a whole number from 0, such as the last sequence that was read.",
        ),
        _R.EXTERNAL_STORAGE_NOT_CONFIGURED: Guide(
            "The namespace has no policy for external storage, and the request "
            "names no driver.",
            "Set a policy with `PUT /api/namespaces/{namespace}/external-storage`.",
        ),
        _R.EXTERNAL_STORAGE_DISABLED: Guide(
            "The namespace has a policy for external storage that is switched off.",
            "Set the policy again with `enabled: true`.",
        ),
        _R.STORAGE_DRIVER_UNAVAILABLE: Guide(
            "The driver of the policy cannot be used on this node: it is switched "
            "off, incompletely configured, or not the one that was asked for.",
            "Read the message; correct the policy or the configuration of the node.",
        ),
        _R.EXTERNAL_PAYLOAD_STORAGE_UNAVAILABLE: Guide(
            "External storage does not answer, or does not give back what was stored.",
            "Check the storage and its credentials with `POST /api/storage/test`, "
            "then repeat.",
        ),
        _R.UNKNOWN_TARGET: Guide(
            "The bridge event names a workflow or an action that does not exist.",
            "Correct `target`; start the workflow first.",
        ),
        _R.AUTH_FAILED: Guide(
            "The sender of the bridge event could not be recognised.",
            "Check the secret or signature that the adapter is configured with.",
        ),
        _R.MALFORMED_PAYLOAD: Guide(
            "The bridge event lacks fields or has wrong ones.",
            "Correct the fields that the outcome names.",
        ),
        _R.DUPLICATE_START: Guide(
            "The bridge event would start a workflow that was started before.",
            "Nothing is left to do: the outcome shows the first one.",
        ),
        _R.UNSUPPORTED_ACTION: Guide(
            "The bridge adapter does not offer this action.",
            "Use one of start, signal and update.",
        ),
        _R.UNSUPPORTED_ROUTING: Guide(
            "The bridge adapter cannot bring the event to this target.",
            "Name the target by a workflow id or type that the adapter may use.",
        ),
        _R.ADAPTER_UNAVAILABLE: Guide(
            "The bridge adapter is unknown or switched off.",
            "Check its name and the configuration.",
        ),
        _R.WORKER_NOT_REGISTERED: Guide(
            "The worker polls or beats before it has registered, or after its "
            "registration was deleted.",
            "Register, then poll; SDKs register when they start.",
        ),
        _R.WORKFLOW_DEFINITION_CHANGED: Guide(
            "The worker registers a workflow type with another fingerprint than "
            "before under the same id.",
            "Give the new code a new build id or worker id, or restart all workers "
            "of the type.",
        ),
        _R.TASK_QUEUE_MISMATCH: Guide(
            "The worker is registered on another task queue than the one that it "
            "polls.",
            "Use one worker id for each queue.",
        ),
        _R.BUILD_ID_MISMATCH: Guide(
            "The worker is registered with another build id than it sends now.",
            "Register again with the new build id.",
        ),
        _R.INVALID_PAGE_TOKEN: Guide(
            "The page token of the history is not one that the server gave out for "
            "this task.",
            "Begin with the first page.",
        ),
        _R.HISTORY_NOT_AVAILABLE: Guide(
            "The task has no history to read: it was finished, or is of another kind.",
            "Poll for the next task.",
        ),
        _R.TASK_NOT_FOUND: Guide(
            "The namespace has no such task.",
            "Drop the result; poll for the next task.",
        ),
        _R.TASK_NOT_WORKFLOW: Guide(
            "The task is not a workflow task.",
            "Use the routes of activity tasks.",
        ),
        _R.TASK_NOT_ACTIVE: Guide(
            "The task was finished before.",
            "Drop the result. A repeated completion gets this answer.",
        ),
        _R.TASK_NOT_LEASED: Guide(
            "Nobody holds the task: its lease ran out and it is ready again, or it "
            "was finished.",
            "Drop the result; the task comes again. Make leases longer when work "
            "takes that long, or send heartbeats.",
        ),
        _R.TASK_MISMATCH: Guide(
            "The attempt belongs to another task than the path names.",
            "Send task id and attempt id as the poll gave them.",
        ),
        _R.LEASE_EXPIRED: Guide(
            "The lease ran out before the answer came.",
            "Drop the result; the task comes again. Make leases longer, or send "
            "heartbeats.",
        ),
        _R.LEASE_OWNER_MISMATCH: Guide(
            "Another worker holds the task by now.",
            "Drop the result. Give each worker process an id of its own.",
        ),
        _R.WORKFLOW_TASK_ATTEMPT_MISMATCH: Guide(
            "A later attempt of the workflow task is under way.",
            "Drop the result.",
        ),
        _R.INVALID_COMMANDS: Guide(
            "The commands of the completion contradict the run or each other, such "
            "as two that end it. Nothing of it was written.",
            "Correct the workflow code; the message names the command. The task "
            "comes again.",
        ),
        _R.ATTEMPT_NOT_FOUND: Guide(
            "The activity has no such attempt.",
            "Send the attempt id as the poll gave it.",
        ),
        _R.STALE_ATTEMPT: Guide(
            "A later attempt of the activity is under way.",
            "Stop the work and drop its result.",
        ),
        _R.ACTIVITY_EXECUTION_MISSING: Guide(
            "The activity of the task is gone.",
            "Stop the work and drop its result.",
        ),
        _R.RUN_CLOSED: Guide(
            "The run of the task is closed.",
            "Stop the work and drop its result.",
        ),
        _R.RUN_ALREADY_CLOSED: Guide(
            "The run closed while the completion was under way.",
            "Drop the result.",
        ),
        _R.RUN_TIMED_OUT: Guide(
            "The run, or the whole workflow, ran out of time.",
            "Drop the result. Allow more time with `run_timeout_seconds` or "
            "`execution_timeout_seconds`.",
        ),
        _R.RUN_CANCELLED: Guide(
            "The run was cancelled.",
            "Stop the work and drop its result.",
        ),
        _R.RUN_TERMINATED: Guide(
            "The run was terminated.",
            "Stop the work and drop its result.",
        ),
        _R.ACTIVITY_CANCELLED: Guide(
            "The activity was cancelled while the worker was at it.",
            "Stop the work and clean up.",
        ),
        _R.TASK_CANCELLED: Guide(
            "The task was cancelled while the worker was at it.",
            "Stop the work and clean up.",
        ),
        _R.ATTEMPT_CLOSED: Guide(
            "The attempt has an outcome already, a time-out for instance.",
            "Stop the work and drop its result.",
        ),
        _R.ACTIVITY_NOT_RUNNING: Guide(
            "The activity has an outcome already.",
            "Stop the work and drop its result.",
        ),
        _R.STALE_TASK: Guide(
            "The task was replaced by another one.",
            "Stop the work and drop its result.",
        ),
        _R.WORKFLOW_RUN_MISSING: Guide(
            "The run of the activity is gone.",
            "Stop the work and drop its result.",
        ),
    }
)
