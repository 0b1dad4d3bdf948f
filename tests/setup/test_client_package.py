"""The npm package in a project of somebody else: what is in it, and that TypeScript takes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services import node
from tests import npm_package

PROGRAM = """
import {
  ActionError, Client, savedAs, sourceOf, UploadError, type Descriptor, type Progress, type Upload,
} from "ckanext-publish-client";

export async function publish(path: File & string): Promise<string> {
  const client = new Client(null, "organisation", "dataset", "https://data.example.org");
  const upload: Upload = client.upload(await sourceOf(path));
  upload.onProgress((progress: Progress) => console.log(progress.state, progress.sent));
  try {
    const resource = savedAs(await upload.start(), "a");
    const { result } = await client.action<{ id: string }>("resource_create", resource);
    const dataset: Descriptor = await client.retrieve("dataset");
    dataset.resources?.push({ path: result.id });
    return (await client.push(dataset)).name ?? "";
  } catch (error) {
    if (error instanceof UploadError) return error.code;
    throw error instanceof ActionError ? new Error(String(error.status)) : error;
  }
}
"""


def test_it_has_what_it_is_made_of_and_nothing_else():
    package = npm_package.project() / "node_modules" / npm_package.NAME
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert {"package.json", "README.md", "dist/index.js", "dist/index.d.ts", "dist/hash_worker.js"} <= files
    assert {name for name in files if not name.startswith("dist/")} == {"package.json", "README.md"}
    assert set(json.loads((package / "package.json").read_text())["dependencies"]) == {"hash-wasm"}


@pytest.mark.parametrize("where", ["browser", "node"])
def test_typescript_takes_it(where: str, tmp_path: Path):
    (tmp_path / "node_modules").symlink_to(npm_package.project() / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "program.ts").write_text(PROGRAM)
    options = {
        "strict": True,
        "noEmit": True,
        "target": "es2022",
        "lib": ["es2022", "dom", "dom.iterable"],
        **(
            {"module": "esnext", "moduleResolution": "bundler"}
            if where == "browser"
            else {"module": "nodenext"}
        ),
        "types": [],
    }
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["program.ts"]}))
    node.run(node.TSC, "--project", str(tmp_path))


READING = """
import { sourceOf } from "ckanext-publish-client";
import { appendFile } from "node:fs/promises";
import { text } from "node:stream/consumers";

const path = JSON.parse(await text(process.stdin));
const { size, name, blob } = await sourceOf(path);
const around = blob.slice(2 ** 32 - 3, 2 ** 32 + 3);
const answer = { size, name, around: await around.text(), end: await blob.slice(-4).text() };
answer.streamed = [await text(around.stream()), around.slice(1, -1).size, blob.slice(size, size + 9).size];
await appendFile(path, "more");
answer.changed = await around.text().catch((error) => error.code);
console.log(JSON.stringify(answer));
"""


def test_files_in_node_may_be_larger_than_node_s_own_blobs(tmp_path: Path):
    """`fs.openAsBlob` takes sizes modulo 4 GiB."""
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.seek((1 << 32) - 3)
        file.write(b"abcdef")
        file.seek(5 << 30)
        file.write(b"end.")
    (tmp_path / "program").mkdir()
    assert npm_package.run(READING, tmp_path / "program", str(large)) == {
        "size": (5 << 30) + 4,
        "name": "large.bin",
        "around": "abcdef",
        "end": "end.",
        "streamed": ["abcdef", 4, 0],
        "changed": "changed",
    }
