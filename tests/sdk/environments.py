"""Virtual environments with one release of the official SDK each, made when needed.

They live under ``.venv-sdk/<name>`` of the project and stay there: a stamp says what
was installed, so that a later run uses them without the network. Delete the folder to
get a newer release.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from tests.support.environment import clean_environment
from tests.support.source_tree import ROOT

FOLDER = ROOT / ".venv-sdk"
PACKAGE = "durable-workflow"
STAMP = "installed.txt"
INSTALL_SECONDS = 180


class SdkUnavailable(Exception):
    """An environment cannot be made; the text carries the installer's output."""


class Feature(Enum):
    """What only some releases can do (``spec/client-compatibility.md §1, §9``)."""

    ACTIVITY_FAILURES = auto()  # a workflow sees that an activity failed (R13)
    CHILD_CANCELLATION = auto()  # a workflow sees that a child was cancelled
    FINGERPRINTS = auto()  # workers tell which definitions they have
    PATCHES = auto()  # ctx.patched
    VALIDATORS_IN_TASK = auto()  # validators run in the update's workflow task
    RUN_TIMEOUTS = auto()  # a client sees that a run was timed out


_OLD = frozenset({Feature.VALIDATORS_IN_TASK})
_PATCHING = _OLD | {Feature.FINGERPRINTS, Feature.PATCHES}
_FAILING = _PATCHING | {Feature.ACTIVITY_FAILURES}
_LAST_OF_FIRST = _FAILING | {Feature.CHILD_CANCELLATION}
_SECOND = _LAST_OF_FIRST - {Feature.VALIDATORS_IN_TASK}
_NEWEST = _SECOND | {Feature.RUN_TIMEOUTS}


@dataclass(frozen=True, slots=True)
class SdkRelease:
    """``advertised``: the worker protocol version that the server must publish for
    this release to accept it; None for the server's default
    (``spec/client-compatibility.md §1, §2``)."""

    name: str
    requirement: str
    features: frozenset[Feature]
    advertised: str | None = None
    in_default_run: bool = False


def _exactly(
    version: str,
    features: frozenset[Feature],
    *,
    advertised: str | None = None,
    in_default_run: bool = False,
) -> SdkRelease:
    return SdkRelease(
        version, f"{PACKAGE}=={version}", features, advertised, in_default_run
    )


RELEASES = (
    _exactly("0.3.1", _OLD, advertised="1.0"),
    _exactly("0.4.14", _PATCHING, advertised="1.0"),
    _exactly("0.4.22", _PATCHING),
    _exactly("0.4.60", _FAILING),
    _exactly("0.4.106", _LAST_OF_FIRST, in_default_run=True),
    _exactly("2.0.0", _SECOND),
    # The newest that installs here; the range of the project's own extra.
    SdkRelease("2.x", f"{PACKAGE}>=2.5.7,<3", _NEWEST, in_default_run=True),
)


@dataclass(frozen=True, slots=True)
class SdkEnvironment:
    """``version`` is what pip chose for ``release.requirement``."""

    release: SdkRelease
    python: Path
    version: str


def provide(release: SdkRelease) -> SdkEnvironment:
    """The environment of a release, made now if it is not there. Blocks.

    Raises SdkUnavailable.
    """
    FOLDER.mkdir(exist_ok=True)
    folder = FOLDER / release.name
    with _locked(FOLDER / f"{release.name}.lock"):
        if _stamp(folder)[:1] != [_identity(release)]:
            _make(folder, release)
        return SdkEnvironment(
            release, _python(folder), version=_stamp(folder)[1].strip()
        )


def _identity(release: SdkRelease) -> str:
    """A stamp from another interpreter, place or requirement does not count."""
    return f"{release.requirement} {sys.version_info[:3]} {FOLDER.resolve()}"


def _stamp(folder: Path) -> list[str]:
    path = folder / STAMP
    return path.read_text().splitlines() if path.exists() else []


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _make(folder: Path, release: SdkRelease) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    _run(_python(folder), "-m", "pip", "install", "--quiet", release.requirement)
    version = _run(
        _python(folder),
        "-c",
        f"from importlib.metadata import version; print(version({PACKAGE!r}))",
    )
    (folder / STAMP).write_text(f"{_identity(release)}\n{version}")


def _run(*command: str | Path) -> str:
    try:
        result = subprocess.run(
            command,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SdkUnavailable(f"{error}") from error
    if result.returncode != 0:
        raise SdkUnavailable(f"{command} failed:\n{result.stdout}{result.stderr}")
    return result.stdout


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two test sessions must not make the same environment at once."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
