/*
 * Three things that a form cannot do: open the console, show the root password, and keep the charts moving. Everything else on
 * the pages works without this script.
 */
(() => {
  const panel = globalThis.panel;
  if (panel === undefined || typeof panel.fetch !== 'function') return;

  const MONITORING_MS = 60_000;
  const say = (text) => {
    const place = document.querySelector('[data-vps-message]');
    if (place !== null) place.textContent = text;
  };

  /** The data of an answer; the message of one that failed is shown, never more than the server says. */
  async function ask(options) {
    try {
      const response = await panel.fetch('', options);
      const body = await response.json();
      if (response.ok) return body;
      say(String(body.message ?? body.error ?? ''));
    } catch (error) {
      say(String(error.message));
    }
    return undefined;
  }

  /** One request a button at a time. */
  function onPress(selector, work) {
    const button = document.querySelector(selector);
    button?.addEventListener('click', async () => {
      button.disabled = true;
      say('');
      await work(button);
      button.disabled = false;
    });
  }

  onPress('[data-vps-console]', async () => {
    const body = await ask({ method: 'GET' });
    if (body !== undefined) panel.open(body.console_url);
  });

  onPress('[data-vps-reveal]', async (button) => {
    const body = await ask({ method: 'POST', body: { action: 'reveal_password' } });
    if (body === undefined) return;
    const place = document.querySelector('[data-vps-password]');
    place.textContent = body.data.root_password;
    place.hidden = false;
    button.hidden = true;
  });

  async function refresh() {
    const body = await ask({ method: 'GET' });
    for (const chart of body?.data ?? []) {
      const card = document.querySelector(`[data-vps-chart="${CSS.escape(chart.key)}"]`);
      if (card === null) continue;
      card.querySelector('polyline').setAttribute('points', chart.points);
      card.querySelector('[data-vps-latest]').textContent = chart.latest;
      card.querySelector('[data-vps-highest]').textContent = chart.highest;
    }
  }
  if (document.querySelector('[data-vps-monitoring]') !== null) setInterval(refresh, MONITORING_MS);
})();
