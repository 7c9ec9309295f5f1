"""The bundles of all runs of a node, and what verifiers have against them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import orjson
from durable_workflow.history_bundle_verify import verify_bundle as verify_with_sdk

from dwserver.protocol.history_bundles.verification.verifying import verify_text
from dwserver.services.history_exports.exporting import HistoryExports, Pruned
from tests.support.stored_state import read_state


async def doubts(exports: HistoryExports, database_url: str) -> list[str]:
    """Findings of our verifier and of the installed SDK's, by the run that they are
    about; AssertionError if there is no run at all."""
    told: list[str] = []
    async for run_id, text in _bundles(exports, database_url):
        told += [f"{run_id}: {finding}" for finding in findings(text)]
    return told


async def _bundles(
    exports: HistoryExports, database_url: str
) -> AsyncIterator[tuple[str, bytes]]:
    state = await asyncio.to_thread(read_state, database_url)
    for run in state.runs:
        text = await exports.bundle(run.namespace, run.workflow_id, run.id)
        assert text is not None
        if not isinstance(text, Pruned):
            yield run.id, text


def findings(text: bytes) -> Iterator[str]:
    """Of a bundle of ours: none. That a client's payload is no Avro does not count."""
    bundle = orjson.loads(text)
    broken = {
        entry["path"]
        for entry in bundle["payload_manifest"]["entries"]
        if entry["diagnostic"] in ("invalid_base64", "unknown_prefix")
    }
    for finding in verify_text(text).findings:
        if finding.path not in broken:
            yield f"{finding.rule} at {finding.path}: {finding.message}"
    # This release hashes other characters in a way of its own.
    if text.isascii():
        for told in verify_with_sdk(bundle)["findings"]:
            if told["path"] not in broken:
                yield f"by the SDK: {told['rule']}: {told['message']}"
