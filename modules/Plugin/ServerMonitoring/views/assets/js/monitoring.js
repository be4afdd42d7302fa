/* Draws each check's response times, newest on the right; a check that failed is a red line from top to bottom. Refreshed once a minute. */
(() => {
  const panel = globalThis.panel;
  if (panel === undefined || typeof panel.fetch !== 'function') return;

  const REFRESH_MS = 60_000;
  const WIDTH = 300;
  const HEIGHT = 60;
  const MARGIN = 4;
  const SVG = 'http://www.w3.org/2000/svg';

  function element(name, attributes) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
    return made;
  }

  function draw(svg, points) {
    const times = points.map(({ ms }) => ms ?? 0);
    const highest = Math.max(1, ...times);
    const step = points.length > 1 ? WIDTH / (points.length - 1) : 0;
    const y = (ms) => HEIGHT - MARGIN - (ms / highest) * (HEIGHT - 2 * MARGIN);
    const line = times.map((ms, index) => `${(index * step).toFixed(1)},${y(ms).toFixed(1)}`).join(' ');
    const failures = points.flatMap(({ up }, index) =>
      up ? [] : [element('line', { x1: index * step, x2: index * step, y1: 0, y2: HEIGHT })],
    );
    svg.replaceChildren(element('polyline', { points: line }), ...failures);
  }

  async function refresh() {
    try {
      const answer = await panel.fetch('series');
      const { data = [] } = await answer.json();
      for (const { id, points } of data) {
        const card = document.querySelector(`[data-sm-check="${CSS.escape(String(id))}"]`);
        if (card !== null) draw(card.querySelector('svg'), points);
      }
    } catch {
      // The next refresh tries again; what is drawn stays.
    }
  }

  if (document.querySelector('[data-sm-series]') === null) return;
  void refresh();
  setInterval(refresh, REFRESH_MS);
})();
