"""Another build of the server to run beside today's."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.source_tree import PACKAGE, ROOT

VERSION = "0.0.1"
WORKER_PROTOCOL = "1.19"
"""What the older nodes are told to advertise."""

MIGRATIONS = "dwserver/store/postgres/migrations"
# So far back a commit with today's schema is looked for.
MOST_COMMITS = 300
_VERSION = re.compile(r'^__version__ = ".*"$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class OlderBuild:
    """``folder`` holds the package; ``origin`` says honestly what it is."""

    folder: Path
    origin: str


def older_build(folder: Path) -> OlderBuild:
    """The oldest commit before this one whose schema is today's. Before the first
    release migrations are edited in place, so that may be a young one. In a
    checkout without such a commit (shallow, or no checkout at all) it is a copy of
    today's package. In both cases it calls itself ``VERSION``."""
    commit = _commit_with_this_schema()
    if commit is None:
        shutil.copytree(PACKAGE, folder / PACKAGE.name)
        origin = "a copy of this build"
    else:
        archive = _git("archive", "--format=tar", commit, PACKAGE.name)
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "-x"], input=archive.stdout, cwd=folder, check=True)
        subject = _git("log", "-1", "--format=%h of %cs, %s", commit).stdout
        origin = f"commit {subject.decode().strip()}"
    main = folder / PACKAGE.name / "__init__.py"
    text, count = _VERSION.subn(f'__version__ = "{VERSION}"', main.read_text("utf-8"))
    assert count == 1, main
    main.write_text(text, "utf-8")
    return OlderBuild(folder, origin)


def _commit_with_this_schema() -> str | None:
    if shutil.which("git") is None:
        return None
    listed = _git("rev-list", f"--max-count={MOST_COMMITS}", "HEAD")
    if listed.returncode != 0:
        return None
    for commit in reversed(listed.stdout.decode().split()[1:]):
        if _git("diff", "--quiet", commit, "--", MIGRATIONS).returncode == 0:
            return commit
    return None


def _git(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["git", "-c", "safe.directory=*", *words],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
