/** Uploads of one page or script to one dataset. */

import { Api } from "./api.js";
import { Beginnings } from "./beginnings.js";
import type { Surroundings } from "./surroundings.js";
import { Turns } from "./turns.js";
import type { Dataset, Hasher, Source, TokenSource, Upload, Uploader, UploadOptions } from "./types.js";
import { FileUpload, type Shared } from "./upload.js";

/** Files that are sent at the same time. */
const AT_ONCE = 3;

/** Where an upload goes. Addresses have no "/" at their end. */
export interface Target {
  /** Of CKAN. */
  siteUrl: string;
  /** Of the LFS server: `<siteUrl>/lfs` unless the site has it elsewhere. */
  lfsUrl: string;
  dataset: Dataset;
  /** Stands for the organisation of a dataset that has none: the option storage_namespace. */
  namespace?: string;
  /** Bytes of the largest file that is hashed because an external server needs that: the option hash_first_max. */
  hashFirstMax?: number | null;
  /** Milliseconds after which a server that does not answer is given up; a browser never does. */
  patience?: number;
}

/** `<organisation or namespace>/<dataset>`, as addresses and tokens have it. */
export function repository({ dataset, namespace = "ckan" }: Target): string {
  return `${dataset.organization ?? namespace}/${dataset.id}`;
}

/** The scope of the token that all uploads to the dataset use. */
export function scope(target: Target): string {
  return `obj:${repository(target)}/*:read,write`;
}

export class FileUploader implements Uploader {
  readonly #shared: Shared;

  constructor(target: Target, tokens: TokenSource, hasher: Hasher, surroundings: Surroundings) {
    const api = new Api(surroundings.http, tokens, target.lfsUrl, repository(target));
    this.#shared = {
      api,
      beginnings: new Beginnings((files) => api.begin(files)),
      hasher,
      surroundings,
      health: `${target.lfsUrl}/health`,
      patience: target.patience ?? Number.POSITIVE_INFINITY,
      hashFirstMax: target.hashFirstMax ?? Number.POSITIVE_INFINITY,
      reading: new Turns(AT_ONCE),
      sending: new Turns(AT_ONCE),
    };
  }

  upload(source: Source, options: UploadOptions = {}): Upload {
    return new FileUpload(source, this.#shared, options);
  }
}
