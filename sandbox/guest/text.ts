/** Small helpers on texts and versions that the guide's modules use. */

/** Compares two semantic versions: versionCompare('1.2.0', '1.10.0', '<') is true. */
export function versionCompare(a: string, b: string, operator: '<' | '<=' | '=' | '>=' | '>' = '='): boolean {
  const left = a.split(/[.-]/).map(Number);
  const right = b.split(/[.-]/).map(Number);
  let order = 0;
  for (let index = 0; index < 3 && order === 0; index++)
    order = Math.sign((left[index] ?? 0) - (right[index] ?? 0));
  return { '<': order < 0, '<=': order <= 0, '=': order === 0, '>=': order >= 0, '>': order > 0 }[operator];
}

export function stripTags(text: string): string {
  return text.replace(/<[^>]*>/g, '');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
