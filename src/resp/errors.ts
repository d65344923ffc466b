/**
 * Every error text that a client can be sent, once. The words are those of Redis 7.2 (checked against src/server.c,
 * src/networking.c, src/config.c and the family files, and against a running redis-server 7.0.15); clients match on
 * the first word, and some on the whole text, so they change only when Redis's do.
 *
 * Constants are shared, immutable replies: returning one allocates nothing. Functions build a text from what the
 * client sent; that part is cut as Redis cuts it, and the encoder replaces CR and LF.
 */
import { ErrorReply, ReplyError } from './reply.ts';

/** Ends the command with an error reply: `fail(SYNTAX_ERROR)`. */
export function fail(reply: ErrorReply): never {
  throw new ReplyError(reply);
}

const error = (text: string): ErrorReply => new ErrorReply(text);

// ---------------------------------------------------------------------------------------------------------------
// Arguments, common to all families (server.c createSharedObjects, object.c, t_string.c)

export const WRONG_TYPE = error('WRONGTYPE Operation against a key holding the wrong kind of value');
export const SYNTAX_ERROR = error('ERR syntax error');
export const NOT_AN_INTEGER = error('ERR value is not an integer or out of range');
export const NOT_A_FLOAT = error('ERR value is not a valid float');
export const MUST_BE_POSITIVE = error('ERR value is out of range, must be positive');
export const INDEX_OUT_OF_RANGE = error('ERR index out of range');
export const NO_SUCH_KEY = error('ERR no such key');
export const SAME_OBJECT = error('ERR source and destination objects are the same');
export const DB_OUT_OF_RANGE = error('ERR DB index is out of range');
export const INVALID_FIRST_DB = error('ERR invalid first DB index');
export const INVALID_SECOND_DB = error('ERR invalid second DB index');
export const INVALID_CURSOR = error('ERR invalid cursor');
export const INVALID_TIMEOUT = error('ERR timeout is not an integer or out of range');
export const INVALID_FLOAT_TIMEOUT = error('ERR timeout is not a float or out of range');
export const NEGATIVE_TIMEOUT = error('ERR timeout is negative');
export const TIMEOUT_OUT_OF_RANGE = error('ERR timeout is out of range');

/** `value is out of range, value must between lowest and highest` (Redis's grammar). */
export const rangeError = (lowest: number | bigint, highest: number | bigint): ErrorReply =>
  error(`ERR value is out of range, value must between ${lowest} and ${highest}`);

/** `command` is the full name in any case: `GET`, `CONFIG|SET`. */
export const wrongArity = (command: string): ErrorReply =>
  error(`ERR wrong number of arguments for '${command.toLowerCase()}' command`);

/** `command` is the full name in any case: `SETEX`, `EXPIRE`. */
export const invalidExpireTime = (command: string): ErrorReply =>
  error(`ERR invalid expire time in '${command.toLowerCase()}' command`);

export const unsupportedOption = (option: string): ErrorReply => error(`ERR Unsupported option ${cString(option)}`);

// ---------------------------------------------------------------------------------------------------------------
// Dispatch (server.c processCommand, commandCheckExistence)

const PREVIEW_LENGTH_MAX = 128;

/** `argv` is the whole request; strings are latin1. */
export function unknownCommand(argv: readonly Uint8Array[]): ErrorReply {
  let preview = '';
  for (let i = 1; i < argv.length && preview.length < PREVIEW_LENGTH_MAX; i++) {
    preview += `'${cutBytes(argv[i], PREVIEW_LENGTH_MAX - preview.length)}' `;
  }
  return error(`ERR unknown command '${cutBytes(argv[0], PREVIEW_LENGTH_MAX)}', with args beginning with: ${preview}`);
}

/** For a container command (`CONFIG`) whose subcommand is not known. */
export const unknownSubcommand = (container: string, subcommand: Uint8Array): ErrorReply =>
  error(`ERR unknown subcommand '${cutBytes(subcommand, PREVIEW_LENGTH_MAX)}'. Try ${container.toUpperCase()} HELP.`);

