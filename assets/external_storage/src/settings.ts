/** What the page says of its dataset and site: `helpers.external_storage_upload_field`. Sizes in bytes. */

import type { Limits } from "./words.js";

export interface Settings {
  lfs_url: string;
  /** Of CKAN, without a slash at its end; empty where it is the host's own. */
  site_root: string;
  /** Id. */
  dataset: string;
  /** Name; null for a dataset without one. */
  organization: string | null;
  /** Stands for any organisation. */
  namespace: string;
  max_size: number | null;
  /** Of the largest file that is hashed before it is sent; null where that is not needed. */
  hash_first_max: number | null;
  refused_types: string[];
  /** Address of the script that hashes. */
  worker: string;
  /** The file that the resource has. */
  present: { name: string; size: number | null } | null;
  /** Whether that stays in a version of the dataset when it is replaced. */
  kept: boolean;
  /** What a form that is shown again came with. */
  arrived: { id: string; name: string | null; size: number; oid: string } | null;
  /** The user's own uploads in this dataset. */
  unfinished: { name: string; size: number }[];
}

export function limits(settings: Settings): Limits {
  return {
    maxSize: settings.max_size,
    hashFirstMax: settings.hash_first_max,
    refusedTypes: settings.refused_types,
  };
}

/** Whether a file of this name may come; the server decides in the same way (`beginning.check_name`). */
export function refusedType(name: string, refused: readonly string[]): boolean {
  const parts = name.toLowerCase().replace(/[. ]+$/, "").split(".");
  return parts.some((_, at) => at > 0 && refused.includes(parts.slice(at).join(".")));
}
