/**
 * views: Liquid templates of the module's own package, rendered inside the isolate, so there is no op to call: the templates
 * come with the code. The limits (templateBytes, viewMs) bound one rendering.
 */
import { capability } from '../capability.ts';

export const views = capability({
  title: 'Views',
  doc: 'Render the module’s own templates into its own frame.',
  icon: 'table-columns',
  inherent: true,
  grant: {},
  ops: {},
});
