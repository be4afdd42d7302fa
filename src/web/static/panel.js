/*
 * The panel's own behaviour, without which every page still works: confirmation of grave actions, filters that submit themselves,
 * lists filtered in place, and live parts. A live part names the address of its fragment and of its event stream; each
 * event means "something changed", and the fragment is fetched anew, so the server renders in one place only.
 */
(() => {
  /** What we say, in the page's language; `{name}` stands for an argument. */
  const texts = JSON.parse(document.querySelector('meta[name="bh-words"]')?.content ?? '{}');
  const word = (name, args = {}) =>
    (texts[name] ?? name).replace(/\{(\w+)\}/g, (whole, key) => args[key] ?? whole);
  globalThis.bulkheadWord = word;

  const on = (name, selector, handler) =>
    document.addEventListener(name, (event) => {
      const found = event.target instanceof Element ? event.target.closest(selector) : null;
      if (found !== null) handler(found, event);
    });

  on('click', '[data-print]', () => window.print());
  on('click', '[data-back]', () => {
    if (history.length > 1) history.back();
    else location.assign('/');
  });

  on('click', '[data-copy]', (button) => void copy(button, document.querySelector(button.dataset.copy)));

  /** Without leave to write to the clipboard the text is selected at least. */
  async function copy(button, field) {
    field.select();
    if (navigator.clipboard === undefined) return;
    await navigator.clipboard.writeText(field.value);
    const text = button.textContent;
    button.textContent = button.dataset.copied ?? text;
    setTimeout(() => {
      button.textContent = text;
    }, 2_000);
  }

  on('submit', 'form[data-confirm]', (form, event) => {
    if (form.dataset.confirmed === 'yes') return;
    event.preventDefault();
    void confirmed(form, event.submitter);
  });

  async function confirmed(form, submitter) {
    if (!(await ask(form.dataset.confirm ?? '', form.dataset.confirmButton ?? word('go_on')))) return;
    form.dataset.confirmed = 'yes';
    form.requestSubmit(submitter ?? undefined);
  }

  /** A dialog of ours with two buttons; resolves to true for the first. Text only, never HTML. */
  function ask(text, button) {
    const dialog = document.createElement('dialog');
    dialog.className = 'bh-dialog card';
    const body = document.createElement('p');
    body.className = 'mb-3';
    body.textContent = text;
    const row = document.createElement('form');
    row.method = 'dialog';
    row.className = 'btn-list justify-content-end';
    const make = (label, value, look) => {
      const element = document.createElement('button');
      element.className = `btn ${look}`;
      element.value = value;
      element.textContent = label;
      return element;
    };
    row.append(make(word('cancel'), 'no', ''), make(button, 'yes', 'btn-danger'));
    dialog.append(body, row);
    document.body.append(dialog);
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener('close', () => {
        resolve(dialog.returnValue === 'yes');
        dialog.remove();
      });
    });
  }
  globalThis.bulkheadAsk = ask;

  on('change', 'form[data-auto] select, form[data-auto] input', (input) => input.form?.requestSubmit());

  let typing;
  on('input', 'form[data-auto] input[type=search]', (input) => {
    clearTimeout(typing);
    typing = setTimeout(() => input.form?.requestSubmit(), 400);
  });

  on('input', '[data-filter]', (input) => {
    const wanted = input.value.trim().toLowerCase();
    for (const row of document.querySelectorAll(input.dataset.filter))
      row.hidden = wanted !== '' && !row.textContent.toLowerCase().includes(wanted);
  });

  on('change', '[data-shows]', (select) => {
    for (const part of document.querySelectorAll(`[data-shown-for^="${select.dataset.shows}:"]`))
      part.hidden = part.dataset.shownFor !== `${select.dataset.shows}:${select.value}`;
  });

  for (const part of document.querySelectorAll('[data-live]')) live(part);

  function live(part) {
    const source = new EventSource(part.dataset.live);
    let fetching = false;
    let again = false;
    const refresh = async () => {
      if (fetching) {
        again = true;
        return;
      }
      fetching = true;
      try {
        const response = await fetch(part.dataset.fragment, { headers: { accept: 'text/html' } });
        if (response.ok) replace(part, await response.text());
      } finally {
        fetching = false;
        if (again) {
          again = false;
          void refresh();
        }
      }
    };
    source.addEventListener('changed', () => void refresh());
    addEventListener('pagehide', () => source.close(), { once: true });
  }

  /** Puts our own server's fragment in place and leaves what the person opened open. */
  function replace(part, html) {
    const open = new Set([...part.querySelectorAll('details[open][id]')].map((element) => element.id));
    part.innerHTML = html;
    /* Pieces of the same state that stand elsewhere on the page: its buttons, its facts. */
    for (const piece of part.querySelectorAll('template[data-live-part]')) {
      const place = document.querySelector(
        `[data-live-part="${CSS.escape(piece.dataset.livePart)}"]:not(template)`,
      );
      place?.replaceChildren(piece.content);
      piece.remove();
    }
    for (const element of part.querySelectorAll('details[id]')) if (open.has(element.id)) element.open = true;
    document.dispatchEvent(new CustomEvent('bulkhead:replaced'));
  }

  /* The consent page: how much is still missing. */
  const consent = document.querySelector('[data-consent]');
  if (consent !== null) {
    const count = () => {
      const missing = [...consent.querySelectorAll('input[type=checkbox][data-required]')].filter(
        (box) => !box.checked,
      );
      for (const line of consent.querySelectorAll('[data-line]'))
        line.classList.toggle('bh-off', !line.querySelector('input[type=checkbox]').checked);
      consent.querySelector('[data-missing]').hidden = missing.length === 0;
      consent.querySelector('[data-complete]').hidden = missing.length > 0;
      consent.querySelector('[data-missing-count]').textContent = String(missing.length);
      const enable = consent.querySelector('[data-enable]');
      if (enable !== null) enable.disabled = missing.length > 0;
    };
    consent.addEventListener('change', count);
    on('click', '[data-grant-all]', () => {
      for (const box of consent.querySelectorAll('input[type=checkbox][data-required]')) box.checked = true;
      count();
    });
    count();
  }
})();
