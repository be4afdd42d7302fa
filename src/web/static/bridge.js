/*
 * The panel's side of a module frame. It answers only to the window of its own iframe, makes requests below this module's own
 * addresses only (the server checks user, installation and declared route again), and never puts anything from the module into the
 * panel's page: heights are bounded numbers, names are file names, outside addresses are shown as text and need a click.
 */
(() => {
  const MIN_HEIGHT = 60;
  const MAX_HEIGHT = 20000;
  const METHODS = new Set(['GET', 'POST', 'PUT', 'DELETE']);
  const csrf = document.querySelector('meta[name="csrf-token"]')?.content ?? '';

  for (const frame of document.querySelectorAll('iframe[data-module-frame]')) connect(frame);

  function connect(frame) {
    /* Where the module's pages are: '/t/acme/m/{installation}/page/' or '/t/acme/m/client/{service}/'. */
    const pages = frame.dataset.pages;
    const isTab = /\/m\/(?:client|service)\/[^/]+\/$/.test(pages);
    const home = pages.replace(/(?:page\/)?$/, '');
    let current = new URL(frame.getAttribute('src'), location.href);
    let port;

    /** A path below the module's pages, or undefined: absolute addresses of the guide's form are understood too. */
    function inside(href, from) {
      if (typeof href !== 'string' || /^[a-z][a-z0-9+.-]*:/i.test(href) || href.startsWith('//'))
        return undefined;
      const short = href.replace(/^\/admin\/modules\/[^/]+\/[^/]+\//, '');
      const base = from === 'page' && short === href ? current : new URL(pages, location.href);
      const url = URL.parse(short, base);
      if (url === null || url.origin !== location.origin || !url.pathname.startsWith(pages)) return undefined;
      return url.pathname.slice(pages.length) + url.search;
    }

    function callUrl(path) {
      const [route = '', query] = path.split('?');
      const tail = query === undefined ? '' : `?${query}`;
      if (!isTab) return `${home}call/${route}${tail}`;
      const tab = route === '' ? current.pathname.slice(pages.length).split('/')[0] : route.split('/')[0];
      return `${pages}${tab}/call${tail}`;
    }

    async function request(path, method, text, contentType) {
      const headers = { accept: 'application/json', 'x-csrf-token': csrf };
      if (contentType) headers['content-type'] = String(contentType);
      const body = method === 'GET' ? undefined : (text ?? '');
      const response = await fetch(callUrl(path), { method, headers, body });
      const data = await response.json();
      if (data.error) throw Object.assign(new Error(data.error.message), { code: data.error.code });
      return data;
    }

    function navigate(path) {
      current = new URL(pages + path, location.href);
      frame.src = current.href;
      if (frame.dataset.show) history.replaceState(null, '', frame.dataset.show + path);
    }

    async function leave(url) {
      const target = URL.parse(url);
      if (target === null || !/^https?:$/.test(target.protocol)) return;
      const headers = {
        'content-type': 'application/json',
        accept: 'application/json',
        'x-csrf-token': csrf,
      };
      const response = await fetch(`${home}leave`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ url: target.href }),
      });
      const { allowed } = await response.json();
      if (allowed !== true) {
        await globalThis.bulkheadAsk(`This module may not send you to ${target.host}.`, 'Close');
        return;
      }
      if (await globalThis.bulkheadAsk(`This module wants to open ${target.origin}. Go there?`, 'Open'))
        window.open(target.href, '_blank', 'noopener,noreferrer');
    }

    function save(data, name) {
      const bytes =
        data.kind === 'bytes'
          ? Uint8Array.from(atob(data.base64), (character) => character.charCodeAt(0))
          : (data.text ?? JSON.stringify(data.body ?? null));
      const link = document.createElement('a');
      link.href = URL.createObjectURL(new Blob([bytes], { type: 'application/octet-stream' }));
      link.download = (name || data.filename || 'file').replace(/[^\w.() -]/g, '_').slice(0, 120);
      link.click();
      URL.revokeObjectURL(link.href);
    }

    async function follow(data) {
      if (data.kind === 'redirect') {
        if (/^https?:\/\//i.test(data.to)) return leave(data.to);
        const path = inside(data.to.replace(/^\/+(?!admin\/modules\/)/, ''), 'root');
        if (path !== undefined) navigate(path);
      } else if (data.kind === 'html') port.postMessage({ type: 'show', html: data.html });
      else if (data.kind === 'bytes') save(data, '');
      else port.postMessage({ type: 'show', html: await plain(data) });
      return undefined;
    }

    /** An answer that is no page, after a form: said by the panel, and the frame shows its present page anew. */
    async function plain(data) {
      const message =
        data.kind === 'json'
          ? (data.body?.message ?? (data.body?.success === false ? 'It did not work.' : 'Done.'))
          : data.text;
      await globalThis.bulkheadAsk(String(message), 'Close');
      frame.src = current.href;
      return '';
    }

    const handlers = {
      height: ({ height }) => {
        if (Number.isFinite(height))
          frame.style.height = `${Math.min(Math.max(height, MIN_HEIGHT), MAX_HEIGHT)}px`;
      },
      call: async ({ id, path, method, text, contentType }) => {
        try {
          const target = path === '' ? '' : inside(path, 'root');
          if (target === undefined || !METHODS.has(method))
            throw Object.assign(new Error('This is no address of the module.'), { code: 'NOT_FOUND' });
          port.postMessage({ type: 'reply', id, reply: await request(target, method, text, contentType) });
        } catch (error) {
          port.postMessage({
            type: 'reply',
            id,
            error: { code: error.code ?? 'HTTP_FAILED', message: String(error.message) },
          });
        }
      },
      navigate: ({ href, from }) => {
        const path = inside(href, from === 'root' ? 'root' : 'page');
        if (path !== undefined) navigate(path);
      },
      submit: async ({ href, method, fields }) => {
        const path =
          href === ''
            ? current.pathname.slice(pages.length) + (method === 'GET' ? '' : current.search)
            : inside(href, 'page');
        if (path === undefined || !METHODS.has(method)) return;
        if (method === 'GET') return navigate(`${path.split('?')[0]}?${fields}`);
        try {
          await follow(await request(path, method, fields, 'application/x-www-form-urlencoded'));
        } catch (error) {
          await globalThis.bulkheadAsk(String(error.message), 'Close');
        }
      },
      download: async ({ path, href, name }) => {
        const target = inside(path ?? href, path === undefined ? 'page' : 'root');
        if (target !== undefined) save(await request(target, 'GET'), String(name ?? ''));
      },
      leave: ({ url }) => leave(String(url)),
      loaded: () => {
        const form = document.querySelector('form[data-frame-form] [data-frame-data]');
        if (form !== null)
          port.postMessage({ type: 'fill', values: parse(form.value), errors: parse(form.dataset.errors) });
      },
      collected: ({ data }) => collected?.(data),
    };

    let collected;
    const around = frame.closest('form[data-frame-form]');
    around?.addEventListener('submit', (event) => {
      if (around.dataset.collected === 'yes') return;
      event.preventDefault();
      collected = (data) => {
        around.querySelector('[data-frame-data]').value = JSON.stringify(data);
        around.dataset.collected = 'yes';
        around.requestSubmit();
      };
      port?.postMessage({ type: 'collect' });
    });

    addEventListener('message', (event) => {
      if (event.source !== frame.contentWindow || event.data !== 'bulkhead:ready') return;
      port?.close();
      const channel = new MessageChannel();
      port = channel.port1;
      port.addEventListener('message', ({ data }) => {
        if (typeof data !== 'object' || data === null || !Object.hasOwn(handlers, data.type)) return;
        Promise.resolve(handlers[data.type](data)).catch(() => undefined);
      });
      port.start();
      /* The frame's origin is opaque: there is no other target to name, and the window itself was compared above. */
      frame.contentWindow.postMessage(
        { type: 'connect', theme: document.documentElement.dataset.bsTheme ?? 'light' },
        '*',
        [channel.port2],
      );
    });
    document.addEventListener('bulkhead:theme', (event) =>
      port?.postMessage({ type: 'theme', theme: event.detail }),
    );
  }

  function parse(text) {
    try {
      return JSON.parse(text || '{}');
    } catch {
      return {};
    }
  }
})();
