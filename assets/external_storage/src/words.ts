/** Texts for people: in the language of the page, by CKAN's own catalogs. */

import type { ErrorCode, UploadError } from "../../../sdk/src/types.js";

/** What each CKAN module has. Texts are literals where these are called, so that they are found for translation. */
export interface Translator {
  _(text: string, values?: Record<string, string | number>): string;
  ngettext(one: string, many: string, num: number, values?: Record<string, string | number>): string;
}

/** What an error text may have to name. Sizes in bytes. */
export interface Limits {
  maxSize: number | null;
  hashFirstMax: number | null;
  refusedTypes: readonly string[];
}

const UNITS = 1024;

export class Words {
  private readonly number: Intl.NumberFormat;
  private readonly share: Intl.NumberFormat;

  constructor(
    readonly say: Translator,
    locale: string,
  ) {
    const known = Intl.NumberFormat.supportedLocalesOf(locale.replace("_", "-"));
    this.number = new Intl.NumberFormat(known, { maximumFractionDigits: 1 });
    this.share = new Intl.NumberFormat(known, { style: "percent" });
  }

  /** As CKAN's pages write it, "1.5 MiB". */
  size(bytes: number): string {
    const say = this.say;
    if (bytes < UNITS) return say.ngettext("%(num)d byte", "%(num)d bytes", bytes);
    const power = Math.min(4, Math.floor(Math.log2(bytes) / 10));
    const size = this.number.format(Math.floor((bytes * 10) / UNITS ** power) / 10);
    if (power === 1) return say._("%(size)s KiB", { size });
    if (power === 2) return say._("%(size)s MiB", { size });
    if (power === 3) return say._("%(size)s GiB", { size });
    return say._("%(size)s TiB", { size });
  }

  /** "43 %"; see `hundredths`. */
  percent(part: number, whole: number): string {
    return this.share.format(hundredths(part, whole) / 100);
  }

  /** "about 3 minutes left" */
  left(seconds: number): string {
    const say = this.say;
    if (seconds < 60) {
      const num = Math.max(1, seconds < 10 ? Math.ceil(seconds) : Math.ceil(seconds / 10) * 10);
      return say.ngettext("about %(num)d second left", "about %(num)d seconds left", num);
    }
    if (seconds < 5400) {
      const num = Math.round(seconds / 60);
      return say.ngettext("about %(num)d minute left", "about %(num)d minutes left", num);
    }
    const num = Math.round(seconds / 3600);
    return say.ngettext("about %(num)d hour left", "about %(num)d hours left", num);
  }

  /** What happened and what to do. */
  error(error: UploadError, size: number, limits: Limits): string {
    const say = this.say;
    const texts: Record<ErrorCode, () => string> = {
      network: () =>
        say._("The server cannot be reached. Check your connection, then try again: the upload goes on where it was."),
      cors: () =>
        say._(
          "The file store does not take files from this site's pages. Tell the site's administrator to allow this site's address in the CORS settings of the store.",
        ),
      policy: () =>
        say._(
          "This site's pages may not send files to the file store. Tell the site's administrator to add its address to connect-src in the Content-Security-Policy.",
        ),
      forbidden: () => say._("You may not add files to this dataset. Ask an administrator of its organization."),
      logged_out: () =>
        say._(
          "You are not logged in any more. Log in again in another tab, come back here and try again: the upload goes on where it was.",
        ),
      too_large: () => this.tooLarge(size, limits),
      quota: () =>
        say._(
          "There is not enough room left for this file in the organization's storage. Remove files or discard unfinished uploads, or ask the site's administrator for more.",
        ),
      too_many: () => say._("You have too many unfinished uploads. Finish or discard some of them, then try again."),
      refused_type: () => this.refused(limits),
      full: () =>
        say._("The site has no room for files left. Tell its administrator, then try again: the upload goes on where it was."),
      no_worker: () =>
        say._(
          "All of the file has arrived, but the site's program that checks files is not running. Tell the site's administrator to start it (ckan jobs worker), then try again: nothing is sent twice.",
        ),
      mismatch: () => say._("What arrived is not what the file has: something on the way changed it. Try again: all of it is sent anew."),
      changed: () => say._("The file has changed or cannot be read any more. Choose it again."),
      over: () =>
        say._("This upload has been ended: in another tab perhaps, or after a day without progress. Try again, and it begins anew."),
      cancelled: () => say._("The upload was cancelled. Choose the file again."),
      hash_first: () =>
        say._("The file is too large for this site: it must be read as a whole before it is sent, and that is done for files of up to %(size)s.", {
          size: this.size(limits.hashFirstMax ?? 0),
        }),
      server: () => say._("The server could not take the file. It says: %(message)s", { message: error.message }),
    };
    return texts[error.code]();
  }

  tooLarge(size: number, limits: Limits): string {
    if (limits.maxSize === null || size <= limits.maxSize) {
      return this.say._("The file is larger than this site takes. Choose a smaller one.");
    }
    return this.say._("The file has %(size)s; this site takes files of up to %(most)s. Choose a smaller one.", {
      size: this.size(size),
      most: this.size(limits.maxSize),
    });
  }

  refused(limits: Limits): string {
    return this.say._("This site does not take files of this type (%(types)s). Choose another one.", {
      types: limits.refusedTypes.map((ending) => `.${ending}`).join(", "),
    });
  }
}

/** How many of 100; never 100 before all of it is there. */
export function hundredths(part: number, whole: number): number {
  return whole > 0 ? Math.floor((100 * Math.min(part, whole)) / whole) : 100;
}
