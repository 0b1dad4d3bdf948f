"""PostgreSQL: one cluster for this checkout. Root runs it as Debian's user `postgres`, as it insists."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
from pathlib import Path

import psycopg2

from services import progress
from services.checkout import ROOT, RUN
from services.processes import Program
from services.progress import Failure
from services.settings import HOST, Settings

#: The cluster's directory, or a link to it: see `_home`.
LINK = RUN / "postgres"
UNPRIVILEGED_USER = "postgres"
ADVICE = "run `make clean` (it deletes the demo's data) and then the command again."


def prepare(settings: Settings, *, set_up_role: bool) -> Program:
    """Create the cluster at the first start; the program that serves it."""
    programs = binaries()
    account = user()
    cluster = _home(account) / "cluster"
    if not cluster.exists():
        _create(programs, cluster, account)
        set_up_role = True
    else:
        _check_version(programs, cluster)
    _forget_stale_lock(cluster)
    if set_up_role:
        _set_up_role(programs, cluster, account, settings.password)
    options = {
        "port": str(settings.ports["postgres"]),
        "listen_addresses": HOST,
        # No socket file: its path would have to be short, and 127.0.0.1 is enough.
        "unix_socket_directories": "",
        "max_connections": "200",
        "log_line_prefix": "%m %d ",
    }
    command = [str(programs / "postgres"), "-D", str(cluster)]
    command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    # INT is the "fast" shutdown: clients are disconnected, nothing is lost.
    return Program("postgres", command, cluster, user=account, stop_signal="INT", stop_seconds=30)


def answers(settings: Settings) -> bool:
    try:
        psycopg2.connect(settings.database_url("postgres"), connect_timeout=2).close()
    except psycopg2.OperationalError as error:
        if "password authentication failed" in str(error):
            raise Failure("PostgreSQL refuses the password in .run/services.json.", ADVICE) from None
        return False
    return True


def remove() -> None:
    """Delete the cluster, also where it lies outside the checkout."""
    outside = _outside()
    if LINK.is_symlink() and LINK.resolve() == outside and outside.is_dir():
        shutil.rmtree(outside)


def binaries() -> Path:
    """Debian has the server in a directory per major version, not in PATH; elsewhere it is beside initdb."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if versions:
        return versions[-1].parent
    initdb = shutil.which("initdb")
    if initdb is None:
        raise Failure("The PostgreSQL server is not installed.", "run `make install`.")
    return Path(initdb).resolve().parent


def user() -> str | None:
    """The account that runs it; None: the caller's own."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(UNPRIVILEGED_USER).pw_name
    except KeyError:
        raise Failure(
            f"There is no system user `{UNPRIVILEGED_USER}`, and PostgreSQL refuses to run as root.",
            "install the Debian package `postgresql`, or run this as an ordinary user.",
        ) from None


def _home(user: str | None) -> Path:
    """The directory that holds the cluster, its user's own.

    A checkout may lie where that user cannot go (/root, a directory of `mktemp -d`). The cluster then lies in
    /var/tmp, which everyone can reach and a reboot does not empty, and ``.run/postgres`` is a link to it.
    """
    if not LINK.exists():
        LINK.unlink(missing_ok=True)  # a link whose target was removed by hand
        if user is None or _can_reach(user, RUN):
            LINK.mkdir(mode=0o700)
        else:
            _outside().mkdir(mode=0o700, exist_ok=True)
            LINK.symlink_to(_outside())
        if user is not None and LINK.stat().st_uid == os.geteuid():
            shutil.chown(LINK, user, user)
    home = LINK.resolve()
    owner = pwd.getpwuid(home.stat().st_uid).pw_name
    if owner != (user or pwd.getpwuid(os.geteuid()).pw_name):
        raise Failure(
            f"{home} belongs to the user {owner}, so PostgreSQL's data is not put into it.",
            f"see what it is; if nobody needs it, remove it (`rm -r {home}`) and run the command again.",
        )
    return home


def _outside() -> Path:
    return Path("/var/tmp") / f"ckanext-publish-{hashlib.sha256(os.fsencode(ROOT)).hexdigest()[:12]}"  # noqa: S108


def _can_reach(user: str, directory: Path) -> bool:
    probe = subprocess.run(
        ["test", "-x", str(directory)], user=user, group=user, extra_groups=[], cwd="/", check=False
    )
    return probe.returncode == 0


def _create(binaries: Path, cluster: Path, user: str | None) -> None:
    # Made beside its place and then renamed: an interrupted initdb must not look like a cluster.
    unfinished = cluster.with_name("cluster.unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    command = [binaries / "initdb", "--pgdata", unfinished, "--username=postgres", "--encoding=UTF8"]
    command += ["--locale=C.UTF-8", "--auth-local=reject", "--auth-host=scram-sha-256"]
    progress.run(command, log="initdb", advice=ADVICE, user=user, cwd=Path("/"))
    unfinished.rename(cluster)


def _set_up_role(binaries: Path, cluster: Path, user: str | None, password: str) -> None:
    """Create or alter the role `ckan`; tests make others with it.

    Without a server, so that the superuser needs no password at all.
    """
    # One line is one statement here.
    create = (
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ckan') "
        "THEN CREATE ROLE ckan LOGIN CREATEDB; END IF; END $$"
    )
    alter = f"ALTER ROLE ckan CREATEROLE PASSWORD '{password}'"
    # exit_on_error: a failed statement must not look like success.
    command = [binaries / "postgres", "--single", "-c", "exit_on_error=on", "-D", cluster, "postgres"]
    statements = f"{create}\n{alter}\n"
    progress.run(command, log="postgres-role", advice=ADVICE, user=user, cwd=Path("/"), stdin=statements)


def _check_version(binaries: Path, cluster: Path) -> None:
    made_by = (cluster / "PG_VERSION").read_text().strip()
    if binaries.parent.parent.name == "postgresql" and binaries.parent.name != made_by:
        raise Failure(
            f".run/postgres was made by PostgreSQL {made_by}; the newest one here is {binaries.parent.name}.",
            f"install PostgreSQL {made_by} again, or {ADVICE}",
        )


def _forget_stale_lock(cluster: Path) -> None:
    """Drop postmaster.pid if its process is not this cluster's server.

    After a reboot the number may belong to another process of the same user, and PostgreSQL would not start.
    """
    lock = cluster / "postmaster.pid"
    if not lock.exists():
        return
    pid = lock.read_text().splitlines()[0].strip()
    try:
        serves_us = Path(f"/proc/{pid}/cwd").resolve() == cluster
    except OSError:
        serves_us = False
    if not serves_us:
        lock.unlink()
