/**
 * The anchor of a heading, as GitHub makes it. VitePress's own turns `_` into `-`, and the links of problem answers
 * (`#upstream_timeout`) would lead nowhere.
 */
export function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/g, '-')
}