/** For commands that look at their subcommand themselves (`DEBUG`, `OBJECT` before 6.2 …). */
export const unknownSubcommandOrArity = (container: string, subcommand: Uint8Array): ErrorReply =>
  error(
    `ERR unknown subcommand or wrong number of arguments for '${cutBytes(subcommand, PREVIEW_LENGTH_MAX)}'. ` +
      `Try ${container.toUpperCase()} HELP.`,
  );

export const NO_AUTH = error('NOAUTH Authentication required.');
export const WRONG_PASS = error('WRONGPASS invalid username-password pair or user is disabled.');
export const AUTH_WITHOUT_PASSWORD = error(
  'ERR AUTH <password> called without any password configured for the default user. ' +
    'Are you sure your configuration is correct?',
);
export const NO_PROTO = error('NOPROTO unsupported protocol version');
export const PROTO_NOT_AN_INTEGER = error('ERR Protocol version is not an integer or out of range');
export const HELLO_NOAUTH = error(
  'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> ' +
    'option can be used to authenticate the client and select the RESP protocol version at the same time',
);
export const helloSyntax = (option: string): ErrorReply =>
  error(`ERR Syntax error in HELLO option '${cString(option)}'`);

export const MAX_CLIENTS_REACHED = error('ERR max number of clients reached');
export const PROTECTED_MODE = error(
  'DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the ' +
    'default user. In this mode connections are only accepted from the loopback interface. If you want to connect ' +
    'from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode ' +
    "sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the " +
    'same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do ' +
    'so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode ' +
    "by editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting " +
    "the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' " +
    'option. 4) Set up an authentication password for the default user. NOTE: You only need to do one of the above ' +
    'things in order for the server to start accepting connections from the outside.',
);

/** While subscribed in RESP2 (server.c processCommand). `command` is the full name in any case. */
export const onlySubscribeAllowed = (command: string): ErrorReply =>
  error(
    `ERR Can't execute '${command.toLowerCase()}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET ` +
      'are allowed in this context',
  );

// ---------------------------------------------------------------------------------------------------------------
// State of the server and of the cluster. All but UNCERTAIN promise that nothing was, or ever will be, applied.

export const OOM = error("OOM command not allowed when used memory > 'maxmemory'.");
export const LOADING = error('LOADING Redis is loading the dataset in memory');
export const MISCONF_DISK = error('MISCONF Errors writing to the log of this node; it is about to stop.');
export const BUSY_SCRIPT = error(
  'BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.',
);
export const CLUSTER_DOWN = error('CLUSTERDOWN The cluster is down');
export const SLOT_NOT_SERVED = error('CLUSTERDOWN Hash slot not served');
export const CROSS_SLOT = error("CROSSSLOT Keys in request don't hash to the same slot");
export const CLUSTER_DISABLED = error('ERR This instance has cluster support disabled');
export const INVALID_SLOT = error('ERR Invalid or out of range slot');
export const READ_ONLY_REPLICA = error("READONLY You can't write against a read only replica.");
export const TRY_AGAIN = error(
  'TRYAGAIN The command was not applied before its deadline, and never will be; send it again',
);

/** Nothing was applied; `reason` says why, and ends without a full stop. */
export const tryAgain = (reason: string): ErrorReply => error(`TRYAGAIN ${reason}`);
export const clusterDown = (reason: string): ErrorReply => error(`CLUSTERDOWN ${reason}`);

/** The outcome could not be learnt before the deadline: the write may have been applied, or may still be. */
export const UNCERTAIN = error(
  'UNCERTAIN The outcome was not known before the deadline; the command may have been applied',
);
export const uncertain = (reason: string): ErrorReply => error(`UNCERTAIN ${reason}`);

// ---------------------------------------------------------------------------------------------------------------
// Strings and bitmaps (t_string.c, bitops.c)

