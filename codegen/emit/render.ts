/** Renders templates: Handlebars, strict, without HTML escaping, over plain own-property objects. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { TemplateDelegate } from 'handlebars';
import Handlebars from 'handlebars';

/** A view: only own properties, since Handlebars renders inherited ones as nothing even in strict mode. */
export type View = { readonly [key: string]: string | number | boolean | View | readonly (View | string)[] };

const compiled = new Map<string, TemplateDelegate>();

/** The folder templates/ of the package: beside dist/ when installed, found from the compiled file's place. */
export const templatesFolder = fileURLToPath(new URL('../../../templates/', import.meta.url));

/** Renders templates/<name>. A value that the view lacks is an error. */
export function render(name: string, view: View): string {
  let template = compiled.get(name);
  if (template === undefined) {
    template = Handlebars.compile(readFileSync(`${templatesFolder}${name}`, 'utf8'), {
      strict: true,
      noEscape: true,
      knownHelpersOnly: true,
    });
    compiled.set(name, template);
  }
  return template(view);
}
