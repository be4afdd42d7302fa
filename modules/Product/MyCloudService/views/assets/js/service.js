/* Asks the module whether the account answers: panel.fetch('') is controllerClient_{tab}{Verb} of the tab that is shown. */
(() => {
  const button = document.querySelector('[data-check]');
  const place = document.querySelector('[data-checked]');
  async function check() {
    button.disabled = true;
    const response = await globalThis.panel.fetch('', { method: 'GET' });
    const body = await response.json();
    place.textContent = body.success ? place.dataset.good : String(body.message ?? '');
    button.disabled = false;
  }
  button?.addEventListener('click', () => void check());
})();
