"""``ckan versioning …``"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import ckantoolkit as tk
import click
from ckan import model
from ckan.cli import db

from ckanext.authz_service.command_output import answer, count, progress
from ckanext.versioning import catching_up, pins, reading, recording, statistics, taking_in, verifying
from ckanext.versioning.command_output import NeedsTables
from ckanext.versioning.logic.schema import LIMIT, MAX_LIMIT

__all__ = ["versioning"]

#: Findings of one dataset that `verify` tells.
MAX_FINDINGS = 100

as_json = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


class _Group(click.Group):
    command_class = NeedsTables


@click.group(short_help="History of datasets.", cls=_Group)
def versioning() -> None:
    """History of datasets: what they were, and what is recorded of them."""


@versioning.command(cls=click.Command)
@click.pass_context
def init(ctx: click.Context) -> None:
    """Make the plugin's tables, or bring them up to date."""
    ctx.invoke(
        db.upgrade, version="head", plugin=recording.loaded_name(), skip_core=False, skip_plugins=False
    )
    if missing := catching_up.without_history():
        click.echo(
            f"{count(missing, 'dataset has', 'datasets have')} no history yet. Each gets one with its next "
            "change; to make it now, run: ckan versioning backfill"
        )
    click.echo("If CKAN runs already: changes are recorded from now on, no restart is needed.")


@versioning.command()
@click.option("--dry-run", is_flag=True, help="Say how many there are, and record nothing.")
@as_json
def backfill(dry_run: bool, as_json: bool) -> None:
    """Record every dataset that has no history yet, as its first revision.

    It can be stopped at any moment: run it again, and it goes on. The site may be used meanwhile.
    """
    total = catching_up.without_history()
    recorded, failed = 0, {}
    if not dry_run:
        with progress("Recording datasets", total) as advance:
            for batch in catching_up.backfill():
                recorded += len(batch.recorded)
                failed.update({failure.package_id: failure.reason for failure in batch.failed})
                advance(len(batch.recorded))
    left = total if dry_run else catching_up.without_history()
    if as_json:
        failures = [{"id": id, "reason": reason} for id, reason in failed.items()]
        answer({"dry_run": dry_run, "recorded": recorded, "without_history": left, "failed": failures})
    elif dry_run:
        click.echo(
            f"{count(left, 'dataset has', 'datasets have')} no history: without --dry-run, they get one."
        )
    else:
        click.echo(f"Recorded {count(recorded, 'dataset')}.")
    for id, reason in failed.items():
        click.echo(f"Not recorded: {id}: {reason}", err=True)
    if failed:
        raise click.ClickException(
            f"{count(len(failed), 'dataset')} could not be read by CKAN or one of its plugins (the log has "
            "the details). The others are recorded. Repair these, and run the command again."
        )
    if left and not dry_run:
        raise click.ClickException(
            f"{count(left, 'dataset was', 'datasets were')} being saved by somebody all the time. "
            "Run the command again."
        )


@versioning.command("take-in")
@click.option("--dry-run", is_flag=True, help="Say how many there are, and copy nothing.")
@as_json
def take_in(dry_run: bool, as_json: bool) -> None:
    """Copy files of CKAN's own FileStore, which revisions refer to, into the object store.

    Background jobs do that after each save; this does what they have left. It can be stopped at any moment:
    run it again, and it goes on. The files themselves are only read.
    """
    if not reading.has_files():
        raise click.ClickException("The site has no object store: add external_storage to ckan.plugins.")
    files = pins.waiting(model.Session)
    model.Session.remove()
    taken, left = 0, list[tuple[pins.Pinned, str]]()
    if not dry_run:
        with progress("Taking in files", len(files)) as advance:

            def note(file: pins.Pinned, outcome: taking_in.Outcome) -> None:
                if outcome in taking_in.WHY:
                    left.append((file, outcome))
                advance(1)

            taken = _taken_in(note)
    if as_json:
        rows = [
            {"package_id": file.package_id, "resource_id": file.resource_id, "reason": reason}
            for file, reason in left
        ]
        size = sum(file.mark.size for file in files)
        answer({"dry_run": dry_run, "waiting": len(files), "bytes": size, "taken": taken, "left": rows})
    elif dry_run:
        click.echo(f"{count(len(files), 'file waits', 'files wait')}: without --dry-run, they are taken in.")
    else:
        click.echo(f"Took in {count(taken, 'file')}.")
    for file, reason in left:
        why = taking_in.WHY[reason]
        click.echo(f"Not taken in: {file.resource_id} of dataset {file.package_id}: {why}", err=True)