export const INCREMENT_OVERFLOW = error('ERR increment or decrement would overflow');
export const DECREMENT_OVERFLOW = error('ERR decrement would overflow');
export const INCREMENT_NAN = error('ERR increment would produce NaN or Infinity');
export const STRING_TOO_LONG = error('ERR string exceeds maximum allowed size (proto-max-bulk-len)');
export const OFFSET_OUT_OF_RANGE = error('ERR offset is out of range');
export const BIT_OFFSET_OUT_OF_RANGE = error('ERR bit offset is not an integer or out of range');
export const BIT_OUT_OF_RANGE = error('ERR bit is not an integer or out of range');
export const BIT_ARGUMENT = error('ERR The bit argument must be 1 or 0.');
export const BITOP_NOT_SINGLE = error('ERR BITOP NOT must be called with a single source key.');
export const BITFIELD_TYPE = error(
  'ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.',
);
export const BITFIELD_OVERFLOW_TYPE = error('ERR Invalid OVERFLOW type specified');
export const BITFIELD_READ_ONLY = error('ERR BITFIELD_RO only supports the GET subcommand');
export const LCS_LEN_AND_IDX = error('ERR If you want both the length and indexes, please just use IDX.');
export const LCS_NOT_STRINGS = error('ERR The specified keys must contain string values');
export const LCS_TOO_BIG = error('ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len');
export const LBOUND_ABOVE_UBOUND = error("ERR LBOUND can't be greater than UBOUND");
export const ENX_ALONE = error('ERR ENX flag requires an expiration');
export const BAD_DIGEST = error('ERR must be exactly 16 hexadecimal characters');
export const BAD_CONDITION = error('ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE');
export const CONDITION_NEEDS_STRING = error('ERR Key should be of string type if conditions are specified');
export const BAD_KEY_COUNT = error('ERR invalid numkeys value');
export const BAD_PAIR_COUNT = error('ERR wrong number of key-value pairs');
/** INCREX: `name` is Increment, LBOUND or UBOUND. */
export const notAnInteger = (name: string): ErrorReply => error(`ERR ${name} is not an integer or out of range`);
export const notAFloat = (name: string): ErrorReply => error(`ERR ${name} is not a valid float`);

// ---------------------------------------------------------------------------------------------------------------
// Generic keys and expiry (db.c, expire.c, object.c)

export const EXPIRE_NX_CONFLICT = error('ERR NX and XX, GT or LT options at the same time are not compatible');
export const EXPIRE_GT_LT_CONFLICT = error('ERR GT and LT options at the same time are not compatible');
export const BUSY_KEY = error('BUSYKEY Target key name already exists.');
export const INVALID_TTL = error('ERR Invalid TTL value, must be >= 0');
export const BAD_DUMP = error('ERR DUMP payload version or checksum are wrong');
export const LFU_NOT_SELECTED = error(
  'ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching ' +
    'between policies at runtime LRU and LFU data will take some time to adjust.',
);

// ---------------------------------------------------------------------------------------------------------------
// Transactions (multi.c)

export const MULTI_NESTED = error('ERR MULTI calls can not be nested');
export const EXEC_WITHOUT_MULTI = error('ERR EXEC without MULTI');
export const DISCARD_WITHOUT_MULTI = error('ERR DISCARD without MULTI');
export const WATCH_INSIDE_MULTI = error('ERR WATCH inside MULTI is not allowed');
export const NOT_ALLOWED_IN_MULTI = error('ERR Command not allowed inside a transaction');
export const EXEC_ABORT = error('EXECABORT Transaction discarded because of previous errors.');
/** EXEC refused as a whole for a reason of the server, which keeps its own prefix. */
export const execAbortBecause = (cause: ErrorReply): ErrorReply =>
  error(`EXECABORT Transaction discarded because of: ${cause.text}`);

// ---------------------------------------------------------------------------------------------------------------
// Scripts (eval.c, script.c, script_lua.c). What fails inside a script is followed by " script: <sha>, on @<chunk>:<line>."

