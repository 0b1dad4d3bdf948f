/** A file on disk as a Blob. Node's own (`fs.openAsBlob`) is wrong from 4 GiB on: its sizes have 32 bits. */

import type { Stats } from "node:fs";
import { open } from "node:fs/promises";
import { changed } from "./errors.js";

/** Bytes that are read at a time. */
const PIECE = 1 << 20;

/** What says that a file is still the one that was opened. */
type Known = Pick<Stats, "size" | "mtimeMs" | "ino">;

/** Only what is asked for is read, when it is asked for. Reading rejects if the file has changed meanwhile. */
export class FileBlob extends Blob {
  /** `start`, `end`: bytes of the file, the end exclusive. */
  constructor(
    readonly path: string,
    readonly known: Known,
    readonly start = 0,
    readonly end = known.size,
    type = "",
  ) {
    super([], { type });
  }

  override get size(): number {
    return this.end - this.start;
  }

  override slice(start = 0, end = this.size, type = ""): FileBlob {
    const within = (at: number): number => Math.min(Math.max(at < 0 ? this.size + at : at, 0), this.size);
    const from = this.start + within(start);
    return new FileBlob(this.path, this.known, from, Math.max(from, this.start + within(end)), type);
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    const pieces = this.#pieces();
    return new ReadableStream(
      {
        async pull(controller) {
          const { done, value } = await pieces.next();
          if (done) controller.close();
          else controller.enqueue(value);
        },
        cancel: async () => void (await pieces.return(undefined)),
      },
      { highWaterMark: 0 },
    );
  }

  override async arrayBuffer(): Promise<ArrayBuffer> {
    const whole = new Uint8Array(this.size);
    let at = 0;
    for await (const piece of this.#pieces()) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole.buffer;
  }

  override async text(): Promise<string> {
    return new TextDecoder().decode(await this.arrayBuffer());
  }

  async *#pieces(): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined> {
    const file = await open(this.path);
    try {
      const same = ({ size, mtimeMs, ino }: Known): boolean =>
        size === this.known.size && mtimeMs === this.known.mtimeMs && ino === this.known.ino;
      for (let at = this.start; at < this.end; ) {
        const piece = new Uint8Array(Math.min(PIECE, this.end - at));
        const { bytesRead } = await file.read(piece, 0, piece.length, at);
        if (bytesRead === 0 || !same(await file.stat())) throw changed();
        at += bytesRead;
        yield piece.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
    return undefined;
  }
}
