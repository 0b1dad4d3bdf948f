/** sha256 in Node, by its own OpenSSL. */

import { createHash } from "node:crypto";
import { changed } from "./errors.js";
import type { Hasher } from "./types.js";

export class NodeHasher implements Hasher {
  readonly limit = Number.POSITIVE_INFINITY;

  async hash(blob: Blob, onBytes: (hashed: number) => void, signal: AbortSignal): Promise<string> {
    const sha256 = createHash("sha256");
    let hashed = 0;
    const reader = blob.stream().getReader();
    try {
      for (;;) {
        signal.throwIfAborted();
        const { done, value } = await reader.read().catch((cause: unknown) => {
          throw changed(cause);
        });
        if (done) {
          return sha256.digest("hex");
        }
        sha256.update(value);
        hashed += value.length;
        onBytes(hashed);
      }
    } finally {
      await reader.cancel().catch(() => undefined);
    }
  }
}
