/** Uploads to a running site, with what a bad network and a slow user do to them. tests/stores gives the site. */

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { NodeHasher } from "../src/hashing_node.js";
import { nodeHttp } from "../src/http_node.js";
import { nodeSurroundings, nodeUploader, sourceOf } from "../src/node.js";
import { Tokens } from "../src/tokens.js";
import type { Http, HttpRequest, Source, TokenSource, Upload, UploadState } from "../src/types.js";
import { FileUploader, scope, type Target } from "../src/uploader.js";

const site = JSON.parse(process.env.SITE ?? "null") as Target & { apiToken: string; store: "local" | "s3" };
const MiB = 1 << 20;
/** More than is hashed before it is sent; two parts at a store. */
const LARGE = 17 * MiB;
const directory = await mkdtemp(join(tmpdir(), "uploads-"));

let files = 0;
async function fileOf(size: number): Promise<{ path: string; oid: string; source: Source }> {
  files += 1;
  const path = join(directory, `file-${files}.bin`);
  const bytes = randomBytes(size);
  await writeFile(path, bytes);
  return { path, oid: createHash("sha256").update(bytes).digest("hex"), source: await sourceOf(path) };
}

const tokens = new Tokens({
  http: nodeHttp,
  siteUrl: site.siteUrl,
  scope: scope(site),
  credentials: () => ({ Authorization: site.apiToken }),
});

/** Requests that carry bytes of the file. */
const brings = ({ body }: HttpRequest): boolean => body instanceof Blob;

function through(http: Http, given: TokenSource = tokens): FileUploader {
  return new FileUploader(site, given, new NodeHasher(), { ...nodeSurroundings, http });
}

/** Counts the bytes that leave; cuts the connection of the first request that brings more than `after`. */
function counting(cutAfter = Number.POSITIVE_INFINITY): { http: Http; sent(): number; cuts(): number } {
  let before = 0;
  let cuts = 0;
  const http: Http = async (request) => {
    if (!brings(request)) {
      return nodeHttp(request);
    }
    const cut = new AbortController();
    const signal = AbortSignal.any([cut.signal, ...(request.signal ? [request.signal] : [])]);
    let last = 0;
    const count = (bytes: number): void => {
      before += bytes - last;
      last = bytes;
    };
    const { UploadError } = await import("../src/types.js");
    return nodeHttp({
      ...request,
      signal,
      onSent: (bytes) => {
        count(bytes);
        request.onSent?.(bytes);
        if (before > cutAfter && cuts === 0) {
          cuts += 1;
          cut.abort(new UploadError("network", "cut", undefined, true));
        }
      },
    });
  };
  return { http, sent: () => before, cuts: () => cuts };
}

function states(upload: Upload): UploadState[] {
  const seen: UploadState[] = [];
  upload.onProgress(({ state }) => {
    if (seen.at(-1) !== state) {
      seen.push(state);
    }
  });
  return seen;
}

/** When so much of it is on its way. */
function reached(upload: Upload, bytes: number): Promise<void> {
  return new Promise((resolve) => {
    const stop = upload.onProgress(({ sent }) => {
      if (sent >= bytes) {
        stop();
        resolve();
      }
    });
  });
}

/** Milliseconds for a MiB: slow enough that something can happen in the middle of a file. */
const MIB_TAKES = 12;
const slow =
  (http: Http): Http =>
  async (request) => {
    if (!brings(request)) {
      return http(request);
    }
    const body = request.body as Blob;
    const stream = body.stream().pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        async transform(piece, controller) {
          await new Promise((resolve) => setTimeout(resolve, (MIB_TAKES * piece.length) / MiB));
          controller.enqueue(piece);
        },
      }),
    );
    const slowly = Object.assign(Object.create(body) as Blob, { stream: () => stream });
    Object.defineProperty(slowly, "size", { value: body.size });
    return http({ ...request, body: slowly });
  };

test("files of no bytes, of one, and larger than what is sent at once", async () => {
  const uploader = nodeUploader(site);
  for (const size of [0, 1, LARGE]) {
    const { path, oid } = await fileOf(size);
    const upload = uploader.upload(await sourceOf(path));
    const seen = states(upload);
    const done = await upload.start();
    assert.deepEqual({ oid: done.oid, size: done.size }, { oid, size });
    assert.match(done.uploadId ?? "", /^[0-9a-f-]{36}$/);
    assert.equal(upload.progress.state, "done");
    assert.equal(upload.progress.sent, size);
    assert.equal(seen.at(-1), "done");
    assert.equal(seen.includes("checking"), size > 0);
  }
});

test("after a cut connection it goes on where it was", async () => {
  const { source, oid } = await fileOf(LARGE);
  const network = counting(LARGE - 2 * MiB);
  const done = await through(network.http).upload(source).start();
  assert.equal(done.oid, oid);
  assert.equal(network.cuts(), 1);
  // The part that was cut, or what was in buffers.
  assert.ok(network.sent() < LARGE + 16 * MiB + MiB, `${network.sent()} bytes were sent`);
});

