/** sha256 in a browser: by a worker, or at once by the browser itself where WebAssembly is forbidden. */

import { changed, NoHash } from "./errors.js";
import type { FromWorker, ToWorker } from "./hash_messages.js";
import type { Hasher } from "./types.js";

/** Bytes that are hashed at once, in memory, where no worker can do it in pieces. */
export const IN_MEMORY = 64 << 20;


export class BrowserHasher implements Hasher {
  #streams = true;

  /** `workerUrl`: of `hash_worker.js`, on this origin. */
  constructor(readonly workerUrl: string) {}

  get limit(): number {
    if (this.#streams) {
      return Number.POSITIVE_INFINITY;
    }
    // Browsers have it on pages that came by https only.
    return globalThis.crypto?.subtle === undefined ? 0 : IN_MEMORY;
  }

  async hash(
    blob: Blob,
    onBytes: (hashed: number) => void,
    signal: AbortSignal,
    key?: string,
  ): Promise<string> {
    if (this.#streams) {
      const oid = await this.#inWorker(blob, onBytes, signal, key);
      if (oid !== undefined) {
        return oid;
      }
      this.#streams = false;
    }
    if (blob.size > this.limit) {
      throw new NoHash();
    }
    return inMemory(blob, onBytes);
  }

  /** Undefined if this page cannot have such a worker. */
  #inWorker(
    blob: Blob,
    onBytes: (hashed: number) => void,
    signal: AbortSignal,
    key: string | undefined,
  ): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      let worker: Worker;
      try {
        worker = new Worker(this.workerUrl);
      } catch {
        resolve(undefined);
        return;
      }
      const end = (): void => {
        worker.terminate();
        signal.removeEventListener("abort", stop);
      };
      const stop = (): void => {
        end();
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", stop);
      worker.onerror = () => {
        end();
        resolve(undefined);
      };
      worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
        if (data.kind === "hashed") {
          onBytes(data.bytes);
          return;
        }
        end();
        if (data.kind === "unreadable") {
          reject(changed());
        } else {
          resolve(data.kind === "done" ? data.oid : undefined);
        }
      };
      worker.postMessage({ blob, key } satisfies ToWorker);
    });
  }
}

async function inMemory(blob: Blob, onBytes: (hashed: number) => void): Promise<string> {
  const bytes = await blob.arrayBuffer().catch((cause: unknown) => {
    throw changed(cause);
  });
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  onBytes(blob.size);
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