@versioning.command()
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@click.option("--dry-run", is_flag=True, help="Say which they are, and record nothing.")
@click.option(
    "--remove-gone", is_flag=True, help="Remove the history of datasets that do not exist any more."
)
@as_json
def reconcile(datasets: tuple[str, ...], dry_run: bool, remove_gone: bool, as_json: bool) -> None:
    """Record what was changed by SQL, or while the plugin was off, in these datasets (default: in all).

    Each DATASET (a name or an id) that has a history is compared with its newest revision.
    """
    found: list[catching_up.Compared] = []
    ids, total = _ids(datasets)
    with progress("Comparing datasets", total) as advance:
        for compared in catching_up.reconcile(ids, write=not dry_run, remove_gone=remove_gone):
            if compared.outcome != "same":
                found.append(compared)
            advance(1)
    by = {kind: [c for c in found if c.outcome == kind] for kind in ("changed", "gone", "failed")}
    if as_json:
        lists = {
            kind: [{"id": c.package_id, "seq": c.seq, "reason": c.reason} for c in each]
            for kind, each in by.items()
        }
        answer({"dry_run": dry_run, "removed_gone": remove_gone and not dry_run, **lists})
    else:
        done = "differ from their newest revision" if dry_run else "recorded"
        click.echo(f"{count(len(by['changed']), 'dataset')} {done}.")
        for c in by["changed"]:
            click.echo(f"{c.package_id}  {f'r{c.seq}' if c.seq else 'changed'}")
        removed = remove_gone and not dry_run
        for c in by["gone"]:
            click.echo(f"{c.package_id}  gone{', history removed' if removed else ''}")
        if by["gone"] and not remove_gone:
            click.echo("What is gone was purged without CKAN. To remove its history too: --remove-gone")
    for c in by["failed"]:
        click.echo(f"Not compared: {c.package_id}: {c.reason}", err=True)
    if by["failed"]:
        raise click.ClickException(
            f"{count(len(by['failed']), 'dataset')} could not be read by CKAN or one of its plugins "
            "(the log has the details). Repair these, and run the command again."
        )


@versioning.command()
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@click.option("--site", is_flag=True, help="Every dataset that has a history.")
@as_json
def verify(datasets: tuple[str, ...], site: bool, as_json: bool) -> None:
    """Check that nothing in the history of DATASETs was changed, lost or slipped in. Fails if anything was.

    A DATASET is a name or an id.
    """
    if bool(datasets) == site:
        raise click.UsageError("Give names or ids of datasets, or --site for all of them.")
    ids, total = _ids(datasets)
    findings, checked = 0, 0
    told: list[dict[str, Any]] = []
    with progress("Checking datasets", total) as advance:
        for id in ids:
            for finding in islice(verifying.findings(id), MAX_FINDINGS):
                findings += 1
                if as_json:
                    told.append({"code": finding.code, "id": id, "seq": finding.seq, "text": finding.text})
                else:
                    click.echo(f"{id}  {finding.code}: {finding.text}")
            checked += 1
            advance(1)
    if as_json:
        answer({"datasets": checked, "findings": told})
    else:
        click.echo(
            f"Checked {count(checked, 'dataset')}: {count(findings, 'finding') if findings else 'well'}."
        )
    if findings:
        # Not a ClickException: what is wrong has been said, and stdout may be JSON.
        raise click.exceptions.Exit(1)


def _ids(datasets: tuple[str, ...]) -> tuple[Iterable[str], int]:
    """Their ids, or those of all that have a history if none is given; and how many they are."""
    if not datasets:
        return catching_up.ids_with_history(), catching_up.with_history()
    ids = [_known_id(dataset) for dataset in datasets]
    return ids, len(ids)


def _known_id(name_or_id: str) -> str:
    package = model.Package.get(name_or_id)
    if package is None and not catching_up.has_history(name_or_id):
        raise click.ClickException(f"There is no dataset {name_or_id!r}, and no history of one.")
    return package.id if package else name_or_id


