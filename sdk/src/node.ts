/** For programs in Node. */

import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { FileBlob } from "./file_node.js";
import { NodeHasher } from "./hashing_node.js";
import { nodeHttp } from "./http_node.js";
import { notesInMemory, type Surroundings } from "./surroundings.js";
import { Tokens } from "./tokens.js";
import type { Source, TokenSource, Uploader } from "./types.js";
import { FileUploader, scope, type Target } from "./uploader.js";

export * from "./types.js";
export type { Target };

/** Milliseconds. */
const PATIENCE = 5 * 60_000;

export interface NodeOptions extends Target {
  /** Of CKAN; not needed with `tokens`. */
  apiToken?: string;
  /** Instead of asking CKAN for tokens. */
  tokens?: TokenSource;
}

export function nodeUploader(options: NodeOptions): Uploader {
  const { siteUrl, apiToken } = options;
  const credentials = (): Record<string, string> => (apiToken === undefined ? {} : { Authorization: apiToken });
  const tokens = options.tokens ?? new Tokens({ http: nodeHttp, siteUrl, scope: scope(options), credentials });
  return new FileUploader({ patience: PATIENCE, ...options }, tokens, new NodeHasher(), nodeSurroundings);
}

/** A file on disk. It is read in slices, and never as a whole. Rejects as `node:fs` does if there is none. */
export async function sourceOf(path: string, type = ""): Promise<Source> {
  const known = await stat(path);
  if (!known.isFile()) {
    throw new TypeError(`${path} is no file. The files of a directory are uploaded one by one.`);
  }
  const blob = new FileBlob(path, known, 0, known.size, type);
  return { name: basename(path), size: known.size, type, lastModified: Math.round(known.mtimeMs), blob };
}

export const nodeSurroundings: Surroundings = {
  http: nodeHttp,
  online: () => true,
  onOnline: () => () => undefined,
  notes: notesInMemory(),
};
