/*
 * The first script in every module frame. It takes away what would reach the network around the content policy, then connects the frame
 * with the panel: height, theme, links, forms, and `panel.fetch` for the module's own scripts. Nothing here is a boundary: the
 * frame's opaque origin and its policy are, and the panel's side checks every message.
 *
 * For module authors:
 *   panel.fetch(path, {method, body, headers})  → Promise<{ok, status, json(), text()}>: a declared route, or this tab's own requests
 *   panel.navigate(path)      another page of this module        panel.open(url)      an outside address, after the person agreed
 *   panel.download(path, name)   saves what a route answers      panel.theme          'light' or 'dark'; the event 'panel:theme' tells changes
 */
(() => {
  for (const name of ['RTCPeerConnection', 'webkitRTCPeerConnection', 'RTCDataChannel', 'WebTransport'])
    try {
      Object.defineProperty(globalThis, name, { value: undefined, configurable: false, writable: false });
    } catch {
      /* Already taken away: the document was replaced and this script runs again. */
    }

  let port;
  let count = 0;
  const waiting = new Map();
  const early = [];

  const send = (message) => {
    if (port === undefined) early.push(message);
    else port.postMessage(message);
  };
  const call = (message) =>
    new Promise((resolve, reject) => {
      const id = ++count;
      waiting.set(id, { resolve, reject });
      send({ ...message, id });
    });

  const encode = (body) => {
    if (body === undefined || body === null) return {};
    if (typeof body === 'string') return { text: body, type: 'text/plain;charset=UTF-8' };
    if (body instanceof URLSearchParams)
      return { text: body.toString(), type: 'application/x-www-form-urlencoded' };
    if (body instanceof FormData)
      return encode(new URLSearchParams([...body].filter(([, value]) => typeof value === 'string')));
    return { text: JSON.stringify(body), type: 'application/json' };
  };

  const answer = (reply) => ({
    ok: reply.status >= 200 && reply.status < 300,
    status: reply.status,
    json: async () => (reply.kind === 'json' ? reply.body : JSON.parse(reply.text ?? '')),
    text: async () => (reply.kind === 'json' ? JSON.stringify(reply.body) : (reply.text ?? reply.html ?? '')),
  });

  const panel = {
    theme: 'light',
    async fetch(path, options = {}) {
      const { text, type } = encode(options.body);
      const headers = new Headers(options.headers);
      const method = (options.method ?? 'GET').toUpperCase();
      return answer(
        await call({
          type: 'call',
          path: String(path ?? ''),
          method,
          text,
          contentType: headers.get('content-type') ?? type,
        }),
      );
    },
    navigate: (path) => send({ type: 'navigate', href: String(path), from: 'root' }),
    open: (url) => send({ type: 'leave', url: String(url) }),
    download: (path, name) =>
      send({ type: 'download', path: String(path), name: name === undefined ? '' : String(name) }),
  };
  Object.defineProperty(globalThis, 'panel', {
    value: Object.freeze(
      Object.defineProperty(panel, 'theme', {
        get: () => document.documentElement.dataset.bsTheme ?? 'light',
      }),
    ),
    configurable: true,
  });

  const show = (html) => {
    document.open();
    document.write(html);
    document.close();
  };

  const height = () => {
    const body = document.body;
    if (body !== null) send({ type: 'height', height: Math.ceil(body.getBoundingClientRect().height) });
  };

  /** The inputs of the page as names and texts, for a form of the panel around the frame. */
  const collect = () => {
    const data = {};
    for (const form of document.forms.length > 0 ? document.forms : [])
      for (const [name, value] of new FormData(form)) add(data, name, value);
    for (const input of document.querySelectorAll('input[name], select[name], textarea[name]')) {
      if (input.form !== null || ((input.type === 'checkbox' || input.type === 'radio') && !input.checked))
        continue;
      if (input.multiple && input.selectedOptions)
        for (const option of input.selectedOptions) add(data, input.name, option.value);
      else add(data, input.name, input.value);
    }
    return data;
  };
  /** 'product_data[plan]' and 'plan[]' are both 'plan': the names that forms of the guide use. */
  const keyOf = (name) => name.replace(/\[\]$/, '').replace(/^\w+\[([^\]]+)\]$/, '$1');

  const add = (data, name, value) => {
    if (typeof value !== 'string') return;
    const key = keyOf(name);
    data[key] = key in data ? [data[key], value].flat() : value;
  };

  const fill = (values, errors) => {
    const elementsOf = (key) =>
      [...document.querySelectorAll('input[name], select[name], textarea[name]')].filter(
        (input) => keyOf(input.name) === key,
      );
    for (const [key, value] of Object.entries(values))
      for (const input of elementsOf(key))
        if (input.type === 'checkbox' || input.type === 'radio')
          input.checked = [value].flat().includes(input.value);
        else if (input.multiple && input.options)
          for (const option of input.options) option.selected = [value].flat().includes(option.value);
        else input.value = value;
    for (const [key, texts] of Object.entries(errors))
      for (const input of elementsOf(key)) {
        input.classList.add('is-invalid');
        const note = document.createElement('div');
        note.className = 'invalid-feedback';
        note.textContent = [texts].flat().join(' ');
        input.after(note);
      }
  };

  const received = (message) => {
    switch (message.type) {
      case 'reply': {
        const entry = waiting.get(message.id);
        waiting.delete(message.id);
        if (entry === undefined) return;
        if (message.error)
          entry.reject(Object.assign(new Error(message.error.message), { code: message.error.code }));
        else entry.resolve(message.reply);
        return;
      }
      case 'theme':
        document.documentElement.dataset.bsTheme = message.theme;
        document.dispatchEvent(new CustomEvent('panel:theme', { detail: message.theme }));
        return;
      case 'show':
        show(message.html);
        return;
      case 'collect':
        send({ type: 'collected', data: collect() });
        return;
      case 'fill':
        fill(message.values ?? {}, message.errors ?? {});
    }
  };

  addEventListener('message', (event) => {
    if (event.source !== parent || event.data?.type !== 'connect' || port !== undefined) return;
    port = event.ports[0];
    document.documentElement.dataset.bsTheme = event.data.theme;
    port.addEventListener('message', (inner) => received(inner.data));
    port.start();
    for (const message of early.splice(0)) port.postMessage(message);
  });

  document.addEventListener('submit', (event) => {
    if (event.defaultPrevented) return;
    event.preventDefault();
    const form = event.target;
    const fields = new URLSearchParams(
      [...new FormData(form, event.submitter)].filter(([, value]) => typeof value === 'string'),
    );
    const method = (
      fields.get('_method') ??
      event.submitter?.getAttribute('formmethod') ??
      form.getAttribute('method') ??
      'get'
    ).toUpperCase();
    const href = event.submitter?.getAttribute('formaction') ?? form.getAttribute('action') ?? '';
    send({ type: 'submit', href, method, fields: fields.toString() });
  });

  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a[href]') : null;
    if (link === null || event.defaultPrevented) return;
    const href = link.getAttribute('href') ?? '';
    if (href.startsWith('#')) return;
    event.preventDefault();
    if (link.hasAttribute('download'))
      send({ type: 'download', href, name: link.getAttribute('download') ?? '' });
    else if (/^https?:\/\//i.test(href)) send({ type: 'leave', url: href });
    else send({ type: 'navigate', href, from: 'page' });
  });

  const ready = () => {
    new ResizeObserver(height).observe(document.body);
    height();
    send({ type: 'loaded' });
  };
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', ready);
  else ready();
  /* The panel may not listen yet: said again until it answers. */
  const hello = () => {
    if (port !== undefined) return;
    parent.postMessage('bulkhead:ready', '*');
    setTimeout(hello, 100);
  };
  hello();
})();
