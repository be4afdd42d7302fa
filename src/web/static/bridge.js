/*
 * The panel's side of a module frame. It answers only to the window of its own iframe, makes requests below this module's own
 * addresses only (the server checks user, installation and declared route again), and never puts anything from the module into the
 * panel's page: heights are bounded numbers, names are file names, outside addresses are shown as text and need a click. A frame that
 * sends more than a page ever needs is taken away, so that the panel around it stays usable.
 */
(() => {
  const MIN_HEIGHT = 60;
  const MAX_HEIGHT = 20000;
  const MESSAGES_PER_SECOND = 500;
  const CALLS_AT_ONCE = 32;
  /** How long after a person last did something here a download or a question may come of it: an answer may be slow. */
  const GESTURE_MS = 30000;
  /** Closing a question is a click too, which the browser remembers for five seconds: it does not entitle to the next question. */
  const DEAF_MS = 5500;
  /** What a click in the frame says may be heard here before it is seen that the click entered the frame. */
  const ENTERING_MS = 150;
  const METHODS = new Set(['GET', 'POST', 'PUT', 'DELETE']);
  const csrf = document.querySelector('meta[name="csrf-token"]')?.content ?? '';

  const connected = new WeakSet();
  const connectAll = () => {
    for (const frame of document.querySelectorAll('iframe[data-module-frame]'))
      if (!connected.has(frame)) connect(frame);
  };
  connectAll();
  /* A live part of the page was put in place anew, perhaps with a frame in it. */
  document.addEventListener('bulkhead:replaced', connectAll);

  function connect(frame) {
    connected.add(frame);
    /* Where the module's pages are: '/t/acme/m/{installation}/page/' or '/t/acme/m/client/{service}/'. */
    const pages = frame.dataset.pages;
    const isTab = /\/m\/(?:client|service)\/[^/]+\/$/.test(pages);
    const home = pages.replace(/(?:page\/)?$/, '');
    let current = new URL(frame.getAttribute('src'), location.href);
    let port;
    let callsUnderWay = 0;
    let asking = false;
    let gestureAt = -Infinity;
    let deafUntil = 0;
    let unheardAt = -Infinity;
    let windowAt = 0;
    let messages = 0;

    /** Counts a message of the frame. False once there were too many: then the frame is gone. */
    function admitted() {
      const now = performance.now();
      if (navigator.userActivation.isActive) {
        if (now >= deafUntil) gestureAt = now;
        else unheardAt = now;
      }
      if (now - windowAt >= 1000) {
        windowAt = now;
        messages = 0;
      }
      messages++;
      if (messages <= MESSAGES_PER_SECOND) return true;
      takeAway();
      return false;
    }

    function takeAway() {
      port?.close();
      port = undefined;
      const note = document.createElement('div');
      note.className = 'alert alert-warning m-3';
      note.textContent = globalThis.bulkheadWord('too_busy');
      frame.replaceWith(note);
    }

    /** What a person must have caused: without one a page could ask, or save files, on its own and without end. */
    async function isCausedByPerson() {
      if (performance.now() < deafUntil) await new Promise((resolve) => setTimeout(resolve, ENTERING_MS));
      return performance.now() - gestureAt < GESTURE_MS;
    }

    /** One question at a time, and one for each thing a person did: any other is as good as declined. */
    async function askOnce(text, button) {
      if (asking || !(await isCausedByPerson()) || asking) return false;
      asking = true;
      try {
        return await globalThis.bulkheadAsk(text, button);
      } finally {
        asking = false;
        gestureAt = -Infinity;
        deafUntil = performance.now() + DEAF_MS;
        /* So that the next click in the frame is seen to enter it. */
        frame.blur();
      }
    }
    addEventListener('blur', () => {
      if (document.activeElement !== frame) return;
      const now = performance.now();
      if (now < deafUntil && now - unheardAt < ENTERING_MS) gestureAt = now;
      deafUntil = 0;
    });

    /** A path below the module's pages, or undefined: absolute addresses of the guide's form are understood too. */
    function inside(href, from) {
      if (typeof href !== 'string' || /^[a-z][a-z0-9+.-]*:/i.test(href) || href.startsWith('//'))
        return undefined;
      const short = href.replace(/^\/admin\/modules\/[^/]+\/[^/]+\//, '');
      const base = from === 'page' && short === href ? current : new URL(pages, location.href);
      const url = URL.parse(short, base);
      if (url === null || url.origin !== location.origin || !url.pathname.startsWith(pages)) return undefined;
      /* Some proxies decode these before they look at a path. */
      if (/%(?:2e|2f|5c)/i.test(url.pathname)) return undefined;
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
      if (target === null || !/^https?:$/.test(target.protocol) || asking || !(await isCausedByPerson()))
        return;
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
        await askOnce(
          globalThis.bulkheadWord('may_not_leave', { host: target.host }),
          globalThis.bulkheadWord('close'),
        );
        return;
      }
      if (
        await askOnce(
          globalThis.bulkheadWord('wants_to_open', { origin: target.origin }),
          globalThis.bulkheadWord('open'),
        )
      )
        window.open(target.href, '_blank', 'noopener,noreferrer');
    }

    function save(data, name) {
      const bytes =
        data.kind === 'bytes'
          ? Uint8Array.from(atob(data.base64), (character) => character.charCodeAt(0))
          : (data.text ?? JSON.stringify(data.body ?? null));
      const link = document.createElement('a');
      link.href = URL.createObjectURL(new Blob([bytes], { type: 'application/octet-stream' }));
      link.download = (name || data.filename || 'file')
        .replace(/[^\w.() -]/g, '_')
        .replace(/^\.+/, '')
        .slice(0, 120);
      link.click();
      URL.revokeObjectURL(link.href);
    }

    async function follow(data) {
      /* Said by the panel itself, of a page of its own. */
      if (data.kind === 'panel') {
        if (await isCausedByPerson()) location.assign(data.to);
        return undefined;
      }
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
          ? (data.body?.message ??
            (data.body?.success === false
              ? globalThis.bulkheadWord('did_not_work')
              : globalThis.bulkheadWord('done')))
          : data.text;
      await askOnce(String(message), globalThis.bulkheadWord('close'));
      frame.src = current.href;
      return '';
    }

    const handlers = {
      height: ({ height }) => {
        if (Number.isFinite(height))
          frame.style.height = `${Math.min(Math.max(height, MIN_HEIGHT), MAX_HEIGHT)}px`;
      },
      call: async ({ id, path, method, text, contentType }) => {
        callsUnderWay++;
        try {
          if (callsUnderWay > CALLS_AT_ONCE)
            throw Object.assign(new Error('Too many requests at once.'), { code: 'LIMIT' });
          const target = path === '' ? '' : inside(path, 'root');
          if (target === undefined || !METHODS.has(method))
            throw Object.assign(new Error('This is no address of the module.'), { code: 'NOT_FOUND' });
          const reply = await request(target, method, text, contentType);
          port?.postMessage({ type: 'reply', id, reply });
        } catch (error) {
          port?.postMessage({
            type: 'reply',
            id,
            error: { code: error.code ?? 'HTTP_FAILED', message: String(error.message) },
          });
        } finally {
          callsUnderWay--;
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
          await askOnce(String(error.message), globalThis.bulkheadWord('close'));
        }
      },
      download: async ({ path, href, name }) => {
        const target = inside(path ?? href, path === undefined ? 'page' : 'root');
        if (target !== undefined && (await isCausedByPerson()))
          save(await request(target, 'GET'), String(name ?? ''));
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
      if (frame.contentWindow === null || event.source !== frame.contentWindow || !admitted()) return;
      if (event.data !== 'bulkhead:ready') return;
      port?.close();
      const channel = new MessageChannel();
      port = channel.port1;
      port.addEventListener('message', ({ data, target }) => {
        if (target !== port || !admitted()) return;
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
