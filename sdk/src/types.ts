/** What every part of this package, and the form that is built on it, says to the others. */

/** A file as the transfers read it: a browser's `File`, or a Blob of Node's (`fs.openAsBlob`). */
export interface Source {
  /** Without a path. */
  name: string;
  /** Bytes. */
  size: number;
  /** Media type as far as it is known, else "". */
  type: string;
  /** Milliseconds since 1970, where the file system tells. */
  lastModified?: number;
  /** The file itself. Only slices of it are ever read or sent. */
  blob: Blob;
}

/** How an upload stands.
 *
 * - `waiting`: not begun, or nobody's turn yet
 * - `hashing`: read before anything can be sent
 * - `sending`
 * - `offline`: the server or the network is away; it goes on by itself
 * - `paused`: by the user
 * - `watching`: another tab of this browser sends the same file; this one shows how far it is
 * - `checking`: all bytes have arrived, and the server reads them
 * - `done`, `failed`, `cancelled`: over; `failed` can be tried again
 */
export type UploadState =
  | "waiting"
  | "hashing"
  | "sending"
  | "offline"
  | "paused"
  | "watching"
  | "checking"
  | "done"
  | "failed"
  | "cancelled";

export interface Progress {
  state: UploadState;
  /** Bytes of the file. */
  size: number;
  /** Bytes that the server or its store is known to have, and those on their way. */
  sent: number;
  /** Bytes that have been read here. */
  hashed: number;
  /** Bytes that the server has read, while `checking`. */
  checked: number;
  /** Bytes per second, over the last seconds; undefined until that is known. */
  speed?: number;
  /** Until all is sent; undefined until that is known. */
  secondsLeft?: number;
  /** Why, while it has `failed` or is `offline`. */
  error?: UploadError;
}

/** What an upload ends with: what a resource is saved with. */
export interface Uploaded {
  /** Goes into the resource; null where an external server has the file, and is believed: see `savedAs`. */
  uploadId: string | null;
  /** sha256, 64 hex digits. */
  oid: string;
  /** Bytes. */
  size: number;
  /** The dataset had the file already: nothing was sent. */
  existed?: boolean;
}

/** Why something did not work. `message` is English and for people: what happened and what to do. */
export class UploadError extends Error {
  constructor(
    /** For programs, and for a form that speaks another language. */
    readonly code: ErrorCode,
    message: string,
    /** HTTP status of the server's answer, if there was one. */
    readonly status?: number,
    /** Whether trying again, without any change, may help. */
    readonly retriable = false,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "UploadError";
  }
}

/**
 * - `network`: no answer
 * - `cors`: the store does not let this site's pages send to it
 * - `policy`: the page's Content-Security-Policy does not let it send to the server or its store
 * - `forbidden`: the user may not change the dataset
 * - `logged_out`
 * - `too_large`, `quota`, `too_many`, `refused_type`: limits of the site
 * - `full`: the server, or its store, has no room left
 * - `no_worker`: nobody checks files at the moment
 * - `mismatch`: what arrived is not what was sent
 * - `changed`: the file is another one by now, or cannot be read any more
 * - `over`: the server has ended this upload
 * - `cancelled`: by the user
 * - `hash_first`: too large to be read before it is sent, and this store needs that
 * - `server`: anything else that the server says
 */
export type ErrorCode =
  | "network"
  | "cors"
  | "policy"
  | "forbidden"
  | "logged_out"
  | "too_large"
  | "quota"
  | "too_many"
  | "refused_type"
  | "full"
  | "no_worker"
  | "mismatch"
  | "changed"
  | "over"
  | "cancelled"
  | "hash_first"
  | "server";

/** One file on its way. Made by `Uploader.upload`; nothing is sent before `start`. */
export interface Upload {
  readonly source: Source;
  readonly progress: Progress;
  /** Calls `listener` after each change, at most some times a second while sending; returns how to end that. */
  onProgress(listener: (progress: Progress) => void): () => void;
  /** Begins, or goes on after `failed`. Resolves when `done`; rejects with an `UploadError`. */
  start(): Promise<Uploaded>;
  pause(): void;
  resume(): void;
  /** Ends it, here and at the server. */
  cancel(): Promise<void>;
}

/** sha256 of a file, read once and in slices, away from the page's own thread. */
export interface Hasher {
  /** Bytes that it can hash; infinity if it streams, 0 where there is no way to hash at all. */
  readonly limit: number;
  /**
   * Hex digits. `onBytes` is told how many have been read so far. With a `key`, how far it is is kept, so that
   * a later page goes on there. Rejects with `UploadError("changed")` if the file cannot be read.
   */
  hash(
    blob: Blob,
    onBytes: (hashed: number) => void,
    signal: AbortSignal,
    key?: string,
  ): Promise<string>;
}

/** The dataset that files go to. */
export interface Dataset {
  /** Id or name. */
  id: string;
  /** Name of its organisation; undefined for one without, and where the site has one namespace for all. */
  organization?: string;
}

/** Sends files to one dataset; shared by all uploads of a page, so that tokens and connections are, too. */
export interface Uploader {
  upload(source: Source, options?: UploadOptions): Upload;
}

export interface UploadOptions {
  /** Hash the file before it is sent: one that the dataset has is not sent then. */
  hashFirst?: boolean;
}

/** A short-lived token for one dataset; asked for again in time, whatever the upload is doing. */
export interface TokenSource {
  /** `fresh`: the one given last was refused. */
  token(fresh?: boolean): Promise<string>;
}

export interface HttpRequest {
  method: string;
  url: string;
  headers?: Record<string, string>;
  body?: Blob | string;
  signal?: AbortSignal;
  /** Bytes of the body that have been sent so far. */
  onSent?: (bytes: number) => void;
}

export interface HttpAnswer {
  status: number;
  /** Of one header, case-insensitive. */
  header(name: string): string | null;
  text: string;
}

/** One request. Rejects with `UploadError("network")` if there was no answer; any status is an answer. */
export type Http = (request: HttpRequest) => Promise<HttpAnswer>;