@versioning.command()
@click.argument("dataset")
@click.option("--all", "every", is_flag=True, help="Every revision; otherwise one line for each changeset.")
@click.option(
    "--limit", type=click.IntRange(1, MAX_LIMIT), default=LIMIT, show_default=True, help="How many."
)
@click.option("--before", type=click.IntRange(1), help="Only revisions with a lower number.")
@as_json
def log(dataset: str, every: bool, limit: int, before: int | None, as_json: bool) -> None:
    """List revisions of DATASET (a name or an id), the newest first."""
    asked = {"id": dataset, "all": every, "limit": limit, **({"before_seq": before} if before else {})}
    found = _call("dataset_revision_list", **asked)
    if as_json:
        answer(found)
        return
    for revision in found:
        author = (revision["author"] or {}).get("name") or "-"
        message = (revision["message"] or "").partition("\n")[0]
        names = f"[{', '.join(revision['releases'])}]" if revision["releases"] else ""
        parts = [f"r{revision['seq']}", revision["created"][:19] + "Z", revision["origin"], author]
        click.echo("  ".join([*parts, *filter(None, [names, message])]))
    if not found:
        click.echo(
            "No revision yet: it gets one with its next change, or by: ckan versioning backfill", err=True
        )


@versioning.command()
@click.argument("dataset")
@click.argument("ref")
def show(dataset: str, ref: str) -> None:
    """Show DATASET (a name or an id) as it was in the revision REF, in JSON.

    REF is the name of a release, latest, head, head~1, r1, a time like 2026-05-01T12:00Z, or an id.
    """
    answer(_call("package_show", id=dataset, revision_ref=ref))


@versioning.command()
@click.argument("dataset")
@click.argument("name")
@click.option("--ref", default="head", show_default=True, help="Which revision, as in: ckan versioning show")
@click.option("--title", help="Free text to show instead of the name.")
@click.option("--notes", default="", help="What there is to say about it.")
@click.option("--user", help="Name or id of the user who makes it. [default: the site itself]")
@as_json
def release(
    dataset: str, name: str, ref: str, title: str | None, notes: str, user: str | None, as_json: bool
) -> None:
    """Name a revision of DATASET (a name or an id).

    Whoever may read the dataset can then read that revision and its files.
    """
    asked = {
        "dataset": dataset,
        "name": name,
        "revision_ref": ref,
        "title": title or "",
        "description": notes,
    }
    made = _call("dataset_release_create", user, **asked)
    if as_json:
        answer(made)
    else:
        click.echo(f"Released r{made['seq']} of {dataset} as {made['name']}.")


@versioning.command()
@click.option(
    "--limit", type=click.IntRange(0, 1000), default=10, show_default=True, help="Largest histories."
)
@as_json
def stats(limit: int, as_json: bool) -> None:
    """Say how much history there is, and how much room it takes."""
    found = statistics.summary(limit)
    if as_json:
        answer(found)
        return
    each = found["bytes_per_revision"]
    lines = {
        "datasets with history": found["datasets"]["with_history"],
        "datasets without": found["datasets"]["without_history"],
        "revisions": found["revisions"],
        "releases": found["releases"],
        "bytes on disk": found["bytes"],
        "bytes per revision": "-" if each is None else each,
    }
    for label, number in lines.items():
        click.echo(f"{label + ':':<24}{number:>14}")
    if found["largest"]:
        click.echo("largest histories (revisions, bytes, dataset):")
    for history in found["largest"]:
        click.echo(f"{history['revisions']:>10}{history['bytes']:>14}  {history['name'] or history['id']}")


def _taken_in(progress: Any) -> int:
    from ckanext.external_storage.errors import StorageError  # versioning also runs without it

    try:
        return taking_in.take_in(progress=progress)["taken"]
    except StorageError as error:
        raise click.ClickException(f"{error} What was taken in stays; run the command again.") from error


def _call(action: str, user: str | None = None, **data: Any) -> Any:
    """The action as *user* (name or id), by default as the site's own user."""
    if user is None:
        name = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
    else:
        found = model.User.get(user)
        if found is None or found.state != "active":
            raise click.ClickException(f"There is no active user {user!r}.")
        name = found.name
    return tk.get_action(action)({"user": name}, data)
