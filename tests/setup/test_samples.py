"""The sample files are real: the last version is the original, the earlier ones are parts of it."""

from __future__ import annotations

import csv
import io
import itertools
import json

import pytest

from demo.samples import FILES, SAMPLES, content

IDS = [sample.dataset for sample in SAMPLES]


def records(sample, version):
    data = content(sample, version)
    if sample.file.endswith(".json"):
        return json.loads(data)
    return list(csv.DictReader(io.StringIO(data.decode())))


@pytest.mark.parametrize("sample", SAMPLES, ids=IDS)
def test_the_last_version_is_the_file_byte_for_byte(sample):
    assert content(sample, sample.versions[-1]) == (FILES / sample.file).read_bytes()


@pytest.mark.parametrize("sample", SAMPLES, ids=IDS)
def test_each_version_adds_to_the_one_before(sample):
    versions = [records(sample, version) for version in sample.versions]
    assert len(versions) >= 2
    for earlier, later in itertools.pairwise(versions):
        assert 0 < len(earlier) < len(later)
        assert all(record in later for record in earlier)
