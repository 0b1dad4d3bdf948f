/** By what a file is known again, after a reload and in another tab. */

import { NoHash } from "./errors.js";
import type { Hasher, Source } from "./types.js";

const BEGINNING = 1 << 20;
/** Characters; the server takes 500 in all. */
const LONGEST_NAME = 300;

/** Of name, size, time of change, and the first MiB. */
export async function fingerprint(source: Source, hasher: Hasher, signal: AbortSignal): Promise<string> {
  const beginning = source.blob.slice(0, BEGINNING);
  const first = hasher.limit > 0 ? await hasher.hash(beginning, () => undefined, signal).catch(none) : "";
  return [first, source.size, source.lastModified ?? "", plain(source.name)].join(" ");
}

/** A name that is text, whatever the file system thinks. */
export function plain(name: string): string {
  return name.slice(0, LONGEST_NAME).replace(/\p{Surrogate}|\0/gu, "\uFFFD");
}

function none(error: unknown): string {
  if (error instanceof NoHash) {
    return "";
  }
  throw error;
}
