/** One file on its way: hashed, sent, checked. What it was told by the server is asked for anew after each stop. */

import type { Api, Described } from "./api.js";
import type { Beginnings } from "./beginnings.js";
import { cancelled, HASH_NEEDED, mismatch, NoHash, Refused, tooLargeToHash } from "./errors.js";
import { fingerprint, plain } from "./fingerprint.js";
import type { Leg } from "./leg.js";
import { sendByMultipart } from "./multipart.js";
import { Standing } from "./progress.js";
import { sendByPut } from "./put.js";
import { Store } from "./store.js";
import { pause, type Surroundings } from "./surroundings.js";
import { Tries } from "./tries.js";
import { lockWhenFree, tryLock, type Turns } from "./turns.js";
import { sendByTus } from "./tus.js";
import {
  type Hasher,
  type Progress,
  type Source,
  type Upload,
  type Uploaded,
  UploadError,
  type UploadOptions,
  type UploadState,
} from "./types.js";

/** Bytes up to which a file is hashed before it is sent, so that a store can check it against that. */
export const SMALL = 16 << 20;
/** Milliseconds between questions about what others do. */
const ASKING = 1500;
const SOON = 200;
/** Milliseconds for the farewell of an upload that was cancelled. */
const FAREWELL = 10_000;

export interface Shared {
  api: Api;
  hasher: Hasher;
  surroundings: Surroundings;
  /** What answers whenever the site does. */
  health: string;
  /** Milliseconds. */
  patience: number;
  /** Bytes. */
  hashFirstMax: number;
  beginnings: Beginnings;
  /** Of files that are read before they begin. */
  reading: Turns;
  sending: Turns;
}

/** Why a leg ends that may be followed by another one. */
class Paused extends Error {}

export class FileUpload implements Upload {
  readonly #standing: Standing;
  /** Until it is done, failed or cancelled. */
  #running: Promise<Uploaded> | undefined;
  #all = new AbortController();
  #leg = new AbortController();
  /** Set while it is paused: what goes on then. */
  #goOn: (() => void) | undefined;
  #doing: UploadState = "waiting";
  #fingerprint: Promise<string> | undefined;
  #hash: Promise<string | undefined> | undefined;
  #id: string | undefined;
  #unlock: (() => void) | undefined;
  #hasSent = false;
  /** The store knows files by nothing else. */
  #hashNeeded = false;

  constructor(
    readonly source: Source,
    readonly shared: Shared,
    readonly options: UploadOptions = {},
  ) {
    this.#standing = new Standing(source.size);
  }

  get progress(): Progress {
    return this.#standing.progress;
  }

  onProgress(listener: (progress: Progress) => void): () => void {
    return this.#standing.listen(listener);
  }

  start(): Promise<Uploaded> {
    this.#running ??= this.#run();
    return this.#running;
  }

  pause(): void {
    if (this.#running === undefined || this.#goOn !== undefined) {
      return;
    }
    this.#goOn = () => undefined;
    this.#standing.is("paused");
    this.#leg.abort(new Paused());
  }

  resume(): void {
    const goOn = this.#goOn;
    this.#goOn = undefined;
    goOn?.();
  }

  async cancel(): Promise<void> {
    const { state } = this.progress;
    if (state === "done" || state === "cancelled") {
      return;
    }
    this.#standing.is("cancelled");
    this.#all.abort(cancelled());
    await this.#running?.catch(() => undefined);
    this.#running ??= Promise.reject(cancelled());
    this.#running.catch(() => undefined);
    await this.#discard();
  }

  async #discard(): Promise<void> {
    if (this.#id !== undefined) {
      // If it does not get there, the server ends the upload by itself after a day.
      await this.shared.api.discard(this.#id, AbortSignal.timeout(FAREWELL)).catch(() => undefined);
    }
  }

