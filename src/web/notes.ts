/** What a page says after something was done. The redirect carries a name of this closed list, never a text. */
const NOTES = {
  installed: 'The module is installed. Decide what it may do, then enable it.',
  granted: 'What this module may do is saved.',
  enabled: 'The module is enabled.',
  disabled: 'The module is disabled. Its data is kept.',
  uninstalled: 'The module is uninstalled.',
  purged: 'The module’s data is gone.',
  unpaused: 'The module runs again.',
  updated: 'The newer version is in place.',
  'settings-saved': 'The settings are saved.',
  'instance-added': 'Added. Fill in its settings.',
  'instance-on': 'It is on: it is offered from now on.',
  'instance-off': 'It is off: nobody is offered it.',
  'instance-removed': 'It is deleted.',
  'product-saved': 'The product is saved.',
  'client-created': 'The client is created and may sign in.',
  'admin-created': 'The admin is created and may sign in.',
  ordered: 'The order is placed. Its work has begun.',
  'action-queued': 'Queued. The timeline shows how it goes.',
  'task-retried': 'The task is queued again.',
  'task-cancelled': 'The task is cancelled.',
  'task-resumed': 'The task resumes at its step.',
  'step-done': 'The step counts as done; the task goes on.',
  'profile-saved': 'Saved.',
  'password-changed': 'The password is changed; your other sessions have ended.',
  'session-ended': 'The session has ended.',
  'role-saved': 'The role is saved.',
  'tenant-created': 'The tenant is created.',
  'egress-saved': 'The allowed addresses are saved.',
  reviewed: 'The decision is in force.',
  uploaded: 'The package was read and waits for review.',
  'operator-created': 'The operator is created. Sign in.',
  'signed-out': 'You are signed out.',
} as const;

export type Note = keyof typeof NOTES;

function isNote(name: string): name is Note {
  return Object.hasOwn(NOTES, name);
}

export function noteOf(name: string | undefined): string | undefined {
  return name !== undefined && isNote(name) ? NOTES[name] : undefined;
}

/** The address of a page that will say so. */
export function withNote(path: string, note: Note): string {
  return `${path}${path.includes('?') ? '&' : '?'}note=${note}`;
}