export const NO_SCRIPT = error('NOSCRIPT No matching script. Please use EVAL.');
export const NOT_BUSY = error('NOTBUSY No scripts in execution right now.');
export const UNKILLABLE = error(
  'UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script ' +
    'termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.',
);
export const KEY_COUNT_NEGATIVE = error("ERR Number of keys can't be negative");
export const KEY_COUNT_TOO_BIG = error("ERR Number of keys can't be greater than number of args");
export const KEY_COUNT_NOT_POSITIVE = error('ERR numkeys should be greater than 0');
export const SCRIPT_FLUSH_OPTION = error('ERR SCRIPT FLUSH only support SYNC|ASYNC option');
export const SCRIPT_NOT_ALLOWED = error('ERR This Redis command is not allowed from script');
export const SCRIPT_READ_ONLY = error('ERR Write commands are not allowed from read-only scripts.');
export const SCRIPT_UNKNOWN_COMMAND = error('ERR Unknown Redis command called from script');
export const SCRIPT_WRONG_ARITY = error('ERR Wrong number of args calling Redis command from script');
export const SCRIPT_NO_ARGUMENTS = error('ERR Please specify at least one argument for this redis lib call');
export const SCRIPT_ARGUMENT_TYPE = error('ERR Lua redis lib command arguments must be strings or integers');
/** Several scripts of one EXEC. */
export function scriptsTooLong(limitMs: number): ErrorReply {
  return new ErrorReply(
    `ERR scripts of this transaction exceeded the time limit of ${limitMs} milliseconds, nothing was applied`,
  );
}

export const SCRIPT_KILLED = error('ERR Script killed by user with SCRIPT KILL...');

// ---------------------------------------------------------------------------------------------------------------
// CLIENT, COMMAND, CONFIG, SLOWLOG, CLUSTER (networking.c, config.c, slowlog.c)

export const CLIENT_NAME_INVALID = error('ERR Client names cannot contain spaces, newlines or special characters.');
/** `attribute` is lib-name or lib-ver. */
export const clientAttributeInvalid = (attribute: string): ErrorReply =>
  error(`ERR ${attribute} cannot contain spaces, newlines or special characters.`);
export const clientAttributeUnknown = (attribute: string): ErrorReply =>
  error(`ERR Unrecognized option '${cString(attribute)}'`);
export const NO_SUCH_CLIENT = error('ERR No such client');
export const INVALID_CLIENT_ID = error('ERR Invalid client ID');
export const CLIENT_ID_NOT_POSITIVE = error('ERR client-id should be greater than 0');
export const unknownClientType = (type: string): ErrorReply => error(`ERR Unknown client type '${cString(type)}'`);
export const noSuchUser = (user: string): ErrorReply => error(`ERR No such user '${cString(user)}'`);
export const CLIENT_PAUSE_MODE = error('ERR CLIENT PAUSE mode must be WRITE or ALL');
export const CLIENT_UNBLOCK_REASON = error('ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR');
export const UNBLOCKED = error('UNBLOCKED client unblocked via CLIENT UNBLOCK');
export const CLIENT_CACHING_NOT_TRACKING = error(
  'ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled',
);
export const TRACKING_REDIRECT_TWICE = error('ERR A client can only redirect to a single other client');
export const TRACKING_REDIRECT_UNKNOWN = error('ERR The client ID you want redirect to does not exist');
export const TRACKING_PREFIX_WITHOUT_BCAST = error('ERR PREFIX option requires BCAST mode to be enabled');
export const TRACKING_BCAST_OPT = error('ERR OPTIN and OPTOUT are not compatible with BCAST');
export const TRACKING_OPTIN_AND_OPTOUT = error("ERR You can't specify both OPTIN mode and OPTOUT mode");

export const COMMAND_INVALID = error('ERR Invalid command specified');
export const COMMAND_ARITY_INVALID = error('ERR Invalid number of arguments specified for command');
export const COMMAND_ARGUMENTS_INVALID = error('ERR Invalid arguments specified for command');
export const COMMAND_NO_KEYS = error('ERR The command has no key arguments');

export const configUnknown = (name: string): ErrorReply =>
  error(`ERR Unknown option or number of arguments for CONFIG SET - '${cString(name)}'`);
export const configSetFailed = (name: string, reason: string): ErrorReply =>
  error(`ERR CONFIG SET failed (possibly related to argument '${name}') - ${reason}`);
export const CONFIG_NO_FILE = error('ERR The server is running without a config file');
export const configRewriteFailed = (reason: string): ErrorReply => error(`ERR Rewriting config file: ${reason}`);

