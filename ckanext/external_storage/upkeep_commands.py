"""What an administrator runs: check, stats, verify, cleanup."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import click
from ckan import model as ckan_model

from ckanext.authz_service.command_output import answer, count, progress, report
from ckanext.external_storage import checks, config, errors, jobs, references
from ckanext.external_storage.sizes import readable
from ckanext.external_storage.transfer import garbage, standing, statistics, sweeping, verifying
from ckanext.external_storage.transfer.garbage import Garbage
from ckanext.external_storage.transfer.verifying import Which

as_json = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


@contextmanager
def told() -> Iterator[None]:
    """What the store refuses is an error text of the command."""
    try:
        yield
    except errors.StorageError as error:
        raise click.ClickException(str(error)) from error


@click.command()
@click.option("--slow", is_flag=True, help="Also send a file through ckan.site_url for more than a minute.")
def check(slow: bool) -> None:
    """Say what is wrong with the set-up and how to repair it. Fails if anything is.

    Run it as the user CKAN runs as, while the site runs.
    """
    report({**checks.CHECKS, **(checks.SLOW_CHECKS if slow else {})})


@click.command()
@click.option(
    "--limit", type=click.IntRange(0, 1000), default=10, show_default=True, help="Organisations to list."
)
@as_json
def stats(limit: int, as_json: bool) -> None:
    """Say how much is stored, for whom, and how much of it nobody needs."""
    engine = config.engine()
    found = statistics.summary(engine, limit)
    try:
        others, grace = references.of_plugins(engine), config.gc_grace()
        found["unreferenced"] = asdict(garbage.found(engine, others, timedelta(0)))
        found["garbage"] = asdict(garbage.found(engine, others, grace))
    except errors.ReferencesUnknown as error:
        found["unreferenced"] = found["garbage"] = None
        click.echo(f"What is needed cannot be said: {error}", err=True)
    if as_json:
        answer(found)
        return
    lines = {
        "objects": _amount(found["objects"]),
        "links": _amount(found["links"]),
        **{f"uploads {state}": _amount(found["uploads"][state]) for state in sorted(found["uploads"])},
        "keys to delete": f"{found['dead_keys']:>12,}",
    }
    for label, key in (("unreferenced links", "unreferenced"), ("of these garbage", "garbage")):
        if found[key]:
            lines[label] = f"{found[key]['links']:>12,}  {readable(found[key]['bytes']):>12}"
    for label, text in lines.items():
        click.echo(f"{label + ':':<22}{text}")
    for each in found["organizations"]:
        click.echo(f"{_amount({**each, 'count': each['objects']})}  {each['name'] or each['id'] or '(none)'}")


def _amount(found: dict[str, Any]) -> str:
    return f"{found['count']:>12,}  {readable(found['bytes']):>12}"


@click.command()
@click.option("--dataset", help="Only files of this dataset (name or id).")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="Only files that came, or were used in a save, since then (UTC).",
)
@click.option(
    "--checkpoint",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Note in this file how far it is; the same command goes on from there. Removed at the end.",
)
@as_json
def verify(dataset: str | None, since: datetime | None, checkpoint: Path | None, as_json: bool) -> None:
    """Read all files and compare them with their sha256. Fails if one is missing or differs.

    It only reads, and the site may be used meanwhile.
    """
    package_id = _dataset_id(dataset) if dataset else None
    asked = {"dataset": package_id, "since": since.isoformat() if since else None}
    point = _Checkpoint.load(checkpoint, asked)
    which = Which(point.after, package_id, since.replace(tzinfo=timezone.utc) if since else None)
    engine = config.engine()
    total = verifying.count(engine, which)
    with told(), point.kept(), progress("Reading files", total) as advance:
        for checked in verifying.check(engine, config.store(), which):
            point.note(checked)
            if checked.what != "well" and not as_json:
                click.echo(_finding_line(point.findings[-1]))
            advance(1)
    point.forget()
    if as_json:
        answer({"files": point.files, "bytes": point.bytes, "findings": point.findings})
    else:
        findings = count(len(point.findings), "finding") if point.findings else "well"
        click.echo(f"Read {count(point.files, 'file')}, {readable(point.bytes)}: {findings}.")
    if point.findings:
        # Not a ClickException: what is wrong has been said, and stdout may be JSON.
        raise click.exceptions.Exit(1)


def _finding_line(finding: dict[str, Any]) -> str:
    names = ", ".join(finding["datasets"]) or "no dataset"
    return f"{finding['what']}  {finding['oid']}  {finding['size']} bytes, of {names}"


def _dataset_id(name_or_id: str) -> str:
    package = ckan_model.Package.get(name_or_id)
    if package is None:
        raise click.ClickException(f"There is no dataset {name_or_id!r}.")
    return package.id


class _Checkpoint:
    """How far `verify` is, and what it has found, in a file if there is one."""

    def __init__(self, path: Path | None, asked: dict[str, Any]):
        self.path, self.asked = path, asked
        self.after, self.files, self.bytes = ("", ""), 0, 0
        self.findings: list[dict[str, Any]] = []
        self._written = 0.0

    @classmethod
    def load(cls, path: Path | None, asked: dict[str, Any]) -> _Checkpoint:
        point = cls(path, asked)
        if path is None or not path.exists():
            return point
        try:
            known = json.loads(path.read_text())
            if known["asked"] != asked:
                raise click.ClickException(f"{path} is of a command with other options. Use another file.")
            oid, key = known["after"]
            point.after, point.files, point.bytes = (oid, key), known["files"], known["bytes"]
            point.findings = known["findings"]
        except (OSError, ValueError, KeyError, TypeError):
            raise click.ClickException(f"{path} is no file of this command. Use another one.") from None
        click.echo(f"Going on after {count(point.files, 'file')}.", err=True)
        return point

    def note(self, checked: verifying.Checked) -> None:
        self.after = checked.oid, checked.key
        self.files, self.bytes = self.files + 1, self.bytes + checked.size
        if checked.what != "well":
            finding = {"oid": checked.oid, "size": checked.size, "what": checked.what}
            self.findings.append({**finding, "datasets": list(map(_dataset_name, checked.package_ids))})
        now = time.monotonic()
        if now - self._written >= 1:
            self._write()
            self._written = now

    @contextmanager
    def kept(self) -> Iterator[None]:
        """However this ends, what was done is in the file."""
        try:
            yield
        finally:
            self._write()

    def _write(self) -> None:
        if self.path is not None:
            known = {name: getattr(self, name) for name in ("asked", "after", "files", "bytes", "findings")}
            new = self.path.with_name(f"{self.path.name}.new")
            new.write_text(json.dumps(known))
            os.replace(new, self.path)

    def forget(self) -> None:
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _dataset_name(package_id: str) -> str:
    package = ckan_model.Package.get(package_id)
    return package.name if package else package_id


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@click.option(
    "--grace",
    type=click.IntRange(1),
    metavar="DAYS",
    help="Keep what was used so recently. [default: ckanext.external_storage.gc_grace]",
)
@as_json
def cleanup(dry_run: bool, grace: int | None, as_json: bool) -> None:
    """End uploads that were never finished, and remove files that nobody needs. Run it every hour.

    It can be stopped at any moment: run it again, and it goes on. The site may be used meanwhile.
    """
    engine, kept_for = config.engine(), timedelta(days=grace) if grace else config.gc_grace()
    removed, deleted, failure = Garbage(), 0, None
    try:
        others = references.of_plugins(engine)
        expected = garbage.found(engine, others, kept_for)
        if dry_run:
            removed = expected
        else:
            with progress("Removing", expected.links + expected.objects) as advance:
                removed = _collected(engine, others, kept_for, advance)
    except errors.ReferencesUnknown as error:
        failure = error  # uploads that were never finished end all the same
    with told():
        if not dry_run:
            with engine.connect() as connection:
                now = standing.database_now(connection)
            deleted = sweeping.sweep(engine, config.store(), now, jobs.check_later)
    if as_json:
        answer({"dry_run": dry_run, **asdict(removed), "keys_deleted": deleted})
    else:
        would = "Would remove" if dry_run else "Removed"
        click.echo(
            f"{would} {count(removed.links, 'link')} and {count(removed.objects, 'object')}"
            f" ({readable(removed.bytes)})."
        )
        if not dry_run:
            click.echo(f"Deleted {count(deleted, 'unused key')} for good.")
    if failure:
        raise click.ClickException(str(failure)) from failure


def _collected(engine: Any, others: Any, grace: timedelta, advance: Callable[[int], None]) -> Garbage:
    removed = Garbage()
    for gone in garbage.collect(engine, others, grace, datetime.now(timezone.utc)):
        removed += gone
        advance(gone.links + gone.objects)
    return removed
