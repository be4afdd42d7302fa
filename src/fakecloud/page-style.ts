/** The look of the fake cloud's own pages; plain enough to be told apart from the product at a glance. */
import { raw } from 'hono/html';

export const PAGE_STYLE = raw(`<style>
  :root { color-scheme: light dark; }
  body { font: 16px/1.5 system-ui, sans-serif; margin: 0; padding: 1.5rem; }
  main { max-width: 70rem; margin: 0 auto; }
  section { margin-block: 2rem; }
  table { border-collapse: collapse; width: 100%; font-size: .9rem; margin-block: .8rem; }
  th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8886; vertical-align: top; overflow-wrap: anywhere; }
  caption { text-align: left; opacity: .75; padding-bottom: .3rem; }
  form { display: inline-flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
  button, input, select { font: inherit; padding: .25rem .6rem; }
  code { font-size: .9em; overflow-wrap: anywhere; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0; }
  dd { margin: 0; }
  .buttons { display: flex; flex-wrap: wrap; gap: .5rem; }
  .empty { opacity: .7; }
</style>`);
