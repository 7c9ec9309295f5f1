"""Exported runs of SDK workers, as the verifiers of the releases see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from dwserver.protocol.history_bundles.verification.verifying import verify_text
from tests.sdk.environments import RELEASES, Feature, SdkRelease, provide
from tests.sdk.matrix import Site, Sites
from tests.sdk.test_scenarios import WITH_WORKER

pytestmark = pytest.mark.timeout(600)

# The verifier is as old as the fingerprints.
VERIFYING = [
    release for release in RELEASES if Feature.FINGERPRINTS in release.features
]


@pytest.fixture(
    params=[
        pytest.param(r, id=r.name, marks=() if r.in_default_run else pytest.mark.full)
        for r in VERIFYING
    ]
)
def site(sites: Sites, request: pytest.FixtureRequest) -> Site:
    release: SdkRelease = request.param
    return sites.site("sqlite", provide(release))


def _bundles(site: Site) -> Iterator[Any]:
    """Of all runs of all scenarios."""
    among = sorted(WITH_WORKER)
    for scenario in among:
        for run in site.outcome(scenario, among=among).runs:
            path = f"/api/workflows/{run.workflow_id}/runs/{run.shown['run_id']}"
            answer = site.ground.operator.request("GET", f"{path}/history/export")
            yield answer.expect(200)


def _changed(bundle: Any) -> Any:
    """As if another workflow had run."""
    return {**bundle, "workflow": {**bundle["workflow"], "workflow_type": "another"}}


def test_a_release_verifies_what_its_workers_ran(site: Site) -> None:
    bundles = list(_bundles(site))
    assert len(bundles) > len(WITH_WORKER)
    texts = [orjson.dumps(bundle) for bundle in bundles]
    assert {verify_text(text).status for text in texts} == {"ok"}
    # The releases hash other characters in a way of their own.
    plain = [text for text in texts if text.isascii()]
    assert len(plain) > len(texts) / 2
    texts = plain + [orjson.dumps(_changed(orjson.loads(text))) for text in plain]
    reports = site.ground.programs.verify([text.decode() for text in texts])
    for text, theirs in zip(texts, reports, strict=True):
        ours = verify_text(text).as_document()
        for document in (ours, theirs):
            for finding in document["findings"]:
                # Both word it for people in their own way.
                del finding["message"], finding["path"]
        assert ours == theirs
    statuses = [report["status"] for report in reports]
    assert statuses == ["ok"] * len(plain) + ["failed"] * len(plain)
