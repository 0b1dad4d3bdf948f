/** What the transfers work with: `tus.ts`, `put.ts`, `multipart.ts`. */

import type { Api, Described } from "./api.js";
import { changed } from "./errors.js";
import type { Notes } from "./surroundings.js";
import type { Tries } from "./tries.js";
import { type Source, UploadError } from "./types.js";

/** One stretch of sending, from start or resume to the end or a pause. */
export interface Leg {
  api: Api;
  source: Source;
  signal: AbortSignal;
  tries(): Tries;
  /** Bytes that have arrived or are on their way. */
  sent(bytes: number): void;
  /** Begins again: the same upload, with a new signature. */
  again(): Promise<Described>;
  notes: Notes;
}

/** Rejects with `UploadError("changed")` if sending failed because the file cannot be read any more. */
export async function stillThere(error: unknown, blob: Blob, at: number): Promise<void> {
  if (error instanceof UploadError && error.code === "network") {
    try {
      await blob.slice(at, at + 1).arrayBuffer();
    } catch (cause) {
      throw changed(cause);
    }
  }
}
