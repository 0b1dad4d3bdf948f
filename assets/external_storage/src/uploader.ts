import type { Uploader } from "../../../sdk/src/types.js";
import type { Settings } from "./settings.js";
export function makeUploader(_settings: Settings): Uploader { throw new Error("soon"); }
