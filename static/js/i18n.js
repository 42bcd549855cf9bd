/** Texts of the scripts, in the language of the page. Its catalogue was loaded before; without one the English text stands. */

const { catalog = {}, plural = null } = globalThis.speechsiteTexts ?? {};

/** Which plural form a number takes. Only the forms of languages we have are known; others read as English. */
const PLURAL_FORMS = new Map([["(n > 1)", (n) => Number(n > 1)]]);
const pluralForm = PLURAL_FORMS.get(plural) ?? ((n) => Number(n !== 1));

export function gettext(text) {
  const found = catalog[text];
  if (found === undefined) return text;
  return typeof found === "string" ? found : found[0];
}

export function ngettext(singular, pluralText, count) {
  const found = catalog[singular];
  if (found === undefined) return count === 1 ? singular : pluralText;
  return found[pluralForm(count)] ?? found[0];
}

/** What numbers and times are formatted for. */
export const pageLanguage = () => globalThis.document?.documentElement.lang || "en";

/** Put values into `%(name)s`. */
export function interpolate(text, values) {
  return text.replace(/%\((\w+)\)s/g, (whole, name) => (name in values ? String(values[name]) : whole));
}
