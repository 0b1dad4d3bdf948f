/** The client of a site for programs: the methods of the older ckan-client-js, and uploads that can be resumed. */

import { action, type ActionAnswer, type Credentials, type Site, withoutSlash } from "./ckan.js";
import { type Descriptor, type Dict, toDataset, toDescriptor } from "./frictionless.js";
import { Tokens } from "./tokens.js";
import type { Http, Source, TokenSource, Upload, Uploaded, Uploader } from "./types.js";
import { scope, type Target } from "./uploader.js";

export interface ClientOptions {
  /** Stands for the organisation where there is none, if the site has another namespace than `ckan`. */
  namespace?: string;
  /** In a browser: address of `hash_worker.js` on the page's own origin, unless it lies beside this package. */
  workerUrl?: string;
  /** Bytes of the largest file that is hashed before it is sent, where an external server needs that. */
  hashFirstMax?: number;
  /** Instead of asking CKAN for tokens. */
  tokens?: TokenSource;
}

/** What a browser and Node do each in their own way. */
export interface Platform {
  http: Http;
  /** Who asks, without an API token. */
  credentials: Credentials;
  uploader(target: Target, tokens: TokenSource, options: ClientOptions): Uploader;
  /** Whatever a caller has a file as. */
  open(file: unknown): Promise<Source>;
}

/** How far an upload is, as the older client told it. Bytes. */
export interface BlobProgress {
  loaded: number;
  total: number;
}

/** What a client is made with; see `BaseClient`. */
export type ClientArguments = [
  apiKey: string | null,
  organizationId: string | null,
  datasetId: string,
  api: string,
  lfsServerUrl?: string | null,
  headers?: Record<string, string>,
  options?: ClientOptions,
];

export abstract class BaseClient {
  readonly #platform: Platform;
  readonly #site: Site;
  readonly #uploader: Uploader;

  /**
   * @param apiKey an API token of CKAN; null on a page of the site, for the user who is logged in there
   * @param organizationId name of the dataset's organisation; null for a dataset without one
   * @param datasetId id or name of the dataset that files are uploaded to
   * @param api address of CKAN
   * @param lfsServerUrl address of the site's LFS server, if it is not `<api>/lfs`
   * @param headers sent with each call of an action
   */
  constructor(
    platform: Platform,
    readonly apiKey: string | null,
    readonly organizationId: string | null,
    readonly datasetId: string,
    readonly api: string,
    readonly lfsServerUrl: string | null = null,
    readonly headers: Record<string, string> = {},
    options: ClientOptions = {},
  ) {
    const siteUrl = withoutSlash(api);
    const credentials: Credentials = async (again) => ({
      ...headers,
      ...(apiKey === null ? await platform.credentials(again) : { Authorization: apiKey }),
    });
    // Of nested organisations the dataset is in the last one.
    const organization = organizationId?.split("/").filter(Boolean).pop();
    const target: Target = {
      siteUrl,
      lfsUrl: withoutSlash(lfsServerUrl ?? `${siteUrl}/lfs`),
      dataset: { id: datasetId, ...(organization ? { organization } : {}) },
      ...(options.namespace ? { namespace: options.namespace } : {}),
      ...(options.hashFirstMax === undefined ? {} : { hashFirstMax: options.hashFirstMax }),
    };
    const { http } = platform;
    const tokens = options.tokens ?? new Tokens({ http, siteUrl, scope: scope(target), credentials });
    this.#platform = platform;
    this.#site = { url: siteUrl, http, credentials };
    this.#uploader = platform.uploader(target, tokens, options);
  }

  /** Calls an action of CKAN, by CKAN's own names. With GET, `someKey` is sent as `some_key`. */
  action<T = unknown>(name: string, payload: Dict = {}, useHttpGet = false): Promise<ActionAnswer<T>> {
    return action(this.#site, name, payload, useHttpGet);
  }

  /** Creates a dataset, of which a name will do. Resolves with what was created. */
  async create(nameOrDescriptor: string | Descriptor): Promise<Descriptor> {
    const given = typeof nameOrDescriptor === "string" ? { name: nameOrDescriptor } : nameOrDescriptor;
    return toDescriptor((await this.action<Dict>("package_create", toDataset(given))).result);
  }

  /** Saves a dataset as it is given: what it had and is not given is gone. Resolves with what was saved. */
  async push(descriptor: Descriptor): Promise<Descriptor> {
    const id = descriptor["id"] ?? descriptor.name;
    const current = (await this.action<Dict>("package_show", { id }, true)).result;
    const dataset = toDataset(descriptor, current);
    return toDescriptor((await this.action<Dict>("package_update", dataset)).result);
  }

  /** A dataset, by its id or name. */
  async retrieve(nameOrId: string): Promise<Descriptor> {
    return toDescriptor((await this.action<Dict>("package_show", { id: nameOrId }, true)).result);
  }

  /**
   * Uploads a file to the dataset. True: it was sent; false: the dataset had it already. Then a resource can be
   * saved with the file's `sha256`. The file is read before it is sent, as it always was here; `upload` does both
   * at once.
   *
   * @param file a `File`, a `Source`, or in Node a path; also an object that has one as `blob` or `path`
   */
  async pushBlob(file: unknown, onProgress?: (progress: BlobProgress) => void): Promise<boolean> {
    const upload = this.#uploader.upload(await this.#platform.open(file), { hashFirst: true });
    if (onProgress) upload.onProgress(({ sent, size }) => onProgress({ loaded: sent, total: size }));
    return !(await upload.start()).existed;
  }

  /** An upload to the dataset; `start` begins it, or goes on where an earlier one of the same file ended. */
  upload(source: Source): Upload {
    return this.#uploader.upload(source);
  }
}

/** What a resource is saved with that is to have this file. `name`: as which it is downloaded. */
export function savedAs({ uploadId, oid, size }: Uploaded, name: string): Dict {
  return uploadId === null ? { url: name, url_type: "upload", sha256: oid, size } : { upload_id: uploadId };
}

/** What a caller has a file as, if it is a blob: a browser's `File`, a `Source`, or any `{name, blob}`. */
export function asSource(file: unknown): Source | undefined {
  if (file instanceof Blob) {
    const { name = "file", lastModified } = file as Partial<File>;
    const when = lastModified === undefined ? {} : { lastModified };
    return { name, size: file.size, type: file.type, ...when, blob: file };
  }
  // As its `descriptor` frictionless.js has a file that a user has chosen.
  const { blob, descriptor, name } = (file ?? {}) as Partial<Source> & { descriptor?: unknown };
  const found = [blob, descriptor].find((inner) => inner instanceof Blob);
  const inside = found && asSource(found);
  return inside && { ...inside, ...(typeof name === "string" ? { name } : {}) };
}
