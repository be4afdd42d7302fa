/** What the guide names and never defines: the mailer made of the settings, and the mail. */
import { v } from 'bulkhead';

const Settings = v.object({
  server: v.pipe(v.string(), v.minLength(1)),
  port: v.number(),
  encryption: v.picklist(['tls', 'starttls', 'none']),
  username: v.string(),
  /** A handle. */
  password: v.string(),
  from_email: v.pipe(v.string(), v.minLength(1)),
  from_name: v.string(),
});

export type Mailer = {
  readonly host: string;
  readonly port: number;
  readonly encryption: 'tls' | 'starttls' | 'none';
  readonly username: string;
  readonly password: string;
  readonly from: { readonly address: string; readonly name: string };
};

/** Undefined where the settings are not complete. */
export function buildMailerConfiguration(settings: unknown): Mailer | undefined {
  const read = v.safeParse(Settings, settings);
  if (!read.success) return undefined;
  const { server, port, encryption, username, password, from_email, from_name } = read.output;
  return {
    host: server,
    port,
    encryption,
    username,
    password,
    from: { address: from_email, name: from_name },
  };
}

const Attachments = v.array(
  v.object({ filename: v.string(), type: v.optional(v.string()), base64: v.string() }),
);

export class NotificationMail {
  readonly #content: {
    to: string[];
    subject: string;
    html: string;
    text: string;
    attachments: { filename: string; type?: string; base64: string }[];
  };

  constructor(to: string, subject: string, html: string, attachments: readonly unknown[], text: string) {
    const read = v.parse(Attachments, attachments);
    this.#content = {
      to: [to],
      subject,
      html,
      text,
      attachments: read.map(({ filename, type, base64 }) => ({
        filename,
        base64,
        ...(type === undefined ? {} : { type }),
      })),
    };
  }

  content() {
    return this.#content;
  }
}
