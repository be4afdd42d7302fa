/**
 * Every number that bounds something, in one frozen table with its unit in its name. An installation's grants may narrow
 * some of them, nothing widens them.
 */
export const LIMITS = Object.freeze({
  /** A message across the boundary, either way, as UTF-8. */
  messageBytes: 4 * 1024 * 1024,
  /** The input of one capability call. */
  callInputBytes: 1024 * 1024,
  /** The answer to one capability call, and the result of an invocation. */
  resultBytes: 4 * 1024 * 1024,
  /** Capability calls of one invocation that may wait for an answer at once. */
  callsInFlight: 64,
  /** Capability calls that one invocation may make at all. */
  callsPerInvocation: 10_000,
  /** What one entry into the isolate may put in its outbox. */
  outboxMessages: 1_000,
  outboxBytes: 8 * 1024 * 1024,
  /** Objects, lists and items in them of one capability call: what a parser takes its time for, whatever the bytes. */
  callInputItems: 50_000,
  /** One notification (a log line, a progress note), in characters of JSON. */
  noticeBytes: 128 * 1024,
  /** Notifications that one isolate may send on; the rest is dropped in the runner, and said once. */
  noticesPerSecond: 200,
  noticeBytesPerSecond: 1024 * 1024,
  /** A runner whose messages keep the host busy for longer than this in a window waits until the next. */
  readMs: 50,
  readWindowMs: 100,

  /** Heap of one isolate; isolated-vm ends the isolate beyond it. */
  isolateHeapMb: 64,
  /** Resident memory of one runner process; the supervisor kills it beyond this. */
  runnerRssMb: 400,
  /** Above this its idle isolates are dropped: what they hold is mostly garbage of invocations that are over. */
  runnerRssRelieveMb: 240,
  /** Answers that wait for a runner to read them. */
  runnerUnreadBytes: 128 * 1024 * 1024,
  rssPollMs: 50,
  heartbeatMs: 250,
  /** A runner that has not answered a heartbeat for this long is killed; longer than the longest entry. */
  heartbeatGraceMs: 3_000,

  /** Wall time of an invocation that answers a person (a page, a form, a webhook). */
  requestWallMs: 10_000,
  /** Wall time of activate, update and deactivate. */
  lifecycleWallMs: 60_000,
  /** Wall time of reading a version's declaration in the throw-away sandbox. */
  declareWallMs: 5_000,
  /** Wall time of a job that names none (contract: job option timeout). */
  jobWallMs: 600_000,
  /** Processor time of one invocation: a warning at the soft one, an end at the hard one. */
  requestCpuSoftMs: 500,
  requestCpuHardMs: 2_000,
  jobCpuSoftMs: 5_000,
  jobCpuHardMs: 20_000,
  /** One uninterrupted entry into the isolate. */
  entryMs: 2_000,
  /** Beyond its deadline an invocation may keep its runner this long before the runner is killed. */
  deadlineGraceMs: 250,

  /** Kills of one installed version in that time after which it is paused. */
  breakerKills: 5,
  breakerWindowMs: 10 * 60_000,

  /** What a manifest may ask for, in lines of the consent page. */
  asks: 200,
  /** The title of a secret, and a publisher’s reason for one line, in characters. */
  consentTitleCharacters: 100,
  consentReasonCharacters: 500,
  /** What a module declares of itself, as JSON; the panel reads it for each page. */
  declarationBytes: 256 * 1024,
  declaredPermissions: 200,
  declaredRoutes: 300,
  declaredMenuEntries: 50,
  declaredTabs: 30,
  declaredFields: 200,
  /** Options of one select field. */
  fieldOptions: 1_000,
  /** Loading the choices of all fields of one form, in wall time. */
  optionsWallMs: 5_000,
  optionCharacters: 200,

  timersPerInvocation: 100,
  timerMs: 600_000,

  logLinesPerSecond: 100,
  logBytesPerSecond: 256 * 1024,
  logLineBytes: 32 * 1024,
  /** Refused calls of one invocation that get a line each. */
  refusalsTold: 20,

  /** An isolate that nobody used for this long is dropped; its process stays. */
  isolateIdleMs: 60_000,
  /** An idle runner process is ended after this long. */
  runnerIdleMs: 5 * 60_000,
  /** What all runner processes together may hold, of the machine's or container's memory; beyond it idle ones are ended. */
  runnersMemoryPercent: 25,
  runnersMinMb: 512,
  runners: 64,
  /** Isolates of one runner; the least recently used goes first. */
  isolatesPerRunner: 40,

  dbTextBytes: 20_000,
  dbParameters: 1_000,
  dbRows: 10_000,
  dbStatementMs: 5_000,
  dbStreamChunkRows: 500,
  dbConnections: 60,
  dbConnectionsPerInstallation: 4,

  httpRedirects: 5,
  httpRequestBytes: 1024 * 1024,
  httpResponseBytes: 2 * 1024 * 1024,
  httpFirstByteMs: 30_000,
  httpTotalMs: 60_000,

  /** One mail: recipients of each line, subject, attachments, and the whole message as it goes over the wire. */
  mailRecipients: 50,
  mailSubjectCharacters: 255,
  mailAttachments: 10,
  mailMessageBytes: 2 * 1024 * 1024,
  smtpTotalMs: 60_000,
  /** What a module says to people in one message, in characters. */
  noticeWords: 20_000,

  tasksQueued: 10_000,
  taskParamsBytes: 64 * 1024,
  taskTags: 20,

  /** Services, clients or products of one page of a list. */
  listRows: 500,
  listRowsDefault: 100,

  eventPayloadBytes: 32 * 1024,
  /** Events that lead to events: a handler's event is one deeper than the one it handles. */
  eventDepth: 5,
  /** Handlers that a version's hooks.ts may register. */
  eventHandlers: 50,
  eventPriority: 1_000,
  /** Of the events it emits or hears, by its manifest. */
  declaredEvents: 50,

  netConnectMs: 10_000,
  /** Hosts that one installation may have asked for while it ran. */
  hostRequests: 200,
  hostRequestsPerMinute: 300,

  /** What repeats by seconds repeats at most this often. */
  scheduleEveryMinS: 10,
  schedulesPerInstallation: 20,

  cacheSeconds: 30 * 86_400,
  cacheValueBytes: 256 * 1024,

  stepsPerTask: 100,
  templateBytes: 256 * 1024,
  viewMs: 1_000,
  secretBytes: 16 * 1024,
  /** Hosts that the secret of a row is bound to. */
  secretHosts: 5,

  /** Buttons that a Product declares for staff, and as many for clients. */
  declaredButtons: 12,
  /** What usageUpdate() may report of one service. */
  usageMetrics: 12,
  /** What reconcile() may report of one service. */
  reportedDifferences: 50,
  /** One text of a report, or what a button says. */
  careNoteCharacters: 500,
  passwordCharacters: 128,
});
