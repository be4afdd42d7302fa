/** What Request and Response share: a body that is whole, and can be read once. There are no streams here: bodies are bounded. */
import { bytesOf, decodeUtf8, encodeUtf8 } from './encoding.ts';
import { FormData } from './form-data.ts';
import { Headers } from './headers.ts';
import type { HeadersInit } from './headers.ts';
import { URLSearchParams } from './url.ts';
import { asText } from './text.ts';

export type BodyInit = string | URLSearchParams | FormData | ArrayBuffer | ArrayBufferView;

/** A body's content: text until somebody asks for bytes, since most bodies are text on both ends. */
export type BodyContent = string | Uint8Array;

interface Extracted {
  readonly content: BodyContent | null;
  readonly type: string | null;
}

const FORM = 'application/x-www-form-urlencoded;charset=UTF-8';

function extract(init: BodyInit | null | undefined): Extracted {
  if (init === null || init === undefined) return { content: null, type: null };
  if (init instanceof URLSearchParams) return { content: init.toString(), type: FORM };
  if (init instanceof FormData) return { content: new URLSearchParams(init).toString(), type: FORM };
  if (init instanceof ArrayBuffer || ArrayBuffer.isView(init))
    return { content: bytesOf(init).slice(), type: null };
  return { content: asText(init), type: 'text/plain;charset=UTF-8' };
}

export class Body {
  readonly headers: Headers;
  #content: BodyContent | null;
  #isUsed = false;

  constructor(init: BodyInit | null | undefined, headers: HeadersInit | undefined) {
    const { content, type } = extract(init);
    this.headers = new Headers(headers);
    if (type !== null && !this.headers.has('content-type')) this.headers.set('content-type', type);
    this.#content = content;
  }

  get bodyUsed(): boolean {
    return this.#isUsed;
  }

  async text(): Promise<string> {
    const content = this.#take();
    if (typeof content === 'string') return content.startsWith('\ufeff') ? content.slice(1) : content;
    return decodeUtf8(content);
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text()) as unknown;
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    const content = this.#take();
    return typeof content === 'string' ? encodeUtf8(content) : content.slice();
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return (await this.bytes()).buffer;
  }

  /** Urlencoded bodies only. */
  async formData(): Promise<FormData> {
    const type = this.headers.get('content-type') ?? '';
    if (!type.startsWith('application/x-www-form-urlencoded'))
      throw new TypeError('The body is no urlencoded form.');
    return new FormData(new URLSearchParams(await this.text()));
  }

  /** For clone() and fetch: the content, without using it up. @throws TypeError if it was read */
  static contentOf(body: Body): BodyContent | null {
    if (body.#isUsed) throw new TypeError('The body was read already.');
    return body.#content;
  }

  #take(): BodyContent {
    if (this.#isUsed) throw new TypeError('The body was read already.');
    this.#isUsed = this.#content !== null;
    return this.#content ?? '';
  }
}
