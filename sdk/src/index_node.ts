/** The package, in Node. */

import { asSource, BaseClient, type ClientArguments, type Platform } from "./client.js";
import { nodeSurroundings, nodeUploader, sourceOf } from "./node.js";

export { ActionError, type ActionAnswer } from "./ckan.js";
export { type BlobProgress, type ClientOptions, savedAs } from "./client.js";
export * from "./frictionless.js";
export * from "./node.js";

const platform: Platform = {
  http: nodeSurroundings.http,
  credentials: () => ({}),
  uploader: (target, tokens) => nodeUploader({ ...target, tokens }),
  open: async (file) => {
    const { path } = (file ?? {}) as { path?: unknown };
    if (typeof file === "string") return sourceOf(file);
    const source = asSource(file) ?? (typeof path === "string" ? await sourceOf(path) : undefined);
    if (source) return source;
    throw new TypeError("A file is needed: its path, a Blob, or an object with one of them as `path` or `blob`.");
  },
};

export class Client extends BaseClient {
  constructor(...given: ClientArguments) {
    super(platform, ...given);
  }
}