test("paused, then resumed", async () => {
  const { source, oid } = await fileOf(LARGE);
  const network = counting();
  const upload = through(slow(network.http)).upload(source);
  const done = upload.start();
  await reached(upload, 2 * MiB);
  upload.pause();
  assert.equal(upload.progress.state, "paused");
  await new Promise((resolve) => setTimeout(resolve, 200));
  const sent = network.sent();
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(network.sent(), sent);
  assert.equal(upload.progress.state, "paused");
  upload.resume();
  assert.equal((await done).oid, oid);
});

test("begun again by another program, it sends the rest; and nothing once all has arrived", async () => {
  const { path, oid } = await fileOf(LARGE);
  const first = through(slow(nodeHttp)).upload(await sourceOf(path));
  first.start().catch(() => undefined);
  await reached(first, LARGE - MiB); // each part but the last, perhaps, is at the store
  first.pause();
  const second = counting();
  const done = await through(second.http).upload(await sourceOf(path)).start();
  assert.equal(done.oid, oid);
  assert.ok(second.sent() <= LARGE, `${second.sent()} bytes were sent`);
  const third = counting();
  assert.deepEqual(await through(third.http).upload(await sourceOf(path)).start(), { ...done, existed: true });
  assert.equal(third.sent(), 0);
});

test("cancelled, it is over at the server, too", async () => {
  const { source } = await fileOf(LARGE);
  let id = "";
  const http: Http = async (request) => {
    const answer = await slow(nodeHttp)(request);
    id ||= request.url.endsWith(".git/uploads") ? (JSON.parse(answer.text) as { id: string }).id : "";
    return answer;
  };
  const upload = through(http).upload(source);
  const done = assert.rejects(upload.start(), { code: "cancelled" });
  await reached(upload, MiB);
  await upload.cancel();
  await done;
  assert.equal(upload.progress.state, "cancelled");
  const token = await tokens.token();
  const answer = await nodeHttp({
    method: "GET",
    url: `${site.lfsUrl}/uploads/${id}`,
    headers: { Authorization: `Bearer ${token}` },
  });
  assert.equal((JSON.parse(answer.text) as { state: string }).state, "expired");
});

test("a token that has expired in the middle is followed by another one", async () => {
  const { source, oid } = await fileOf(MiB);
  let asked = 0;
  let fresh = 0;
  const outdated: TokenSource = {
    token: async (again) => {
      asked += 1;
      fresh += again ? 1 : 0;
      return asked > 1 && fresh === 0 ? "outdated" : tokens.token();
    },
  };
  assert.equal((await through(nodeHttp, outdated).upload(source).start()).oid, oid);
  assert.equal(fresh, 1);
});

test("somebody who may not change the dataset, and somebody who is nobody", async () => {
  const { source } = await fileOf(1);
  const elsewhere = nodeUploader({ ...site, dataset: { ...site.dataset, id: "no-such-dataset" } });
  await assert.rejects(elsewhere.upload(source).start(), { code: "forbidden" });
  const nobody = nodeUploader({ ...site, apiToken: undefined });
  await assert.rejects(nobody.upload(source).start(), { code: "logged_out" });
});

test("other bytes on the way are told, and the next try sends the right ones", async () => {
  for (const size of [MiB, LARGE]) {
    const { source, oid } = await fileOf(size);
    let tampered = false;
    const http: Http = async (request) => {
      if (brings(request) && !tampered) {
        tampered = true;
        const bytes = new Uint8Array(await (request.body as Blob).arrayBuffer());
        bytes.set(randomBytes(100));
        return nodeHttp({ ...request, body: new Blob([bytes]) });
      }
      return nodeHttp(request);
    };
    const upload = through(http).upload(source);
    await assert.rejects(upload.start(), { code: "mismatch" });
    assert.equal(upload.progress.state, "failed");
    assert.equal((await upload.start()).oid, oid);
  }
});

test("a file that changes while it is sent", async () => {
  const { path, source } = await fileOf(LARGE);
  const upload = through(slow(nodeHttp)).upload(source);
  const done = assert.rejects(upload.start(), { code: "changed" });
  await reached(upload, MiB);
  await writeFile(path, "another one");
  await utimes(path, new Date(0), new Date(0));
  await done;
});

test("a signature that the store does not accept any more is followed by another one", {
  skip: site.store === "s3" ? false : "there are no signatures without such a store",
}, async () => {
  for (const size of [MiB, LARGE]) {
    const { source, oid } = await fileOf(size);
    let spoilt = 0;
    const http: Http = (request) => {
      if (brings(request) && spoilt === 0) {
        spoilt += 1;
        const url = request.url.replace(/X-Amz-Signature=..../, "X-Amz-Signature=0000");
        assert.notEqual(url, request.url);
        return nodeHttp({ ...request, url });
      }
      return nodeHttp(request);
    };
    assert.equal((await through(http).upload(source).start()).oid, oid);
    assert.equal(spoilt, 1);
  }
});
