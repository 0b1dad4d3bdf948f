/** The package, in browsers. */

import { browserSurroundings, browserUploader, ofPage } from "./browser.js";
import { asSource, BaseClient, type ClientArguments, type Platform } from "./client.js";

export * from "./browser.js";
export { ActionError, type ActionAnswer } from "./ckan.js";
export { type BlobProgress, type ClientOptions, savedAs } from "./client.js";
export * from "./frictionless.js";

const platform: Platform = {
  http: browserSurroundings.http,
  credentials: ofPage,
  uploader: (target, tokens, { workerUrl }) =>
    browserUploader({
      ...target,
      tokens,
      workerUrl: workerUrl ?? new URL("./hash_worker.js", import.meta.url).href,
    }),
  open: async (file) => {
    const source = asSource(file);
    if (source) return source;
    throw new TypeError("A file is needed: a File, a Blob, or an object that has one as its `blob`.");
  },
};

export class Client extends BaseClient {
  constructor(...given: ClientArguments) {
    super(platform, ...given);
  }
}
