/**
 * What the boundary must hold, each with an id that guards answer to: what an attacker does, what isolated-vm and Node were seen to let
 * through, and what would be wrong after it. One without a guard that was seen to be missed fails test/guards/matrix.test.ts;
 * docs/threats.md is made of this and of the guards.
 */
export const THREAT_SECTIONS = {
  language: {
    title: 'The language',
    threats: {
      'language-reach':
        'reading or changing anything a module was not handed: intrinsics, accessors, constructors, what the bundle holds',
      'language-leftovers':
        'what one invocation leaves to the next: module variables, globals, prototypes, RegExp statics, timers, late promises',
      'language-code':
        'a script that says how it is compiled: sloppy mode, a way out of its wrapper, dynamic import, cached code',
      'language-natives':
        'WebAssembly, shared or growing buffers and Atomics: gigabytes outside the heap’s limit, or an abort of the process',
    },
  },
  bridge: {
    title: 'The bridge',
    threats: {
      'bridge-objects':
        'anything but bounded text across the boundary: handles, typed arrays, thenables, getters, polluted options',
      'bridge-identity': 'speaking for another invocation, module or tenant by what a message says',
      'bridge-floods':
        'more calls, bytes, results, notices or items than allowed, counted where they are said and again where they are heard',
      'bridge-frames': 'frames, numbers and names that do not parse, and half-sent ones that are waited for',
      'bridge-errors':
        'errors that carry paths, stacks or codes that only the host may give, or that bring down who reads them',
      'bridge-class':
        'a limit told by the class of an error: a module throws a RangeError and is taken for out of memory',
      'bridge-rejection': 'a promise that is rejected and that nobody handles, inside or in the host',
    },
  },
  process: {
    title: 'The process',
    threats: {
      'process-time':
        'endless loops, also after an await, in a thrown value’s getter, or in one native call that only SIGKILL ends',
      'process-memory': 'memory that no heap limit counts, and the blame for it',
      'process-crash': 'an abort or a crash of the engine, blamed on a neighbour or believed to be nobody’s',
      'process-files':
        'files, environment, descriptors, children, workers, inspector of a process that runs native code',
      'process-network':
        'sockets from a process that runs native code: Node’s permission model does not block them',
      'process-user':
        'the account of a process that runs native code, equal to another tenant’s, PostgreSQL’s or the host’s',
      'process-orphans': 'processes that outlive the host, or fill its disk',
    },
  },
  limits: {
    title: 'Limits and the breaker',
    threats: {
      'limit-visible': 'a limit that is reached without a closed code, a line in the log or a count',
      'limit-breaker': 'a version that is killed again and again, or a right one that is blamed for it',
      'limit-fair': 'one tenant’s work in the way of another’s: queues, floods, a place at the runner',
    },
  },
  grants: {
    title: 'Grants and tenancy',
    threats: {
      'grant-deny': 'a capability that was not granted, or more of it than was granted',
      'grant-version': 'a consent given for one version that counts for what another asks',
      'grant-hosts': 'hosts asked for while a module runs, wider than confirmed or confirmed by nobody',
      'tenant-rows':
        'rows, deliveries, events, schedules, tasks or secrets of another tenant by an id that was guessed or learnt',
      'names-closed':
        'names from a request or a module that become a method, a route or a file by concatenation',
    },
  },
  http: {
    title: 'Connections to the outside',
    threats: {
      'http-host':
        'a URL that parsers read differently, a host beyond the grant, user and password in the address',
      'http-address':
        'private, mapped, translated and look-alike addresses; a name that changes its address between look and connect',
      'http-redirect': 'a redirect to a host that would have been refused, or with credentials for another',
      'http-smuggling':
        'line breaks in headers, hop-by-hop headers, Host, a second request in the first, an answer that was left waiting',
      'http-resources': 'bombs, drips and endless answers; more requests than granted',
      'secret-binding': 'a secret towards a host it is not bound to',
      'secret-echo': 'a secret’s value in an answer, an error, a log or a row',
      'mail-server':
        'a conversation with a mail server that is not granted, is private, downgrades TLS or injects before it',
      'mail-header':
        'a line of a mail’s content that becomes a header, a recipient, a file or an address to read from',
      'net-probe': 'using connect and ping to map a network that was not granted',
    },
  },
  database: {
    title: 'The database',
    threats: {
      'db-role': 'becoming another role, or keeping what was set for the next who gets the connection',
      'db-statements': 'several statements, utility statements, DDL at run time, settings, COPY',
      'db-catalog':
        'catalogs, functions and column notation that read what is not the module’s, or answer who else is there',
      'db-rights': 'objects of a module’s own that the host would run: triggers, views, operators, rules',
      'db-meet':
        'what outlives a session or meets others: temporary tables, large objects, advisory locks, LISTEN',
      'db-exhaust': 'connections, time, rows, a huge cell, disk',
      'db-errors': 'error texts that tell “denied” from “absent”, or name roles and schemas',
    },
  },
  views: {
    title: 'Pages and browsers',
    threats: {
      'view-template': 'templates that loop, reach a prototype or read a file',
      'view-frame': 'a module’s page that reaches the panel, its cookies, storage, or the network',
      'view-port': 'the frame’s message port asking the panel for what the module did not declare',
      'view-text': 'names, titles, errors and log lines of a module as HTML or as an address that runs',
      'view-headers': 'scripts, frames, sniffing or caching that a page’s policy lets through',
      'view-assets': 'assets beyond the version’s own files, or ones that run as pages of ours',
      'view-origin':
        'requests that another site, an opaque origin or an old token makes with a person’s session',
      'view-live': 'live streams that are held for nothing, or tell what their reader may not see',
    },
  },
  people: {
    title: 'People and sessions',
    threats: {
      'person-guess': 'guessing passwords, codes and links, in parallel or by turns',
      'person-session': 'sessions that are stolen, moved, fixed, or outlive what they were given for',
      'person-role': 'an account that does what its role may not, or hands out more than it holds',
      'person-host': 'a Host, a return address or a forwarded header that leads elsewhere',
      'person-upload': 'uploads and bodies that are collected before anybody asks who sent them',
      'person-embedded': 'an embedding application’s word taken for more than it says',
    },
  },
  packages: {
    title: 'Packages and the store',
    threats: {
      'package-paths': 'traversal, links, devices, duplicates, collisions by case or Unicode, hidden bytes',
      'package-bombs': 'sizes that are claimed, bombs, and more files than allowed',
      'package-signature':
        'a changed, added or removed file; a signature for something else; a second spelling',
      'package-publisher': 'another key under a known name, a revoked publisher, an older version',
      'package-remote':
        'a store elsewhere that lies about what it sends, who signed it, or where it leads; a key taken on its first sight',
      'package-build': 'the author’s bundler following an import, a link or a setting out of the folder',
    },
  },
  inbound: {
    title: 'What comes in',
    threats: {
      'webhook-bytes':
        'a webhook whose signature is checked over other bytes than were sent, or with another account’s secret',
      'webhook-replay': 'replays and duplicates that have a second effect',
      'webhook-flood': 'webhooks too large, too many, or at a guessed address',
      'webhook-answer': 'an answer to a webhook that sets cookies or runs in our origin',
    },
  },
  messages: {
    title: 'Events, schedules and messages',
    threats: {
      'event-names': 'events under another’s name, or heard without a grant',
      'event-storms': 'modules that answer each other without end; a handler or an event that stops the rest',
      'schedule-storms': 'schedules that pile up, run twice, or stop others',
      'message-floods': 'more mail or messages than granted; senders that send through senders',
      'message-recipients': 'messages to strangers, or with a content that no channel may carry',
    },
  },
  effects: {
    title: 'Nothing lost, nothing twice',
    threats: {
      'effect-steps':
        'a request of a job that is sent again after a crash, or believed unsent when it was sent',
      'effect-jobs':
        'a job that two workers run, or that ends as what it is not any more: cancelled, paused, taken',
      'effect-flows': 'a flow that is left half done, or done by two',
      'effect-events': 'an event or a delivery that is lost or doubled in a crash',
      'money-once': 'money that is booked, billed or given back twice, or to another',
    },
  },
} as const;

type Sections = typeof THREAT_SECTIONS;
export type SectionId = keyof Sections;
export type ThreatId = { [S in SectionId]: keyof Sections[S]['threats'] }[SectionId];
