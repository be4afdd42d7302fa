/** What bounds notifications: templates that admins write, people who are told, and how often a delivery is tried. */
export const NOTIFICATION_LIMITS = Object.freeze({
  templateCharacters: 32_000,
  subjectCharacters: 255,
  recipientCharacters: 320,
  /** A message as a module or a page gives it. */
  messageCharacters: 100_000,
  /** Rendering one template: it runs on the host, which answers others meanwhile. */
  renderMs: 50,
  renderMemory: 500_000,
  renderedCharacters: 400_000,
  /** People of the staff that one message goes to. */
  recipients: 100,
  rules: 100,
  tries: 4,
  backoffS: 30,
  /** Of one send(). */
  sendTimeoutS: 90,
  errorCharacters: 1_000,
});
