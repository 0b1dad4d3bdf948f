/** Signed requests to a store: S3, and what speaks like it. */

import { full, mismatch } from "./errors.js";
import { type Leg, stillThere } from "./leg.js";
import type { Surroundings } from "./surroundings.js";
import { UploadError } from "./types.js";

/** Times that it said nothing to this page while it answered others, after which that is no chance. */
const SUSPICIOUS = 2;
/** Codes of S3 for other bytes than were signed. */
const OTHER_BYTES = /BadDigest|Checksum|ContentSHA256Mismatch|InvalidDigest|IncompleteBody/;
/** Codes of S3, and of servers that speak its protocol, for no room: as in storage/s3_connection.py. */
const FULL = /QuotaExceeded|InsufficientCapacity|StorageFull/;

/** What became of a signed PUT. `stale`: the signature is no more (or was never) accepted. */
export type Stored = "stored" | "stale" | "gone";

/** The store of one upload. */
export class Store {
  #odd = 0;
  #heard = false;

  constructor(
    readonly leg: Leg,
    readonly surroundings: Surroundings,
    /** What answers whenever the site does, to tell a store that is away from a network that is. */
    readonly health: string,
  ) {}

  /** Sends a slice of the file. Rejects with what `Tries.after` takes. */
  async put(
    request: { href: string; header: Record<string, string> },
    start: number,
    end: number,
    onSent: (bytes: number) => void,
  ): Promise<Stored> {
    const { source, signal } = this.leg;
    const before = this.#odd;
    let sent = 0;
    let answer;
    try {
      answer = await this.surroundings.http({
        method: "PUT",
        url: request.href,
        headers: request.header,
        body: source.blob.slice(start, end),
        signal,
        onSent: (bytes) => {
          sent = bytes;
          onSent(bytes);
        },
      });
    } catch (error) {
      signal.throwIfAborted();
      await stillThere(error, source.blob, start);
      // A browser begins only where the store lets it: what was cut in the middle was a connection.
      const isCut = sent > 0 && sent < end - start;
      if (!isCut && (await this.#answersOthers(request.href))) {
        this.#odd = Math.max(this.#odd, before + 1); // of requests on their way together, one counts
        if (this.#odd >= SUSPICIOUS) {
          throw notAllowed(request.href);
        }
      }
      throw error;
    }
    this.#heard = true;
    const { status, text } = answer;
    if (status >= 200 && status < 300) {
      return "stored";
    }
    if (status === 412 || status === 404) {
      // 412: it is there already, and the answer was lost. 404: the parts were joined, or the store gave up.
      return status === 412 ? "stored" : "gone";
    }
    if (status === 400 && OTHER_BYTES.test(text)) {
      throw mismatch();
    }
    if (status === 507 || FULL.test(text)) {
      throw full(status);
    }
    // An LFS server says 401 of what was good for a minute.
    if (status === 401 || status === 403 || (status === 400 && /Expired/.test(text))) {
      return "stale";
    }
    throw new UploadError(
      "server",
      `The file store answers with status ${status}. Tell the site's administrator: ckan external-storage check`,
      status,
      status >= 500 || status === 408 || status === 429,
    );
  }

  /** Whether it has only this page without an answer: a browser does not say why. */
  async #answersOthers(href: string): Promise<boolean> {
    const { answers, online } = this.surroundings;
    if (answers === undefined || this.#heard || !online()) {
      return false;
    }
    return (await answers(new URL(href).origin)) && (await answers(this.health));
  }
}

/** What the store's administrator has to set. */
function notAllowed(href: string): UploadError {
  return new UploadError(
    "cors",
    `The file store ${new URL(href).origin} answers, but does not let pages of ${globalThis.location?.origin ?? "this site"}` +
      " send files to it. The site's administrator adds a CORS rule to the bucket with this origin under" +
      ' AllowedOrigins and PUT under AllowedMethods (documentation of external_storage, "What the bucket needs";' +
      ' for giftless, "Uploads in browsers").',
    undefined,
    true,
  );
}

export function refused(): UploadError {
  return new UploadError(
    "server",
    "The file store refuses the site's signature. Its administrator looks at the clocks of the site and the" +
      " store, and runs: ckan external-storage check",
    403,
    true,
  );
}
