/** What sends the files of a page: set up by what the page says of itself. */

import { browserUploader } from "../../../sdk/src/browser.js";
import type { Uploader } from "../../../sdk/src/types.js";
import type { Settings } from "./settings.js";

export function makeUploader(settings: Settings): Uploader {
  return browserUploader({
    siteUrl: settings.site_root,
    lfsUrl: settings.lfs_url,
    dataset: {
      id: settings.dataset,
      ...(settings.organization === null ? {} : { organization: settings.organization }),
    },
    namespace: settings.namespace,
    hashFirstMax: settings.hash_first_max,
    workerUrl: settings.worker,
  });
}
