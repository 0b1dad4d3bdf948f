/** Datasets as Data Package descriptors and back (specs.frictionlessdata.io/data-package).
 *
 * Only what both sides know has another name here; all else keeps CKAN's. So `toDataset(toDescriptor(d), d)`
 * says what `d` says, for every dataset: what was not changed is taken from the dataset itself.
 */

export type Dict = Record<string, unknown>;

/** A Data Package; also anything else that CKAN says of a dataset, under CKAN's name. */
export interface Descriptor extends Dict {
  name?: string;
  title?: string;
  description?: string;
  keywords?: string[];
  resources?: ResourceDescriptor[];
}

/** A Data Resource; also anything else that CKAN says of a resource, such as `id` and `sha256`. */
export interface ResourceDescriptor extends Dict {
  name?: string;
  /** CKAN's `url`. */
  path?: string;
  /** CKAN's `size`. */
  bytes?: number;
  /** CKAN's `mimetype`. */
  mediatype?: string;
}

/** Descriptor → CKAN. */
const DATASET = new Map([
  ["description", "notes"],
  ["homepage", "url"],
]);
const RESOURCE = new Map([
  ["path", "url"],
  ["bytes", "size"],
  ["mediatype", "mimetype"],
]);
/** CKAN works these out itself. */
const COMPUTED = new Set(["isopen", "num_resources", "num_tags", "organization"]);
const PEOPLE = ["author", "maintainer"] as const;
const LICENSE = { name: "license_id", title: "license_title", path: "license_url" } as const;
const MAPPED = new Set([
  ...PEOPLE.flatMap((role) => [role, `${role}_email`]),
  ...Object.values(LICENSE),
  "tags",
  "extras",
  "resources",
]);
/** What a dataset of CKAN has; other keys of a descriptor become extras. */
const OWN = new Set(
  `id name title version state type private owner_org groups creator_user_id metadata_created metadata_modified
  relationships_as_object relationships_as_subject plugin_data notes url`.split(/\s+/),
);
/** Texts of resources that are texts, whatever they look like. */
const TEXTS = new Set(["id", "name", "title", "description", "url", "format", "package_id"]);

/** A dataset, as `package_show` has it, as a descriptor. */
export function toDescriptor(dataset: Dict): Descriptor {
  const result: Descriptor = {};
  for (const [key, value] of Object.entries(dataset)) {
    if (value !== null && !COMPUTED.has(key) && !MAPPED.has(key)) {
      result[renamed(key, DATASET, dataset)] = value;
    }
  }
  const left: Dict[] = [];
  for (const extra of dicts(dataset["extras"])) {
    const key = String(extra["key"]);
    if (!["contributors", "licenses"].includes(key)) {
      if (key in result || key in dataset || COMPUTED.has(key) || ["keywords", ...DATASET.keys()].includes(key)) {
        left.push(extra); // under its own name it would be taken for something else
      } else {
        result[key] = parsed(extra["value"]);
      }
    }
  }
  if (left.length) result["extras"] = left;
  const people = contributors(dataset);
  if (people.length) result["contributors"] = people;
  const known = licenses(dataset);
  if (known.length) result["licenses"] = known;
  const tags = dicts(dataset["tags"]);
  if (tags.length) result.keywords = tags.map((tag) => String(tag["name"]));
  result.resources = dicts(dataset["resources"]).map(toResourceDescriptor);
  return result;
}

/** A resource of CKAN as a descriptor; JSON in its fields (`schema`, `sample`, …) is parsed. */
export function toResourceDescriptor(resource: Dict): ResourceDescriptor {
  const result: ResourceDescriptor = {};
  for (const [key, value] of Object.entries(resource)) {
    if (value !== null) {
      result[renamed(key, RESOURCE, resource)] = TEXTS.has(key) ? value : parsed(value);
    }
  }
  return result;
}

