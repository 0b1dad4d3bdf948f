/** What needs no server: when to try again, what answers mean, who is next. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Refused, refusal } from "../src/errors.js";
import { fingerprint } from "../src/fingerprint.js";
import { NodeHasher } from "../src/hashing_node.js";
import type { Leg } from "../src/leg.js";
import { Standing } from "../src/progress.js";
import { Store } from "../src/store.js";
import { notesInMemory, type Surroundings } from "../src/surroundings.js";
import { Tokens } from "../src/tokens.js";
import { Tries } from "../src/tries.js";
import { Turns } from "../src/turns.js";
import { sendByTus } from "../src/tus.js";
import { type Http, type HttpAnswer, type Source, UploadError } from "../src/types.js";
import { FileUploader } from "../src/uploader.js";

const signal = new AbortController().signal;
const network = (): UploadError => new UploadError("network", "away", undefined, true);

function answer(status: number, message?: object | string, headers: Record<string, string> = {}): HttpAnswer {
  return {
    status,
    header: (name) => headers[name] ?? null,
    text: typeof message === "string" ? message : JSON.stringify(message ?? {}),
  };
}

/** A network that comes back as soon as somebody waits for it. */
function surroundings(http: Http, more: Partial<Surroundings> = {}): Surroundings {
  return {
    http,
    online: () => true,
    onOnline: (listener) => {
      const timer = setTimeout(listener, 0);
      return () => clearTimeout(timer);
    },
    notes: notesInMemory(),
    ...more,
  };
}

const nothing: Http = () => Promise.reject(network());

function sourceOf(text: string, name = "a.csv"): Source {
  return { name, size: text.length, type: "", lastModified: 1, blob: new Blob([text]) };
}

test("an answer that is an error says what it is", () => {
  const told = refusal(answer(507, { code: "quota_exceeded", message: "Too much." }));
  assert.ok(told instanceof Refused);
  assert.deepEqual([told.code, told.message, told.status, told.retriable], ["quota", "Too much.", 507, false]);
  for (const [status, message, code] of [
    [403, {}, "forbidden"],
    [404, { code: "upload_not_found" }, "over"],
    [410, {}, "over"],
    [422, { code: "checksum_mismatch" }, "mismatch"],
    [429, { code: "too_many_uploads" }, "too_many"],
    [502, "<html>", "server"],
    [503, { code: "no_worker" }, "no_worker"],
    [507, { code: "store_full" }, "full"],
  ] as const) {
    assert.equal(refusal(answer(status, message)).code, code);
  }
  const proxy = refusal(answer(413, "<html>"));
  assert.match(proxy.message, /client_max_body_size/);
  assert.equal(refusal(answer(503, {}, { "Retry-After": "7" })).after, 7);
});

test("a network that is away is waited for, and told from the second time on", async () => {
  const told: (string | undefined)[] = [];
  const tries = new Tries(surroundings(nothing), signal, Number.POSITIVE_INFINITY, (error) => told.push(error?.code));
  let left = 20;
  const work = (): Promise<string> => {
    left -= 1;
    return left > 0 ? Promise.reject(network()) : Promise.resolve("there");
  };
  assert.equal(await tries.until(work), "there");
  assert.deepEqual(told, [...Array<string>(18).fill("network"), undefined]);
});

test("patience ends, and what no waiting helps is not tried again", async () => {
  const tries = new Tries(surroundings(nothing), signal, -1, () => undefined);
  await assert.rejects(tries.after(network()), { code: "network" });
  const patient = new Tries(surroundings(nothing), signal, Number.POSITIVE_INFINITY, () => undefined);
  for (const code of ["mismatch", "over", "logged_out"] as const) {
    await assert.rejects(patient.after(new UploadError(code, "", 400, true)), { code });
  }
  let asked = 0;
  const broken = (): Promise<never> => {
    asked += 1;
    return Promise.reject(new UploadError("server", "broken", 500, true));
  };
  await assert.rejects(patient.until(broken), { status: 500 });
  assert.equal(asked, 6);
});

test("waiting ends with the upload", async () => {
  const end = new AbortController();
  const quiet = surroundings(nothing, { onOnline: () => () => undefined });
  const waiting = new Tries(quiet, end.signal, Number.POSITIVE_INFINITY, () => undefined).after(network());
  end.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
});

test("turns go round in order, also past somebody who has gone", async () => {
  const turns = new Turns(1);
  const first = await turns.take(signal);
  const gone = new AbortController();
  const second = turns.take(gone.signal);
  const third = turns.take(signal);
  gone.abort(new Error("gone"));
  await assert.rejects(second, /gone/);
  first();
  first();
  const end = await third;
  end();
  (await turns.take(signal))();
});

test("a file is known by its name, size, time and beginning", async () => {
  const known = async (source: Source): Promise<string> => fingerprint(source, new NodeHasher(), signal);
  const first = await known(sourceOf("abc"));
  assert.equal(await known(sourceOf("abc")), first);
  const others = [
    sourceOf("abd"),
    sourceOf("abcd"),
    sourceOf("abc", "b.csv"),
    { ...sourceOf("abc"), lastModified: 2 },
  ];
  assert.equal(new Set([first, ...(await Promise.all(others.map(known)))]).size, 5);
  const strange = await known(sourceOf("abc", "\ud800\0".repeat(400)));
  assert.ok(strange.length < 500 && !/[\ud800\0]/u.test(strange));
});