export const SLOWLOG_COUNT = error('ERR count should be greater than or equal to -1');
export const WAIT_IN_REPLICA = error('ERR WAIT cannot be used with replica instances.');
export const WAITAOF_LOCAL = error('ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.');

// ---------------------------------------------------------------------------------------------------------------
// Kahuna's own

/** What concerns all keys of a database, together with keys of several partitions. */
export const notAcrossPartitions = (): ErrorReply =>
  error(
    'ERR KEYS, SCAN, RANDOMKEY, DBSIZE and FLUSH commands cannot be part of a KAHUNA.TX, nor of a transaction or script over ' +
      'several partitions. Call them by themselves',
  );
/** Of a transaction across partitions. */
export const clockAhead = (aheadMs: number): ErrorReply =>
  error(
    `MISCONF the clocks of two partitions are ${aheadMs} ms apart; nothing was applied. Set the clocks of the nodes right`,
  );
export const SCRIPTS_FULL = error('OOM the cluster holds as many scripts as it may; SCRIPT FLUSH forgets them');
/** A message of another node about a transaction makes no sense here. */
export const stepMalformed = (what: string): ErrorReply => error(`ERR a step of a transaction cannot be read: ${what}`);
/** A leader's answer to a request that turned out to need a key of another partition; clients do not get to see it. */
export const KEY_ELSEWHERE = error('CROSSSLOT A key lies in another partition; nothing was applied');
export const transactionTooLarge = (bytesMax: number): ErrorReply =>
  error(`ERR a transaction over several partitions may write at most ${bytesMax} bytes; nothing was applied`);
/** A command broke; its evaluation was undone, and the cause is in the node's log. */
export const INTERNAL_ERROR = error('ERR internal error; nothing was applied. The log of the node tells the cause');
export const FENCED = error('FENCED A newer fencing token was granted; nothing was applied');
export const NO_SEQUENCE = error('NOSEQ No such sequence');
export const SEQUENCE_EXISTS = error('SEQEXISTS The sequence exists with other parameters');
export const SEQUENCE_EXHAUSTED = error('SEQEXHAUSTED The sequence is past its maximum; nothing was allocated');
export const IDEMPOTENCY_MISMATCH = error('ERR The idempotency id was used before with other arguments');
export const EMPTY_RESOURCE = error('ERR The resource must not be empty');
export const EMPTY_OWNER = error('ERR The owner must not be empty');
export const BAD_WAIT = error('ERR WAIT is not an integer or out of range');
export const BAD_TOKEN = error('ERR The token is not an integer or out of range');
export const BAD_RESOURCE_COUNT = error('ERR The number of resources is not an integer or out of range');
export const EMPTY_SEQUENCE_NAME = error('ERR The name of a sequence must not be empty');
export const ZERO_INCREMENT = error('ERR INCREMENT must not be 0');
export const MAX_NEEDS_ASCENT = error('ERR MAX needs a positive INCREMENT');
export const MAX_BELOW_START = error('ERR MAX must not be below START');
export const RESERVE_COUNT = error('ERR The number of values to reserve must be positive');
export const badIdempotencyId = (bytesMax: number): ErrorReply =>
  error(`ERR An idempotency id must have 1 to ${bytesMax} bytes`);
export const idempotencyWindowFull = (idsMax: number): ErrorReply =>
  error(
    `ERR The sequence keeps ${idsMax} idempotency ids of the last hour and has no room for more; nothing was allocated`,
  );
export const NO_TRANSACTION = error('NOTX No transaction on this connection');
export const TRANSACTION_OPEN = error(
  'ERR A transaction is open on this connection; KAHUNA.TX COMMIT or ROLLBACK ends it',
);
export const ASOF_NEEDS_READONLY = error('ERR KAHUNA.TX BEGIN with ASOF must be READONLY: the past cannot be changed');
export const TRANSACTION_UNWATCHED = error('ERR KAHUNA.TX BEGIN with watched keys; UNWATCH them first');
export const badTransactionTimeout = (mostMs: number): ErrorReply =>
  error(`ERR TIMEOUT must be 1 to ${mostMs} milliseconds`);