/** A descriptor as CKAN takes it. `current`: the dataset as it is, if there is one. */
export function toDataset(descriptor: Descriptor, current: Dict = {}): Dict {
  const before = toDescriptor(current);
  const was = new Map(dicts(current["extras"]).map((extra) => [String(extra["key"]), extra["value"]]));
  const result: Dict = {};
  const extras: Dict[] = [...dicts(descriptor["extras"])];
  const add = (key: string, value: unknown, same: boolean): void => {
    extras.push({ key, value: same ? was.get(key) : text(value) });
  };
  for (const [key, value] of Object.entries(descriptor)) {
    if (value === null || value === undefined || ["extras", "keywords", "resources"].includes(key)) continue;
    const same = equal(value, before[key]);
    const name = key in current ? key : (DATASET.get(key) ?? key);
    if (key === "contributors" || key === "licenses") {
      const people = key === "contributors";
      const fields = people ? ofContributors(dicts(value)) : ofLicenses(dicts(value));
      Object.assign(result, same ? picked(current, Object.keys(fields)) : fields);
      // What does not fit into CKAN's fields is kept whole.
      const fits = people
        ? equal(contributors(fields), dicts(value).map((person) => ({ role: "author", ...person })))
        : equal(licenses(fields), value);
      if (same ? was.has(key) : !fits) add(key, value, same);
    } else if (name in current || OWN.has(name) || MAPPED.has(name)) {
      result[name] = value;
    } else {
      add(key, value, same && was.has(key));
    }
  }
  if (extras.length || was.size) result["extras"] = extras;
  if (descriptor.keywords) {
    const tags = new Map(dicts(current["tags"]).map((tag) => [tag["name"], tag]));
    result["tags"] = descriptor.keywords.map((name) => tags.get(name) ?? { name });
  }
  if (descriptor.resources) {
    const resources = new Map(dicts(current["resources"]).map((resource) => [resource["id"], resource]));
    result["resources"] = descriptor.resources.map((resource) =>
      toResource(resource, resources.get(resource["id"])),
    );
  }
  return result;
}

/** A resource's descriptor as CKAN takes it; `current` as for `toDataset`. */
export function toResource(descriptor: ResourceDescriptor, current: Dict = {}): Dict {
  const before = toResourceDescriptor(current);
  const result: Dict = {};
  for (const [key, value] of Object.entries(descriptor)) {
    if (value === null || value === undefined) continue;
    const name = key in current ? key : (RESOURCE.get(key) ?? key);
    if (equal(value, before[key])) result[name] = current[name];
    else result[name] = typeof value === "object" ? text(value) : value;
  }
  return result;
}

function contributors(dataset: Dict): Dict[] {
  const others = dicts(parsed(valueOf(dataset, "contributors")));
  const named = PEOPLE.map((role) => ({ title: dataset[role], email: dataset[`${role}_email`], role }))
    .filter((person) => person.title || person.email)
    .filter((person) => !others.some((other) => other["title"] === person.title && other["role"] === person.role));
  return [...named.map(withoutBlanks), ...others];
}

function ofContributors(people: Dict[]): Dict {
  const result: Dict = {};
  for (const role of PEOPLE) {
    const found = people.find((person) => (person["role"] ?? "author") === role);
    result[role] = found?.["title"] ?? "";
    result[`${role}_email`] = found?.["email"] ?? "";
  }
  return result;
}

function licenses(dataset: Dict): Dict[] {
  const all = dicts(parsed(valueOf(dataset, "licenses")));
  const entries = Object.entries(LICENSE).map(([key, field]) => [key, dataset[field]] as const);
  const first = withoutBlanks(Object.fromEntries(entries));
  return all.length ? all : Object.keys(first).length ? [first] : [];
}

function ofLicenses([first]: Dict[]): Dict {
  return Object.fromEntries(Object.entries(LICENSE).map(([key, field]) => [field, first?.[key] ?? ""]));
}

function valueOf(dataset: Dict, extra: string): unknown {
  return dicts(dataset["extras"]).find((found) => found["key"] === extra)?.["value"];
}

/** The descriptor's name of a field, unless the dataset has a field of that name besides. */
function renamed(key: string, names: Map<string, string>, dataset: Dict): string {
  for (const [name, field] of names) {
    if (field === key && !(name in dataset)) return name;
  }
  return key;
}

/** Objects and lists that are written as JSON. Numbers and the like stay texts: `1.10` is no number. */
function parsed(value: unknown): unknown {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function dicts(value: unknown): Dict[] {
  if (!Array.isArray(value)) return [];
  return value.filter((item) => typeof item === "object" && item !== null) as Dict[];
}

function picked(dict: Dict, keys: string[]): Dict {
  return Object.fromEntries(keys.filter((key) => key in dict).map((key) => [key, dict[key]]));
}

function withoutBlanks(dict: Dict): Dict {
  return Object.fromEntries(Object.entries(dict).filter(([, value]) => value));
}

function equal(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || !one || !other) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => key in other && equal((one as Dict)[key], (other as Dict)[key]))
  );
}
