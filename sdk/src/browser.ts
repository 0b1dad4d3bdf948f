/** For pages. */

import { BrowserHasher } from "./hashing.js";
import { browserHttp } from "./http_browser.js";
import { type Notes, notesInMemory, type Surroundings } from "./surroundings.js";
import { Tokens } from "./tokens.js";
import type { Hasher, Source, TokenSource, Uploader } from "./types.js";
import { FileUploader, scope, type Target } from "./uploader.js";

const NOTES = "ckanext-publish parts";
const MOST_NOTES = 50;

export * from "./types.js";
export type { Target };

export interface BrowserOptions extends Target {
  /** Address of `hash_worker.js`, on the page's own origin. */
  workerUrl: string;
  /** What says who asks for a token; unless given, the session of one of CKAN's own pages. */
  credentials?: Record<string, string>;
  /** Instead of asking CKAN for tokens. */
  tokens?: TokenSource;
}

export function browserUploader(options: BrowserOptions): Uploader {
  const { siteUrl, credentials } = options;
  const tokens =
    options.tokens ??
    new Tokens({
      http: browserHttp,
      siteUrl,
      scope: scope(options),
      credentials: (again) => credentials ?? ofPage(again),
    });
  return new FileUploader(options, tokens, browserHasher(options.workerUrl), browserSurroundings);
}

const hashers = new Map<string, Hasher>();

/** The one of this page, which remembers what the page's policy allows. */
export function browserHasher(workerUrl: string): Hasher {
  const hasher = hashers.get(workerUrl) ?? new BrowserHasher(workerUrl);
  hashers.set(workerUrl, hasher);
  return hasher;
}

export function sourceOf(file: File): Source {
  return { name: file.name, size: file.size, type: file.type, lastModified: file.lastModified, blob: file };
}

export const browserSurroundings: Surroundings = {
  http: browserHttp,
  online: () => navigator.onLine,
  onOnline: (listener) => {
    addEventListener("online", listener);
    return () => removeEventListener("online", listener);
  },
  answers: async (url) => {
    try {
      await fetch(url, { mode: "no-cors", cache: "no-store", credentials: "omit" });
      return true;
    } catch {
      return false;
    }
  },
  notes: notesInStorage(),
  // Only pages that came by https have them.
  locks: globalThis.navigator?.locks,
};

/** In localStorage, of a few uploads; where a browser gives none, as long as the page is open. */
function notesInStorage(): Notes {
  const here = notesInMemory();
  const read = (): [string, number[]][] => {
    try {
      return JSON.parse(localStorage.getItem(NOTES) ?? "[]") as [string, number[]][];
    } catch {
      return [];
    }
  };
  return {
    get: (upload) => [...here.get(upload), ...(read().find(([id]) => id === upload)?.[1] ?? [])],
    set: (upload, parts) => {
      here.set(upload, parts);
      const others = read().filter(([id]) => id !== upload);
      const all = parts.length > 0 ? [...others, [upload, parts]] : others;
      try {
        localStorage.setItem(NOTES, JSON.stringify(all.slice(-MOST_NOTES)));
      } catch {
        // full, or forbidden
      }
    },
  };
}

/**
 * The header that CKAN wants with each call of one of its pages. `again`: what this page was given is not
 * accepted, by default because an hour has passed; a new copy of the page has a new one.
 */
export async function ofPage(again: boolean): Promise<Record<string, string>> {
  let page = document;
  if (again) {
    const answer = await browserHttp({ method: "GET", url: location.href });
    page = new DOMParser().parseFromString(answer.text, "text/html");
  }
  const meta = (name: string): string | undefined =>
    page.querySelector<HTMLMetaElement>(`meta[name="${CSS.escape(name)}"]`)?.content;
  const field = meta("csrf_field_name");
  const value = field === undefined ? undefined : meta(field);
  if (again && field !== undefined && value !== undefined) {
    document.querySelector(`meta[name="${CSS.escape(field)}"]`)?.setAttribute("content", value);
  }
  return value === undefined ? {} : { "X-CSRFToken": value };
}
