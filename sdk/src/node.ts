/** For programs in Node. */

import { openAsBlob } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
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

/** A file on disk. It is read in slices, and never as a whole. */
export async function sourceOf(path: string, type = ""): Promise<Source> {
  const { size, mtimeMs } = await stat(path);
  return { name: basename(path), size, type, lastModified: Math.round(mtimeMs), blob: await openAsBlob(path) };
}

export const nodeSurroundings: Surroundings = {
  http: nodeHttp,
  online: () => true,
  onOnline: () => () => undefined,
  notes: notesInMemory(),
};
