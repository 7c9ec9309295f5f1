"""Import a run, or say why not (``spec/history-bundles.md`` §5.2)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from dwserver.engine.context import Context
from dwserver.engine.imports.eligibility import Finding, Level, Rule, findings
from dwserver.engine.imports.placing import Here, place
from dwserver.engine.imports.records import InconsistentBundle
from dwserver.engine.imports.translation import translate
from dwserver.engine.records import replace
from dwserver.engine.transition import RunChange, RunImport
from dwserver.protocol.history_bundles.reading.bundles import read_bundle
from dwserver.protocol.history_bundles.reading.facts import (
    BundleSummary,
    facts_of,
    summary_of,
)
from dwserver.protocol.history_bundles.verification.verifying import verify_bundle
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.manifests.embedded_import import CONTRACT_VERSION, SOURCE
from dwserver.runtime.ids import UlidSource
from dwserver.services.history_imports.reports import (
    NO_ROWS,
    ImportStatus,
    estimated_rows,
    report,
    written_rows,
)
from dwserver.services.runs import RunContended, Runs
from dwserver.store.api import RunPlace, Store, StoreError

# Looks at what there is before its caller is told to repeat.
MAX_ROUNDS = 5
# Of an id that nobody has checked yet.
MAX_LOGGED = 255
_WRITE_FAILED = "The database refused the rows of the run; nothing was written."

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """``signing_key`` None: that of the server."""

    namespace: str
    bundle: JsonObject = field(repr=False)
    is_dry_run: bool = False
    import_id: str | None = None
    requires_signature: bool = False
    signing_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of it, and the report that says so."""

    status: ImportStatus
    report: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A bundle that was looked at; ``change`` None: it may not be imported."""

    summary: BundleSummary
    integrity: JsonObject
    findings: tuple[Finding, ...]
    change: RunChange | None = None
    mark: RunImport | None = None


class HistoryImports:
    """One import at a time: a bundle may be large, and is taken apart in memory."""

    def __init__(self, store: Store, *, runs: Runs, signing_key: str | None) -> None:
        self._store = store
        self._runs = runs
        self._signing_key = signing_key
        self._slot = asyncio.Semaphore(1)

    async def run(self, request: ImportRequest) -> Imported:
        """Raises ``StoreError`` when it is not known what became of it, and
        :class:`RunContended`."""
        async with self._slot:
            context = replace(self._runs.context(), next_id=UlidSource().next)
            # Long histories take long to check; the event loop need not wait for it.
            prepared = await asyncio.to_thread(self._prepare, request, context)
            imported = await self._finish(request, prepared)
        _note(request, imported)
        return imported

    def _prepare(self, request: ImportRequest, context: Context) -> _Prepared:
        """On a thread of its own."""
        bundle = request.bundle
        verified = verify_bundle(
            bundle, signing_key=request.signing_key or self._signing_key
        )
        summary, integrity = summary_of(bundle), verified.as_document()
        facts = facts_of(
            bundle, verified, requires_signature=request.requires_signature
        )
        found = tuple(findings(facts))
        if any(finding.level is Level.ERROR for finding in found):
            return _Prepared(summary=summary, integrity=integrity, findings=found)
        mark = RunImport(
            import_source=SOURCE,
            import_id=request.import_id or context.next_id(),
            import_dedupe_key=summary.dedupe_key or f"{summary.run_id}:unknown",
            import_contract_version=CONTRACT_VERSION,
            imported_at=context.now,
        )
        try:
            read = read_bundle(bundle, namespace=request.namespace)
            change = translate(read, mark, context)
        except InconsistentBundle as error:
            refused = Finding(Rule(error.rule), str(error))
            return _Prepared(
                summary=summary, integrity=integrity, findings=(*found, refused)
            )
        return _Prepared(
            summary=summary,
            integrity=integrity,
            findings=found,
            change=change,
            mark=mark,
        )

    async def _finish(self, request: ImportRequest, prepared: _Prepared) -> Imported:
        change, mark = prepared.change, prepared.mark
        if change is None or mark is None:
            return _told(request, prepared, ImportStatus.REJECTED)
        for _ in range(MAX_ROUNDS):
            found = await self._store.find_run_place(change.run.id)
            if found is not None:
                return _already_there(request, prepared, found, mark)
            here = await self._here(request.namespace, change.run.workflow_id)
            if here is not None and any(run.id == change.run.id for run in here.runs):
                # It has come since the first look.
                continue
            placed = place(change, here, is_current=prepared.summary.is_current)
            if isinstance(placed, Finding):
                return _refused(request, prepared, placed)
            if request.is_dry_run:
                rows = estimated_rows(request.bundle)
                return _told(request, prepared, ImportStatus.DRY_RUN, rows=rows)
            try:
                is_applied = await self._runs.commit_import(placed)
            except StoreError as error:
                return await self._after_failure(request, prepared, change, error)
            if is_applied:
                rows = written_rows(placed, request.bundle)
                return _told(
                    request, prepared, ImportStatus.IMPORTED, rows=rows, mark=mark
                )
        raise RunContended(change.run.id)

    async def _here(self, namespace: str, workflow_id: str) -> Here | None:
        views = await self._store.runs_of_instance(namespace, workflow_id)
        instance = await self._store.find_instance(namespace, workflow_id)
        current = next(
            (v.run for v in views if instance and v.run.id == instance.current_run_id),
            None,
        )
        if instance is None or current is None:
            # A run that has just come is found in the next round.
            return None
        return Here(instance, current, [view.run for view in views])

    async def _after_failure(
        self,
        request: ImportRequest,
        prepared: _Prepared,
        change: RunChange,
        error: StoreError,
    ) -> Imported:
        """Somebody may have imported the run in the same moment, or the write has
        happened and only its answer was lost."""
        _log.warning(
            "import_write_failed",
            run_id=change.run.id,
            namespace=request.namespace,
            exc_info=error,
        )
        found = await self._store.find_run_place(change.run.id)
        if found is not None and prepared.mark is not None:
            is_own = found.imported == prepared.mark
            if is_own and error.is_applied_unknown:
                return _told(
                    request, prepared, ImportStatus.IMPORTED, mark=prepared.mark
                )
            return _already_there(request, prepared, found, prepared.mark)
        if error.is_applied_unknown:
            raise error
        return _refused(request, prepared, Finding(Rule.WRITE_FAILED, _WRITE_FAILED))


def _note(request: ImportRequest, imported: Imported) -> None:
    """Operators look for it later: which run came from where, or why it did not."""
    report = imported.report
    _log.info(
        "import_answered",
        status=imported.status.value,
        is_dry_run=request.is_dry_run,
        namespace=request.namespace,
        run_id=(report["workflow"]["run_id"] or "")[:MAX_LOGGED],
        import_id=report.get("import_id") or report.get("existing_import_id"),
        refused_by=[each["rule"] for each in report["eligibility"]["errors"]],
    )


def _already_there(
    request: ImportRequest, prepared: _Prepared, found: RunPlace, mark: RunImport
) -> Imported:
    """The same bundle again is no fault; another run of that id is."""
    there = found.imported
    if (
        there is not None
        and found.namespace == request.namespace
        and there.import_dedupe_key == mark.import_dedupe_key
        and there.import_source == mark.import_source
    ):
        return _told(request, prepared, ImportStatus.ALREADY_IMPORTED, mark=there)
    text = "There is a run of this id that was not imported from this bundle."
    return _refused(request, prepared, Finding(Rule.RUN_ID_CONFLICT, text))


def _refused(request: ImportRequest, prepared: _Prepared, why: Finding) -> Imported:
    all_found = replace(prepared, findings=(*prepared.findings, why))
    return _told(request, all_found, ImportStatus.REJECTED)


def _told(
    request: ImportRequest,
    prepared: _Prepared,
    status: ImportStatus,
    *,
    rows: JsonObject = NO_ROWS,
    mark: RunImport | None = None,
) -> Imported:
    document = report(
        prepared.summary,
        status=status,
        namespace=request.namespace,
        is_dry_run=request.is_dry_run,
        findings=prepared.findings,
        integrity=prepared.integrity,
        rows=rows,
        mark=mark,
    )
    return Imported(status, document)
