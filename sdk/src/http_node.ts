/** Requests of Node: `node:http`, because fetch does not tell how much of a body has been sent. */

import { request as plain } from "node:http";
import { request as encrypted } from "node:https";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { text } from "node:stream/consumers";
import { changed, network } from "./errors.js";
import type { Http } from "./types.js";

/** Milliseconds without a byte in any direction. */
const SILENCE = 60_000;

export const nodeHttp: Http = ({ method, url, headers = {}, body, signal, onSent }) =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const size = body === undefined ? 0 : typeof body === "string" ? Buffer.byteLength(body) : body.size;
    const length = body === undefined ? {} : { "Content-Length": String(size) };
    const request = (url.startsWith("https:") ? encrypted : plain)(url, {
      method,
      headers: { ...headers, ...length },
      timeout: SILENCE,
    });
    const stop = (): void => void request.destroy();
    const fail = (error: Error): void => {
      signal?.removeEventListener("abort", stop);
      request.destroy();
      reject(signal?.aborted ? (signal.reason as Error) : error);
    };
    signal?.addEventListener("abort", stop);
    request.on("timeout", stop);
    request.on("error", (error) => fail(network(error)));
    request.on("response", (response) => {
      text(response).then(
        (answer) => {
          signal?.removeEventListener("abort", stop);
          resolve({
            status: response.statusCode ?? 0,
            header: (name) => {
              const value = response.headers[name.toLowerCase()];
              return Array.isArray(value) ? value.join(", ") : (value ?? null);
            },
            text: answer,
          });
        },
        (error: unknown) => fail(network(error)),
      );
    });
    if (body === undefined || typeof body === "string") {
      request.end(body);
      return;
    }
    let sent = 0;
    const stream = Readable.fromWeb(body.stream() as ReadableStream);
    stream.on("data", (piece: Uint8Array) => {
      sent += piece.length;
      onSent?.(sent);
    });
    stream.on("error", (error) => fail(changed(error)));
    request.on("close", () => stream.destroy());
    stream.pipe(request);
  });
