/** Requests of a page: XMLHttpRequest, because fetch does not tell how much of a body has been sent. */

import { forbidden, network } from "./errors.js";
import type { Http } from "./types.js";

/** Milliseconds without a byte in any direction, after which a connection is dead: a sleeping laptop's, say. */
const SILENCE = 60_000;
/** Addresses that the policy of this page has kept requests from: to the request itself, it is a lost connection. */
const kept = new Set<string>();
globalThis.document?.addEventListener("securitypolicyviolation", ({ blockedURI, disposition }) => {
  if (disposition === "enforce") {
    kept.add(bare(blockedURI));
  }
});

export const browserHttp: Http = ({ method, url, headers = {}, body, signal, onSent }) =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const request = new XMLHttpRequest();
    let timer: ReturnType<typeof setTimeout>;
    const stop = (): void => request.abort();
    const heard = (): void => {
      clearTimeout(timer);
      timer = setTimeout(stop, SILENCE);
    };
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) {
      request.setRequestHeader(name, value);
    }
    request.upload.onprogress = (event) => {
      heard();
      onSent?.(event.loaded);
    };
    request.onprogress = heard;
    request.onload = () =>
      resolve({
        status: request.status,
        header: (name) => request.getResponseHeader(name),
        text: request.responseText,
      });
    request.onerror = () => reject(kept.has(bare(url)) ? forbidden(bare(url)) : network());
    request.onabort = () => reject(signal?.aborted ? (signal.reason as Error) : network());
    request.onloadend = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    };
    signal?.addEventListener("abort", stop);
    heard();
    request.send(body ?? null);
  });

/** Without what signs it, which is another one at the next try. */
function bare(url: string): string {
  return url.replace(/[?#].*/, "");
}