test("one token serves many; a fresh one is asked for once, by however many", async () => {
  let asked = 0;
  const claims = btoa(JSON.stringify({ iat: 5_000_000_000, exp: 5_000_000_900 }));
  const tokens = new Tokens({
    http: async () => {
      asked += 1;
      return answer(200, { result: { token: `h.${claims}.${asked}`, user_id: "u" } });
    },
    siteUrl: "https://site.example",
    scope: "obj:o/d/*:write",
    credentials: () => ({}),
  });
  const [first, same] = await Promise.all([tokens.token(), tokens.token()]);
  assert.equal(first, same);
  assert.equal(await tokens.token(), first);
  const fresh = await Promise.all([tokens.token(true), tokens.token(true)]);
  assert.deepEqual(new Set(fresh).size, 1);
  assert.notEqual(fresh[0], first);
  assert.equal(asked, 2);
});

test("a page that was open for too long asks with what a new copy of it carries", async () => {
  const again: boolean[] = [];
  const tokens = new Tokens({
    http: async () => (again.length < 2 ? answer(400, "<html>") : answer(200, { result: { token: "a.e30.c" } })),
    siteUrl: "https://site.example",
    scope: "obj:o/d/*:write",
    credentials: (refused) => {
      again.push(refused);
      return {};
    },
  });
  assert.equal(await tokens.token(), "a.e30.c");
  assert.deepEqual(again, [false, true]);
});

function leg(source: Source, ask: (method: string, start: number, body: Blob) => HttpAnswer, there: () => number) {
  const sent: number[] = [];
  const api = {
    show: async () => ({ state: "open", offset: there() }),
    ask: async (request: { method: string; headers: Record<string, string>; body: Blob }) => {
      const told = ask(request.method, Number(request.headers["Upload-Offset"]), request.body);
      if (told.status >= 400) {
        throw refusal(told);
      }
      return told;
    },
  };
  const made = {
    api,
    source,
    signal,
    tries: () => new Tries(surroundings(nothing), signal, Number.POSITIVE_INFINITY, () => undefined),
    sent: (bytes: number) => sent.push(bytes),
  } as unknown as Leg;
  return { made, sent };
}

test("a server in front that limits requests gets smaller ones", async () => {
  const limit = 3 << 20;
  const source = sourceOf("x".repeat(10 << 20));
  let there = 0;
  const pieces: number[] = [];
  const { made } = leg(
    source,
    (_, start, body) => {
      if (body.size > limit) {
        return answer(413, "<html>");
      }
      assert.equal(start, there);
      there += body.size;
      pieces.push(body.size);
      return answer(204, "", { "Upload-Offset": String(there) });
    },
    () => there,
  );
  await sendByTus(made, { id: "u", state: "open", transfer: "tus", size: source.size, href: "/tus", offset: 0 });
  assert.equal(there, source.size);
  assert.ok(Math.max(...pieces) <= limit && pieces.length < 20);
});

test("a store that answers others, but never this page, misses a CORS rule", async () => {
  const silent = (answers: (url: string) => boolean, http = nothing) => {
    const around = surroundings(http, { answers: async (url) => answers(url) });
    const { made } = leg(sourceOf("abc"), () => answer(500), () => 0);
    const store = new Store(made, around, "https://site.example/lfs/health");
    const put = (): Promise<unknown> =>
      store.put({ href: "https://store.example/key?signed", header: {} }, 0, 3, () => undefined);
    return put;
  };
  const forbidding = silent(() => true);
  await assert.rejects(forbidding(), { code: "network" });
  await assert.rejects(forbidding(), (error: UploadError) => {
    assert.equal(error.code, "cors");
    assert.match(error.message, /https:\/\/store\.example.*AllowedOrigins/);
    assert.doesNotMatch(error.message, /signed/);
    return true;
  });
  const away = silent((url) => url.includes("site"));
  await assert.rejects(away(), { code: "network" });
  await assert.rejects(away(), { code: "network" });

  let back = false;
  const returning = silent(() => back);
  await assert.rejects(returning(), { code: "network" });
  back = true; // just after the second try
  await assert.rejects(returning(), { code: "network" });

  const cut = silent(() => true, ({ onSent }) => (onSent?.(2), Promise.reject(network())));
  await assert.rejects(cut(), { code: "network" });
  await assert.rejects(cut(), { code: "network" });
});

test("what is told while sending: at once what changes, in between what moves", async () => {
  const standing = new Standing(100);
  const told: string[] = [];
  standing.listen(({ state, sent }) => told.push(`${state} ${sent}`));
  standing.is("sending");
  for (let bytes = 1; bytes <= 50; bytes += 1) {
    standing.sent(bytes);
  }
  standing.is("sending");
  assert.deepEqual(told, ["sending 0"]);
  standing.is("paused");
  assert.deepEqual(told, ["sending 0", "paused 50"]);
});

test("an upload that is cancelled while it begins is ended at the server", async () => {
  const asked: string[] = [];
  let begun = (_answer: HttpAnswer): void => assert.fail("nothing was begun");
  const http: Http = ({ method, url }) => {
    asked.push(`${method} ${new URL(url).pathname}`);
    return method === "POST" ? new Promise((resolve) => (begun = resolve)) : Promise.resolve(answer(200));
  };
  const target = { siteUrl: "http://site", lfsUrl: "http://site/lfs", dataset: { id: "d" } };
  const tokens = { token: () => Promise.resolve("t") };
  const upload = new FileUploader(target, tokens, new NodeHasher(), surroundings(http)).upload(sourceOf("text"));
  const ended = assert.rejects(upload.start(), { code: "cancelled" });
  while (asked.length === 0) {
    await new Promise(setImmediate);
  }
  await upload.cancel();
  await ended;
  begun(answer(201, { id: "u", state: "open", transfer: "tus", size: 4, new: true }));
  await new Promise(setImmediate);
  assert.deepEqual(asked, ["POST /lfs/ckan/d.git/uploads", "DELETE /lfs/uploads/u"]);
});