  async #run(): Promise<Uploaded> {
    const { signal } = this.#all;
    try {
      for (;;) {
        await this.#notPaused(signal);
        this.#leg = new AbortController();
        const { signal: leg } = this.#leg;
        const stop = (): void => this.#leg.abort(signal.reason);
        signal.addEventListener("abort", stop);
        try {
          this.#is("waiting");
          const done = await this.#attempt(leg);
          this.#standing.sent(this.source.size);
          this.#standing.is("done");
          return done;
        } catch (error) {
          if (!(leg.reason instanceof Paused)) {
            throw error;
          }
        } finally {
          signal.removeEventListener("abort", stop);
          this.#leg.abort(); // whatever else it began
        }
      }
    } catch (error) {
      if (signal.aborted) {
        throw signal.reason;
      }
      const told = error instanceof UploadError ? error : new UploadError("server", String(error), undefined, true);
      this.#running = undefined;
      this.#goOn = undefined;
      this.#standing.is("failed", told);
      throw told;
    } finally {
      this.#unlock?.();
      this.#unlock = undefined;
    }
  }

  /** From what is known to the end. Whatever was done before is found done. */
  async #attempt(signal: AbortSignal): Promise<Uploaded> {
    const { api, beginnings, reading, sending } = this.shared;
    const { source } = this;
    const first = source.size <= SMALL || this.options.hashFirst === true || this.#hashNeeded;
    const over = beginnings.announce();
    let endTurn = (): void => undefined;
    try {
      endTurn = await reading.take(signal);
      this.#is(first ? "hashing" : "sending");
      this.#fingerprint ??= fingerprint(source, this.shared.hasher, this.#all.signal);
      const known = await this.#kept(this.#fingerprint, () => (this.#fingerprint = undefined));
      let oid = first ? await this.#hashed(known) : undefined;
      endTurn();

      const begin = (): Promise<Described> => {
        const same = oid === undefined ? { fingerprint: known } : { oid };
        return beginnings.begin({ size: source.size, filename: plain(source.name), ...same }, over, signal, ({ id }) => {
          this.#id = id;
          if (this.#all.signal.aborted) {
            void this.#discard(); // it was cancelled while it began
          }
        });
      };
      this.#is("sending");
      let now = await this.#tries(signal)
        .until(begin)
        .catch(async (error: unknown) => {
          if (!(error instanceof Refused) || error.reason !== HASH_NEEDED) {
            throw error;
          }
          this.#hashNeeded = true;
          oid = await this.#hashedFirst(known);
          return this.#tries(signal).until(begin);
        });
      if (now.state === "verified" && oid === undefined && this.#hash === undefined) {
        // Another page has sent a file that looks the same. Is it?
        this.#is("hashing");
        oid = await this.#hashed(known);
        if (oid !== undefined && oid !== now.oid) {
          now = await this.#tries(signal).until(begin);
        }
      }
      if (now.state !== "verified") {
        if (sending.areTaken) {
          this.#is("waiting");
        }
        endTurn = await sending.take(signal);
      }
      if (now.state === "open") {
        const watched = await this.#watched(now.id, signal);
        if (watched || now.offset === undefined) {
          now = { ...now, ...(await this.#tries(signal).until(() => api.show(now.id, signal))) };
        }
      }
      if (now.state === "open") {
        const unreadable = oid === undefined ? this.#beside(known) : never;
        await Promise.race([this.#send(now, begin, signal), unreadable]);
      }
      const told = await this.#complete(now, signal);
      const own = oid ?? (await this.#hash);
      if (own !== undefined && own !== told.oid) {
        this.#hash = undefined; // perhaps it was read wrong here
        throw mismatch();
      }
      return {
        uploadId: told.state === "unverified" ? null : told.id,
        oid: told.oid ?? "",
        size: source.size,
        existed: !this.#hasSent,
      };
    } finally {
      over();
      endTurn();
    }
  }

  /** For a store that knows files by their sha256 only. */
  async #hashedFirst(known: string): Promise<string> {
    const { size } = this.source;
    const { hashFirstMax, hasher } = this.shared;
    if (size <= hashFirstMax) {
      this.#is("hashing");
      const oid = await this.#hashed(known);
      if (oid !== undefined) {
        this.#is("sending");
        return oid;
      }
    }
    throw tooLargeToHash(Math.min(hashFirstMax, hasher.limit));
  }

  async #send(now: Described, again: () => Promise<Described>, signal: AbortSignal): Promise<void> {
    const { api, surroundings, health } = this.shared;
    this.#is("sending");
    const leg: Leg = {
      api,
      source: this.source,
      signal,
      tries: () => this.#tries(signal),
      sent: (bytes) => {
        this.#hasSent ||= bytes > 0;
        this.#standing.sent(bytes);
      },
      again,
      notes: surroundings.notes,
    };
    if (now.transfer === "tus") {
      await sendByTus(leg, now);
    } else if (now.transfer === "put") {
      await sendByPut(leg, new Store(leg, surroundings, health), now);
    } else if (now.transfer === "multipart") {
      await sendByMultipart(leg, new Store(leg, surroundings, health), now);
    }
  }

  async #complete(now: Described, signal: AbortSignal): Promise<Described> {
    const { api } = this.shared;
    const tries = this.#tries(signal);
    let told = now;
    let wait = SOON;
    while (told.state !== "verified" && told.state !== "unverified") {
      this.#is("checking");
      told = await tries.until(() => api.complete(now.id, undefined, signal));
      if (told.state === "received") {
        this.#standing.sent(this.source.size);
        this.#standing.checked(told.progress ?? 0);
        await pause(wait, signal);
        wait = Math.min(ASKING, wait * 2);
      }
    }
    return told;
  }

  /** Makes this the only tab that sends the file. True if another one did so until now, or to the end. */
  async #watched(id: string, signal: AbortSignal): Promise<boolean> {
    const { locks } = this.shared.surroundings;
    if (locks === undefined || this.#unlock !== undefined) {
      return false;
    }
    const name = `ckanext-publish upload ${id}`;
    this.#unlock = await tryLock(locks, name);
    if (this.#unlock !== undefined) {
      return false;
    }
    await this.#watch(locks, name, id, signal);
    return true;
  }

  async #watch(locks: LockManager, name: string, id: string, signal: AbortSignal): Promise<void> {
    const enough = new AbortController();
    lockWhenFree(locks, name, enough.signal).then(
      (unlock) => {
        if (enough.signal.aborted) {
          unlock();
        } else {
          this.#unlock = unlock;
        }
      },
      () => undefined,
    );
    try {
      this.#is("watching");
      while (this.#unlock === undefined) {
        const now = await this.#tries(signal).until(() => this.shared.api.show(id, signal));
        const parts = now.parts?.reduce((sum, part) => sum + part.size, 0);
        this.#standing.sent(now.state === "open" ? (now.offset ?? parts ?? 0) : this.source.size);
        this.#standing.checked(now.progress ?? 0);
        if (now.state !== "open" && now.state !== "received") {
          return;
        }
        await pause(ASKING, signal);
      }
    } finally {
      enough.abort();
    }
  }

  /** Hashes while the file is sent. Rejects if the file cannot be read, and never resolves. */
  async #beside(known: string): Promise<never> {
    await this.#hashed(known);
    return never;
  }

  /** Undefined if there is no way to hash it here. */
  async #hashed(known: string): Promise<string | undefined> {
    if (this.shared.hasher.limit < this.source.size) {
      return undefined;
    }
    this.#hash ??= this.#hashing(known);
    return this.#kept(this.#hash, () => (this.#hash = undefined));
  }

  async #hashing(known: string): Promise<string | undefined> {
    const told = (bytes: number): void => this.#standing.hashed(bytes);
    try {
      return await this.shared.hasher.hash(this.source.blob, told, this.#all.signal, known);
    } catch (error) {
      if (error instanceof NoHash) {
        return undefined;
      }
      throw error;
    }
  }

  /** Goes on over pauses; after an error it is done again at the next try. */
  async #kept<T>(work: Promise<T>, forget: () => void): Promise<T> {
    try {
      return await work;
    } catch (error) {
      forget();
      throw error;
    }
  }

  #tries(signal: AbortSignal): Tries {
    const { surroundings, patience } = this.shared;
    return new Tries(surroundings, signal, patience, (error) => {
      if (!signal.aborted) {
        this.#standing.is(error === undefined ? this.#doing : "offline", error);
      }
    });
  }

  #is(state: UploadState): void {
    this.#doing = state;
    if (this.#goOn === undefined && !this.#all.signal.aborted) {
      this.#standing.is(state);
    }
  }

  async #notPaused(signal: AbortSignal): Promise<void> {
    if (this.#goOn === undefined) {
      return;
    }
    this.#standing.is("paused");
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      this.#goOn = resolve;
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
  }
}

const never = new Promise<never>(() => undefined);
