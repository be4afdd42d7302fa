/**
 * What a new server does at its first start. The guide makes a root password, stores it, and never tells the server; this does. JSON
 * texts are YAML texts too, so no password can end its line.
 */
export function cloudInit(rootPassword: string): string {
  return [
    '#cloud-config',
    'ssh_pwauth: true',
    'chpasswd:',
    '  expire: false',
    '  users:',
    `    - {name: root, type: text, password: ${JSON.stringify(rootPassword)}}`,
    '',
  ].join('\n');
}
