/** The worker of `hashing.ts`: reads one file in slices and hashes it, away from the page's own thread. */

import { createSHA256 } from "hash-wasm";
import type { FromWorker, ToWorker } from "./hash_messages.js";
import { forget, recall, remember } from "./hash_memory.js";

/** Bytes that are read at a time: few enough for memory, enough that little time is lost between them. */
const SLICE = 4 << 20;
/** Bytes after which the state is kept for a later page. */
const REMEMBERED = 64 << 20;

self.onmessage = async (event: MessageEvent<ToWorker>) => {
  const { blob, key } = event.data;
  const tell = (message: FromWorker): void => self.postMessage(message);
  let sha256;
  try {
    sha256 = await createSHA256();
  } catch {
    return tell({ kind: "impossible" }); // the page's policy forbids WebAssembly
  }
  sha256.init();
  let offset = 0;
  const known = key === undefined ? undefined : await recall(key);
  if (known !== undefined && known.hashed <= blob.size) {
    try {
      sha256.load(known.state);
      offset = known.hashed;
    } catch {
      sha256.init(); // kept by another version
    }
  }
  try {
    while (offset < blob.size) {
      const slice = blob.slice(offset, offset + SLICE);
      const bytes = new Uint8Array(await slice.arrayBuffer());
      sha256.update(bytes);
      offset += bytes.length;
      free(bytes.buffer);
      tell({ kind: "hashed", bytes: offset });
      if (key !== undefined && offset % REMEMBERED === 0 && offset < blob.size) {
        await remember(key, { hashed: offset, state: sha256.save() });
      }
    }
  } catch {
    return tell({ kind: "unreadable" });
  }
  if (key !== undefined) {
    await forget(key);
  }
  return tell({ kind: "done", oid: sha256.digest("hex") });
};

/** At once, where the browser can: left to its collector, some dozens of slices would wait for that. */
function free(buffer: ArrayBuffer & { transfer?: (length: number) => ArrayBuffer }): void {
  buffer.transfer?.(0);
}
