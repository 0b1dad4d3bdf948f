/** The server's routes for uploads (docs/external_storage_uploads.rst). */

import { refusal } from "./errors.js";
import type { Http, HttpAnswer, HttpRequest, TokenSource, UploadError } from "./types.js";

export interface Described {
  id: string;
  state: "open" | "received" | "verified" | "unverified" | "rejected" | "expired";
  transfer: "tus" | "put" | "multipart" | "stream";
  size: number;
  /** Whether it has just been begun; else it goes on. */
  new?: boolean;
  /** Where to send, if not in parts. */
  href?: string;
  header?: Record<string, string>;
  part_size?: number;
  /** Bytes that have arrived, by tus. */
  offset?: number;
  /** Those that the store has. */
  parts?: { number: number; size: number }[];
  /** Bytes that have been checked. */
  progress?: number;
  reason?: string;
  oid?: string;
}

export interface SignedPart {
  number: number;
  href: string;
  header: Record<string, string>;
}

/** The server knows the same file again by its `oid`, or else by its `fingerprint`. */
export type Begin = { size: number; filename: string } & ({ oid: string } | { fingerprint: string });

export class Api {
  readonly #uploads: string;
  readonly #begin: string;

  /** `repository`: `<organisation or namespace>/<dataset>`. */
  constructor(
    readonly http: Http,
    readonly tokens: TokenSource,
    lfsUrl: string,
    repository: string,
  ) {
    this.#uploads = `${lfsUrl}/uploads`;
    this.#begin = `${lfsUrl}/${repository}.git/uploads`;
  }

  /** An answer that is no error, to somebody with a token. */
  async ask(request: HttpRequest): Promise<HttpAnswer> {
    let answer = await this.#with(await this.tokens.token(), request);
    if (answer.status === 401) {
      answer = await this.#with(await this.tokens.token(true), request);
    }
    if (answer.status >= 400 || answer.status < 200) {
      throw refusal(answer);
    }
    return answer;
  }

  /** For each, in order, an upload or why there is none. Rejects if nothing was begun. */
  async begin(files: Begin[]): Promise<(Described | UploadError)[]> {
    const [only] = files;
    if (files.length === 1 && only !== undefined) {
      return [known((await this.#json("POST", this.#begin, undefined, only)) as Described)];
    }
    const answer = (await this.#json("POST", this.#begin, undefined, { files })) as {
      files: (Described | { error: { status: number } })[];
    };
    return answer.files.map((told) =>
      "error" in told
        ? refusal({ status: told.error.status, text: JSON.stringify(told.error), header: () => null })
        : known(told),
    );
  }

  async show(id: string, signal: AbortSignal): Promise<Described> {
    return (await this.#json("GET", `${this.#uploads}/${id}`, signal)) as Described;
  }

  async sign(id: string, numbers: number[], signal: AbortSignal): Promise<SignedPart[]> {
    const answer = await this.#json("POST", `${this.#uploads}/${id}/parts`, signal, { numbers });
    return (answer as { parts: SignedPart[] }).parts;
  }

  async complete(id: string, oid: string | undefined, signal: AbortSignal): Promise<Described> {
    return (await this.#json("POST", `${this.#uploads}/${id}/complete`, signal, { oid })) as Described;
  }

  async discard(id: string, signal: AbortSignal): Promise<void> {
    await this.ask({ method: "DELETE", url: `${this.#uploads}/${id}`, signal });
  }

  async #json(
    method: string,
    url: string,
    signal: AbortSignal | undefined,
    message?: object,
  ): Promise<unknown> {
    const request: HttpRequest = { method, url, ...(signal === undefined ? {} : { signal }) };
    if (message !== undefined) {
      request.headers = { "Content-Type": "application/json" };
      request.body = JSON.stringify(message);
    }
    return JSON.parse((await this.ask(request)).text);
  }

  #with(token: string, request: HttpRequest): Promise<HttpAnswer> {
    return this.http({ ...request, headers: { ...request.headers, Authorization: `Bearer ${token}` } });
  }
}

/** Nothing has come of an upload that is new. */
function known(told: Described): Described {
  return told.new === true ? { ...told, offset: 0, parts: [] } : told;
}
