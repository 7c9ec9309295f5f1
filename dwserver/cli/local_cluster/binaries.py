"""PostgreSQL and Redis of this machine: where their programs are, how they are run."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from dwserver.cli.local_cluster.errors import LocalClusterError

MIN_POSTGRES_MAJOR = 13
MIN_REDIS_MAJOR = 6

# Debian keeps the server binaries of each major version outside PATH.
POSTGRES_FOLDERS = "/usr/lib/postgresql/*/bin"


class LocalServerError(LocalClusterError):
    """A server of this machine is missing or does not start; the text says why."""


def _major_version(binary: Path) -> int:
    """First number of ``binary --version``; 0 when it cannot be run."""
    try:
        text = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"(\d+)\.\d", text) or re.search(r"(\d+)", text)
    return int(found.group(1)) if found else 0


def find_postgres() -> Path | None:
    """Folder with ``initdb`` and ``postgres`` of the newest version that will do."""
    folders = [Path(name) for name in os.get_exec_path()]
    folders += sorted(Path("/").glob(POSTGRES_FOLDERS.lstrip("/")))
    versions = [
        (_major_version(folder / "postgres"), folder)
        for folder in dict.fromkeys(folders)
        if (folder / "initdb").exists() and (folder / "postgres").exists()
    ]
    major, folder = max(versions, default=(0, Path()))
    return folder if major >= MIN_POSTGRES_MAJOR else None


def find_redis() -> Path | None:
    """``redis-server`` of a version that will do."""
    found = shutil.which("redis-server")
    if found is None or _major_version(Path(found)) < MIN_REDIS_MAJOR:
        return None
    return Path(found)


def missing() -> list[str]:
    """What this machine lacks, in words for the user; empty when it has everything."""
    lacking = []
    if find_postgres() is None:
        lacking.append(
            f"PostgreSQL >= {MIN_POSTGRES_MAJOR} server binaries"
            f" (initdb and postgres in PATH or {POSTGRES_FOLDERS})"
        )
    if find_redis() is None:
        lacking.append(f"Redis >= {MIN_REDIS_MAJOR} (redis-server in PATH)")
    return lacking


def server_account() -> pwd.struct_passwd | None:
    """The system user to run servers as: PostgreSQL refuses to run as root. None when
    we are not root ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LocalServerError("no system user 'postgres' or 'nobody' to run servers as")


def initdb_command(binaries: Path, data: Path, password_file: Path) -> list[str]:
    """Makes a PostgreSQL cluster whose superuser logs in with a password."""
    return [
        str(binaries / "initdb"),
        f"--pgdata={data}",
        "--username=postgres",
        "--auth=scram-sha-256",
        f"--pwfile={password_file}",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
    ]


def postgres_command(
    binaries: Path, data: Path, settings: Mapping[str, str]
) -> list[str]:
    """Runs a PostgreSQL cluster in the foreground, without a Unix socket."""
    every = {**settings, "unix_socket_directories": ""}
    command = [str(binaries / "postgres"), "-D", str(data)]
    return command + [f"--{name}={value}" for name, value in every.items()]


def redis_command(binary: Path, *, host: str, port: int, folder: Path) -> list[str]:
    """Runs a Redis in the foreground that keeps nothing on disk."""
    options = {
        "--bind": host,
        "--port": str(port),
        "--save": "",
        "--appendonly": "no",
        "--dir": str(folder),
    }
    return [str(binary), *(word for pair in options.items() for word in pair)]
