"""Three datasets of real files, each with its earlier versions, published as an editor would do it.

They come with the `vega_datasets` package and are free to use. The last version of each is the file as it is,
the earlier ones are what it would have held a few years before.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.client import Client, Refused
from services.checkout import VENV
from services.progress import Failure

FILES = VENV / "samples" / "vega_datasets" / "_data"
#: The file of a dataset, called like it, that is older than the plugins (demo/before.py).
BEFORE = FILES / "airports.csv"


@dataclass(frozen=True)
class Version:
    name: str
    description: str
    #: Only records dated before this; None for the whole file.
    before: str | None = None


@dataclass(frozen=True)
class Sample:
    dataset: str
    title: str
    notes: str
    file: str
    resource: str
    #: The column or key that holds a record's date.
    date: str
    versions: tuple[Version, ...]


SAMPLES = (
    Sample(
        dataset="seattle-weather",
        title="Daily weather in Seattle",
        notes="Precipitation, temperatures and wind of each day, from NOAA's public-domain records.",
        file="seattle-weather.csv",
        resource="Daily observations",
        date="date",
        versions=(
            Version("v1", "Observations of 2012 and 2013.", before="2014"),
            Version("v2", "Adds 2014.", before="2015"),
            Version("v3", "Adds 2015: the series is complete."),
        ),
    ),
    Sample(
        dataset="us-employment",
        title="Employment in the United States by sector",
        notes="Monthly totals in thousands, seasonally adjusted, from the U.S. Bureau of Labor Statistics.",
        file="us-employment.csv",
        resource="Monthly totals",
        date="month",
        versions=(
            Version("v1", "January 2006 to December 2010: the recession.", before="2011"),
            Version("v2", "To December 2015: the recovery."),
        ),
    ),
    Sample(
        dataset="car-models",
        title="Car models and their fuel consumption",
        notes="Fuel consumption, power and weight of car models, first published by Donoho and Ramos (1982).",
        file="cars.json",
        resource="Car models",
        date="Year",
        versions=(
            Version("v1", "Models of 1970 to 1976.", before="1977"),
            Version("v2", "Models to 1982."),
        ),
    ),
)


def publish_all(editor: Client, org: str) -> int:
    """Make what is not there yet; the number of versions published."""
    return sum(_publish(editor, org, sample) for sample in SAMPLES)


def content(sample: Sample, version: Version) -> bytes:
    path = FILES / sample.file
    try:
        original = path.read_bytes()
    except FileNotFoundError:
        raise Failure(
            f"The sample file {path} is missing.", f"`rm -r {VENV.name}`, then run again."
        ) from None
    if version.before is None:
        return original
    if path.suffix == ".json":
        records = [record for record in json.loads(original) if record[sample.date] < version.before]
        return json.dumps(records, indent=3).encode()
    header, *lines = original.decode().splitlines(keepends=True)
    column = next(csv.reader([header])).index(sample.date)
    kept = [line for line in lines if next(csv.reader([line]))[column] < version.before]
    return "".join([header, *kept]).encode()


def _publish(editor: Client, org: str, sample: Sample) -> int:
    dataset = _dataset(editor, org, sample)
    # By what is released one sees how far an interrupted run came.
    released = {release["name"] for release in editor.action("dataset_release_list", dataset=sample.dataset)}
    missing = [version for version in sample.versions if version.name not in released]
    for version in missing:
        oid, _ = editor.upload(org, sample.dataset, content(sample, version))
        fields = {
            "name": sample.resource,
            "format": Path(sample.file).suffix[1:].upper(),
            "url": sample.file,
            "url_type": "upload",
            "sha256": oid,
        }
        resources: list[dict[str, Any]] = dataset["resources"]
        if resources:
            editor.action("resource_update", id=resources[0]["id"], **fields)
        else:
            resources.append(editor.action("resource_create", package_id=sample.dataset, **fields))
        editor.action(
            "dataset_release_create",
            dataset=sample.dataset,
            name=version.name,
            description=version.description,
        )
    return len(missing)


def _dataset(editor: Client, org: str, sample: Sample) -> dict[str, Any]:
    try:
        return editor.action("package_show", id=sample.dataset)
    except Refused as refused:
        if refused.status != 404:
            raise
    return editor.action(
        "package_create",
        name=sample.dataset,
        title=sample.title,
        notes=sample.notes,
        owner_org=org,
        license_id="other-pd",
    )
