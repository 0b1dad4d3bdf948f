/** Many files become resources of a dataset: one `package_revise`. */

import { ofPage } from "../../../sdk/src/browser.js";
import { browserHttp } from "../../../sdk/src/http_browser.js";
import type { Uploaded } from "../../../sdk/src/types.js";

export type Fields = Record<string, unknown>;
/** Field → sentences about it. */
export type Problems = Record<string, string[]>;

/** Why nothing was saved. */
export class NotSaved extends Error {
  constructor(
    /** - `unsure`: no answer came, or none that says whether it was saved
     *  - `forbidden`: the user may not, or is not logged in any more
     *  - `invalid`: `files` and `dataset` say what is wrong */
    readonly reason: "unsure" | "forbidden" | "invalid",
    /** For each file of the request. */
    readonly files: Problems[] = [],
    readonly dataset: Problems = {},
  ) {
    super(reason);
  }
}

interface Shown {
  resources: Fields[];
}

/** The dataset's way to be changed, from a page of CKAN's. */
export class Dataset {
  /** `siteUrl`: of CKAN, without a slash at its end. */
  constructor(
    private readonly siteUrl: string,
    private readonly id: string,
  ) {}

  /** Adds resources at the end, in this order, and changes `fields` of the dataset, in one save. */
  async add(resources: readonly Fields[], fields: Fields): Promise<void> {
    const message: Fields = { match: { id: this.id } };
    if (resources.length) message["update__resources__extend"] = resources;
    if (Object.keys(fields).length) message["update"] = fields;
    const { status, answer } = await this.call("package_revise", message);
    if (status === 200) return;
    if (status === 403 || status === 401 || status === 404) throw new NotSaved("forbidden");
    if (status !== 409) throw new NotSaved("unsure");
    const { resources: told, ...rest } = (answer["error"] ?? {}) as Fields;
    const problems = Array.isArray(told) ? (told as Problems[]) : [];
    // CKAN speaks of all resources that the dataset would have: ours come after those that it has.
    const there = problems.length ? (await this.resources()).length : 0;
    const files = resources.map((_, at) => problems[there + at] ?? {});
    throw new NotSaved("invalid", files, sentences(rest));
  }

  /** Those that the dataset has. */
  async resources(): Promise<Fields[]> {
    const { status, answer } = await this.call("package_show", { id: this.id });
    if (status !== 200) throw new NotSaved(status === 403 || status === 404 ? "forbidden" : "unsure");
    return (answer["result"] as Shown).resources;
  }

  private async call(action: string, message: Fields): Promise<{ status: number; answer: Fields }> {
    for (const again of [false, true]) {
      try {
        const { status, text } = await browserHttp({
          method: "POST",
          url: `${this.siteUrl}/api/3/action/${action}`,
          headers: { "Content-Type": "application/json", ...(await ofPage(again)) },
          body: JSON.stringify(message),
        });
        // What the page was given to prove where it comes from holds for a while only.
        if (status === 400 && !again) continue;
        return { status, answer: parsed(text) };
      } catch {
        throw new NotSaved("unsure");
      }
    }
    throw new NotSaved("unsure");
  }
}

/** The resource that a file becomes. */
export function resourceOf(uploaded: Uploaded, filename: string, name: string, format: string, others: Fields): Fields {
  const { uploadId, oid, size } = uploaded;
  const file = uploadId === null ? { sha256: oid, size } : { upload_id: uploadId };
  return { ...others, url_type: "upload", url: filename, name, format, ...file };
}

function sentences(told: Fields): Problems {
  const problems: Problems = {};
  for (const [field, value] of Object.entries(told)) {
    if (field.startsWith("__")) continue;
    problems[field] = Array.isArray(value) ? value.map(String) : [typeof value === "string" ? value : JSON.stringify(value)];
  }
  return problems;
}

function parsed(text: string): Fields {
  try {
    return JSON.parse(text) as Fields;
  } catch {
    return {};
  }
}
