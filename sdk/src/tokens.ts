/** Tokens of `authz_authorize` for one dataset. */

import { parsed } from "./errors.js";
import { type Http, type TokenSource, UploadError } from "./types.js";

/** Part of its life after which a token is not used for something new. */
const USED = 0.7;

export interface TokenOptions {
  http: Http;
  /** Of CKAN, without "/" at its end. */
  siteUrl: string;
  /** What the token is to open, as `obj:<organisation>/<dataset>/*:read,write`. */
  scope: string;
  /** What says who asks: an API token, or what CKAN's pages carry against forgery. `again`: that was refused. */
  credentials(again: boolean): Promise<Record<string, string>> | Record<string, string>;
}

export class Tokens implements TokenSource {
  #token: string | undefined;
  /** By the clock that nobody sets. */
  #until = 0;
  #asking: Promise<string> | undefined;

  constructor(readonly options: TokenOptions) {}

  async token(fresh = false): Promise<string> {
    if (!fresh && this.#token !== undefined && performance.now() < this.#until) {
      return this.#token;
    }
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<string> {
    let answer = await this.#answer(false);
    if (answer.status === 400) {
      answer = await this.#answer(true); // a page is open for longer than what it carries is good for
    }
    const { status } = answer;
    const message = parsed(answer.text);
    if (status === 429 || status >= 500) {
      throw new UploadError("server", `The site gives no token at the moment (status ${status}).`, 503, true);
    }
    const result = message.result as { token?: string | null; user_id?: string | null } | undefined;
    if (status !== 200 || result?.user_id === null) {
      throw new UploadError(
        "logged_out",
        "You are logged out. Log in again, in another tab perhaps, then try again.",
        status,
        true,
      );
    }
    if (typeof result?.token !== "string") {
      throw new UploadError("forbidden", "You may not change this dataset.", status);
    }
    this.#token = result.token;
    this.#until = performance.now() + 1000 * USED * lifetime(result.token);
    return result.token;
  }

  async #answer(again: boolean) {
    const { http, siteUrl, scope } = this.options;
    return http({
      method: "POST",
      url: `${siteUrl}/api/3/action/authz_authorize`,
      headers: { "Content-Type": "application/json", ...(await this.options.credentials(again)) },
      body: JSON.stringify({ scopes: [scope] }),
    });
  }
}

/** Seconds. What this machine's clock says does not matter. */
function lifetime(token: string): number {
  const claims = token.split(".")[1] ?? "";
  const { exp, iat } = parsed(atob(claims.replaceAll("-", "+").replaceAll("_", "/")));
  return typeof exp === "number" && typeof iat === "number" ? exp - iat : 0;
}
