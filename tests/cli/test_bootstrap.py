"""``dwserver bootstrap``: as often as one likes, also at the same time."""

from __future__ import annotations

from collections.abc import Mapping

from dwserver.store.api import Namespace
from dwserver.store.migrations import BootstrapReport
from dwserver.store.opening import bootstrap as prepare
from dwserver.store.opening import open_store
from tests.cli.command import Ended, end, run, start
from tests.support.ports import LOOPBACK, free_port
from tests.support.probes import run_in_thread


def on(url: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    return {"DW_DATABASE_URL": url, **(extra or {})}


async def _namespaces(url: str) -> list[Namespace]:
    store = open_store(url)
    await store.open()
    try:
        return await store.list_namespaces()
    finally:
        await store.close()


def namespaces(url: str) -> list[str]:
    return [each.name for each in run_in_thread(_namespaces(url))]


def pending(url: str) -> tuple[str, ...]:
    report: BootstrapReport = run_in_thread(prepare(url, plan=True))
    return report.pending


def applied(ended: Ended) -> list[str]:
    assert ended.status == 0, ended
    prefix = "applied "
    return [
        line.removeprefix(prefix)
        for line in ended.output.splitlines()
        if line.startswith(prefix)
    ]


def test_twice(empty_store_url: str) -> None:
    names = list(pending(empty_store_url))
    assert names
    first = run("bootstrap", env=on(empty_store_url))
    assert applied(first) == names
    assert applied(run("bootstrap", env=on(empty_store_url))) == []
    assert pending(empty_store_url) == ()
    assert namespaces(empty_store_url) == ["default"]


def test_several_at_once(empty_store_url: str) -> None:
    names = pending(empty_store_url)
    processes = [start("bootstrap", env=on(empty_store_url)) for _ in range(3)]
    ended = [end(process) for process in processes]
    done = [name for each in ended for name in applied(each)]
    assert sorted(done) == sorted(names)
    assert namespaces(empty_store_url) == ["default"]


def test_a_plan_changes_nothing(empty_store_url: str) -> None:
    names = pending(empty_store_url)
    for _ in range(2):
        planned = run("bootstrap", "--plan", env=on(empty_store_url))
        assert planned.status == 0, planned
        assert [name for name in names if name not in planned.output] == []
        assert pending(empty_store_url) == names


def test_a_plan_with_nothing_to_do(sqlite_url: str) -> None:
    planned = run("bootstrap", "--plan", env=on(sqlite_url))
    assert planned.status == 0
    assert "nothing to apply" in planned.output


def test_a_database_that_is_away_is_named() -> None:
    url = f"postgresql://dw:hunter2secret@{LOOPBACK}:{free_port()}/dw"
    shown = url.replace("dw:hunter2secret@", "")
    planned = run("bootstrap", "--plan", env=on(url))
    assert planned.complaint.startswith(f"dwserver: database {shown}: ")
    assert "database_unreachable" not in planned.errors
    tries = {"DW_BOOTSTRAP_RETRIES": "2", "DW_BOOTSTRAP_DELAY_SECONDS": "0"}
    ended = run("bootstrap", env=on(url, tries))
    assert ended.complaint == planned.complaint
    assert ended.errors.count("database_unreachable") == 1
    assert ended.output == ""


def test_another_default_namespace(sqlite_url: str) -> None:
    env = on(sqlite_url, {"DW_DEFAULT_NAMESPACE": "Billing"})
    assert run("bootstrap", env=env).status == 0
    assert sorted(namespaces(sqlite_url)) == ["billing", "default"]