export const TRANSACTION_READ_ONLY = error('ERR A READONLY transaction changes nothing');
export const NOT_IN_TRANSACTION = error(
  'ERR MULTI, EXEC, DISCARD, WATCH and UNWATCH have no meaning inside KAHUNA.TX; its commands are atomic already',
);
export const conflict = (reason: string): ErrorReply => error(`CONFLICT ${reason}`);

// ---------------------------------------------------------------------------------------------------------------
// The past of keys

/** `oldest` is the oldest moment that could be read instead; what is below is never guessed. */
export const historyGone = (moment: number, oldest: number): ErrorReply =>
  error(
    `HISTORYGONE ${moment} lies before the oldest moment that is kept, ${oldest}; keep more with version-retention, or take a ` +
      'KAHUNA.HOLD beforehand',
  );
export const futureMoment = (aheadMs: number): ErrorReply =>
  error(`ERR the moment lies ${aheadMs} ms ahead of the cluster's time; KAHUNA.TIME tells the latest that can be read`);
export const MOMENT_NOT_OVER = error('ERR ASOF asks for a moment that is not before the changes of this transaction');
export const BAD_MOMENT = error('ERR a timestamp or revision must be an integer of at least 1, as KAHUNA.TIME answers');
export const BAD_REVISION = error('ERR IFREV needs a revision, or 0 for a key that must be absent');
export const badHistoryCount = (most: number): ErrorReply => error(`ERR COUNT must be 1 to ${most}`);
export const historyTooLong = (bytesMax: number): ErrorReply =>
  error(`ERR the values of these revisions take more than ${bytesMax} bytes; ask for fewer with COUNT`);
export const TOO_MANY_HOLDS = error(
  'OOM the cluster has as many holds as it may; release some, or let their leases end',
);
export const HOLD_LAPSED = error('TRYAGAIN the lease was over before the hold was in effect; nothing is held');
export const badHolder = (bytesMax: number): ErrorReply => error(`ERR a holder must have 1 to ${bytesMax} bytes`);
export const badLease = (leastMs: number, mostMs: number): ErrorReply =>
  error(`ERR a lease must be ${leastMs} to ${mostMs} milliseconds`);
export const BAD_HOLD_ID = error('ERR the id of a hold is an integer, as KAHUNA.HOLD ACQUIRE answers it');
export const MOMENT_READ_ONLY = error(
  'ERR this connection reads a moment of the past and changes nothing; KAHUNA.ASOF OFF returns to the present',
);
export const MOMENT_NAMED = error(
  'ERR KAHUNA.GET with REVISION or ASOF, KAHUNA.HISTORY and KAHUNA.SCAN with ASOF name moments of their own; KAHUNA.ASOF OFF first',
);
export const MOMENT_BUSY = error('ERR KAHUNA.ASOF inside MULTI or KAHUNA.TX, or with watched keys; end that first');
export const MOMENT_CHOSEN = error('ERR this connection reads a moment of the past; KAHUNA.ASOF OFF first');
export const PAST_ACROSS_PARTITIONS = error(
  'ERR KAHUNA.GET with REVISION or ASOF, KAHUNA.HISTORY and KAHUNA.SCAN cannot be part of a KAHUNA.TX, nor of a transaction or ' +
    'script over several partitions',
);

// ---------------------------------------------------------------------------------------------------------------

/** A generic error; `text` without prefix. */
export const genericError = (text: string): ErrorReply => error(`ERR ${text}`);

/** Redis formats what clients sent with `%s`, which stops at the first NUL. */
function cString(text: string): string {
  const end = text.indexOf('\0');
  return end === -1 ? text : text.slice(0, end);
}

/** As `%.*s` does: at most `length` bytes, up to the first NUL. */
function cutBytes(bytes: Uint8Array | undefined, length: number): string {
  if (bytes === undefined) return '';
  const cut = bytes.byteLength > length ? bytes.subarray(0, length) : bytes;
  return cString(Buffer.from(cut.buffer, cut.byteOffset, cut.byteLength).toString('latin1'));
}
