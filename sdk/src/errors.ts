/** What servers and stores answer, as errors for people and programs. */

import { type ErrorCode, type HttpAnswer, UploadError } from "./types.js";

/** An answer of the server that is an error. */
export class Refused extends UploadError {
  constructor(
    code: ErrorCode,
    message: string,
    status: number,
    retriable: boolean,
    /** `code` in the server's own words (docs/external_storage_uploads.rst); undefined if a proxy answered. */
    readonly reason: string | undefined,
    /** Seconds after which it wants to be asked again. */
    readonly after: number | undefined,
  ) {
    super(code, message, status, retriable);
  }
}

/** By the server's `code`. tests/setup/test_sdk.py compares them with those that it has. */
export const CODES: Record<string, ErrorCode> = {
  checksum_mismatch: "mismatch",
  dataset_not_found: "forbidden",
  file_too_large: "too_large",
  forbidden: "forbidden",
  no_worker: "no_worker",
  not_authenticated: "logged_out",
  quota_exceeded: "quota",
  store_full: "full",
  too_many_uploads: "too_many",
  type_refused: "refused_type",
  upload_not_found: "over",
  upload_over: "over",
  upload_rejected: "over",
};
const BY_STATUS: Record<number, ErrorCode> = {
  401: "logged_out",
  403: "forbidden",
  404: "forbidden",
  410: "over",
  413: "too_large",
  507: "full",
};
/** Those that a second try, with nothing changed, can get over. */
const PASSING = new Set<ErrorCode>(["full", "mismatch", "no_worker", "over"]);
const PASSING_STATUS = new Set([408, 409, 423, 425, 500, 502, 503, 504]);

export function refusal(answer: HttpAnswer): Refused {
  const { status } = answer;
  const told = parsed(answer.text);
  const reason = typeof told.code === "string" ? told.code : undefined;
  const code = CODES[reason ?? ""] ?? BY_STATUS[status] ?? "server";
  const ours = typeof told.message === "string" ? told.message : undefined;
  const retriable = PASSING.has(code) || (code === "server" && PASSING_STATUS.has(status));
  const after = Number(answer.header("Retry-After") ?? Number.NaN);
  return new Refused(
    code,
    ours ?? unexplained(status),
    status,
    retriable || (status === 429 && code === "server"),
    reason,
    Number.isFinite(after) ? after : undefined,
  );
}

function unexplained(status: number): string {
  if (status === 413) {
    return (
      "A server in front of the site does not let a request of this size through. Its administrator raises the" +
      " limit (nginx: client_max_body_size 0)."
    );
  }
  if (status >= 500) {
    return `The server is out of order at the moment (status ${status}). Try again later.`;
  }
  return `The server refuses this and does not say why (status ${status}). Tell the site's administrator.`;
}

export function network(cause?: unknown): UploadError {
  return new UploadError(
    "network",
    "The server cannot be reached. What has arrived stays; it goes on when the connection is back.",
    undefined,
    true,
    { cause },
  );
}

/** `url`: one that the page may not send to, without what signs it. */
export function forbidden(url: string): UploadError {
  return new UploadError(
    "policy",
    `The Content-Security-Policy of this page does not let it send to ${url}.` +
      " The site's administrator adds that host to connect-src.",
  );
}

export function changed(cause?: unknown): UploadError {
  return new UploadError(
    "changed",
    "The file was changed, moved or deleted while it was read. Choose it again.",
    undefined,
    false,
    { cause },
  );
}

export function mismatch(): UploadError {
  return new UploadError(
    "mismatch",
    "What arrived is not what was sent: something on the way changed it. Send the file again.",
    undefined,
    true,
  );
}

export function full(status: number): UploadError {
  return new UploadError(
    "full",
    "The file store is full. What has arrived stays. Tell the site's administrator, and try again when there is room.",
    status,
    true,
  );
}

export function cancelled(): UploadError {
  return new UploadError("cancelled", "The upload was cancelled.");
}

/** What a JSON object says; nothing if it is none. */
export function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** No hash is to be had of this file here. The server makes one in any case. */
export class NoHash extends Error {}

/** The server's code where a store knows files by their sha256 only. */
export const HASH_NEEDED = "hash_needed";

/** `limit`: bytes of the largest file that is hashed here. */
export function tooLargeToHash(limit: number): UploadError {
  const megabytes = Math.floor(limit / 1e6);
  return new UploadError(
    "hash_first",
    "This site's file server needs to know a file before it is sent, so all of it has to be read first. Here that is" +
      ` done for files of up to ${megabytes} MB. Bring a larger one with Git LFS, or with a script.`,
  );
}
