/** The upload field of CKAN's resource form. */

export {};
