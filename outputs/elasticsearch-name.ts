/** Names of indices, data streams and templates: what Elasticsearch and OpenSearch allow (create-index API documentation). */

const MAX_BYTES = 255;

/**
 * The name that a rendered index becomes: lower case, what is forbidden replaced by `_`, none of `-_+.` at its
 * beginning, at most 255 bytes.
 */
export function indexName(name: string): string {
  const clean = allowed(name).replace(/^[-_+.]+/, "");
  if (clean === "") return "unknown";
  const bytes = Buffer.from(clean);
  return bytes.length <= MAX_BYTES ? clean : bytes.toString("utf8", 0, MAX_BYTES).replace(/\ufffd+$/, "");
}

/** The pattern of all names that an index template (agent/config/template.ts) can become: placeholders are `*`. */
export function indexPattern(template: string): string {
  const parts = template.split(/\{[^{}]*\}/);
  if (parts.length === 1) return indexName(template);
  return parts
    .map((part) => allowed(part))
    .join("*")
    .replace(/^[-_+.]+/, "");
}

function allowed(name: string): string {
  return name
    .toWellFormed()
    .toLowerCase()
    .replace(/[\\/*?"<>| ,#:\x00-\x1f\x7f]/g, "_");
}
