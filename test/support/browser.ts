/** What a browser does, as far as the panel can tell: it keeps cookies, says where it comes from, and sends a page's token with its forms. */
const TOKEN = /name="csrf-token" content="([^"]+)"/;

export interface Browser {
  get(path: string): Promise<Response>;
  post(path: string, form: Readonly<Record<string, string>>): Promise<Response>;
  /** @param home '/operator', '/t/acme/admin' or '/t/acme' */
  signIn(home: string, login: { readonly email: string; readonly password: string }): Promise<Response>;
}

/**
 * @param origin 'http://127.0.0.1:4300'
 * @param ask what answers; the network by default, or an app itself
 */
export function openBrowser(
  origin: string,
  ask: (request: Request) => Response | Promise<Response> = fetch,
): Browser {
  const cookies = new Map<string, string>();
  let token = '';
  const send = async (path: string, init: RequestInit): Promise<Response> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const request = new Request(origin + path, { ...init, headers: { cookie, origin }, redirect: 'manual' });
    const response = await ask(request);
    for (const line of response.headers.getSetCookie()) {
      const [name = '', value = ''] = (line.split(';')[0] ?? '').split('=');
      cookies.set(name, value);
    }
    return response;
  };
  const post: Browser['post'] = (path, form) =>
    send(path, { method: 'POST', body: new URLSearchParams({ _csrf: token, ...form }) });
  return {
    get: (path) => send(path, {}),
    post,
    async signIn(home, { email, password }) {
      const response = await post(`${home}/sign-in`, { email, password });
      token = TOKEN.exec(await (await send(`${home}/profile`, {})).text())?.[1] ?? '';
      return response;
    },
  };
}
