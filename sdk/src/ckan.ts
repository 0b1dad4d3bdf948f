/** CKAN's action API (docs.ckan.org, "API guide"). */

import { UploadError, type Http, type HttpAnswer } from "./types.js";
import type { Dict } from "./frictionless.js";

/**
 * Headers that say who asks. `again`: those of before were refused; what a page carries against forgery gets old.
 */
export type Credentials = (again: boolean) => Promise<Record<string, string>> | Record<string, string>;

/** A site, and as whom it is talked to. */
export interface Site {
  /** Of CKAN, without "/" at its end. */
  url: string;
  http: Http;
  credentials: Credentials;
}

/** What CKAN answers. */
export interface ActionAnswer<T> {
  success: true;
  result: T;
  help?: string;
}

/** CKAN did not do what an action was asked for. */
export class ActionError extends Error {
  constructor(
    readonly action: string,
    /** HTTP. */
    readonly status: number,
    /** What CKAN calls it: `Validation Error`, `Not Found Error`, …; "" if it was not CKAN that answered. */
    readonly type: string,
    /** Of a `Validation Error`: what is wrong with which field. */
    readonly fields: Dict,
    message: string,
  ) {
    super(message);
    this.name = "ActionError";
  }
}

/** Calls an action. Rejects with `ActionError`, and with `UploadError("network")` if there is no answer. */
export async function action<T>(
  site: Site,
  name: string,
  payload: Dict,
  get = false,
): Promise<ActionAnswer<T>> {
  const url = `${site.url}/api/3/action/${encodeURIComponent(name)}`;
  const ask = async (again: boolean): Promise<HttpAnswer> => {
    const headers = await site.credentials(again);
    if (get) return site.http({ method: "GET", url: url + query(payload), headers });
    const json = { ...headers, "Content-Type": "application/json" };
    return site.http({ method: "POST", url, headers: json, body: JSON.stringify(payload) });
  };
  let answer = await ask(false);
  // CKAN says so, in HTML, of what a page carries against forgery; an action's own 400 is JSON.
  if (answer.status === 400 && !json(answer)) answer = await ask(true);
  const said = json(answer);
  if (answer.status === 200 && said?.["success"] === true) return said as unknown as ActionAnswer<T>;
  throw refused(name, answer, said);
}

export function withoutSlash(url: string): string {
  return url.replace(/\/+$/, "");
}

function query(payload: Dict): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(payload)) {
    if (value !== undefined && value !== null) {
      parameters.append(snakeCase(key), typeof value === "object" ? JSON.stringify(value) : String(value));
    }
  }
  const text = parameters.toString();
  return text && `?${text}`;
}

/** `nameOrId` → `name_or_id`. */
function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function json(answer: HttpAnswer): Dict | undefined {
  try {
    const found: unknown = JSON.parse(answer.text);
    return typeof found === "object" && found !== null ? (found as Dict) : undefined;
  } catch {
    return undefined;
  }
}

function refused(name: string, answer: HttpAnswer, said: Dict | undefined): Error {
  const { status } = answer;
  const error = said?.["error"];
  if (status >= 500 && typeof error !== "object") {
    return new UploadError("server", `${name}: the site failed (${status}). Try again later.`, status, true);
  }
  if (typeof error !== "object" || error === null) {
    const what = said ? JSON.stringify(said).slice(0, 300) : "no JSON";
    const hint = "Is this the address of a CKAN, without a redirect?";
    return new ActionError(name, status, "", {}, `${name}: ${status} with ${what}. ${hint}`);
  }
  const { __type: type, message, ...fields } = error as Dict;
  const reasons = [message, ...Object.entries(fields).map(([field, value]) => `${field}: ${sentence(value)}`)];
  const text = reasons.filter((reason) => reason).join("; ");
  return new ActionError(name, status, String(type ?? ""), fields, `${name}: ${String(type ?? status)}. ${text}`);
}

function sentence(value: unknown): string {
  return Array.isArray(value) && value.every((item) => typeof item === "string")
    ? value.join(" ")
    : JSON.stringify(value);
}
