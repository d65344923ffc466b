/**
 * From a request to whoever answers it. (Hot path: `dispatch`, `record`. A data command of a plain client costs one
 * table lookup, the arity check, one comparison of gates and one Work object. Bench: test/server/dispatch-cost.)
 *
 * The order of the checks is that of Redis (server.c processCommand), because clients see which error comes first:
 * unknown, arity, authentication, no_multi, loading, then queueing inside MULTI, then CLIENT PAUSE. Whatever makes a
 * command leave the straight path is a bit, of the session or of the server, so that the straight path tests one number.
 */
import { assert, mustExist } from '../base/assert.ts';
import {
  execAbortBecause,
  LOADING,
  MOMENT_CHOSEN,
  MOMENT_READ_ONLY,
  NOT_ALLOWED_IN_MULTI,
  NO_AUTH,
  NO_SCRIPT,
  NOT_IN_TRANSACTION,
  unknownCommand,
  unknownSubcommand,
  wrongArity,
} from '../resp/errors.ts';
import { ErrorReply, QUEUED, ReplyError } from '../resp/reply.ts';
import type { Reply } from '../resp/reply.ts';
import { blockingWaitMs } from './blocking.ts';
import { ENTRY } from './command-table.ts';
import type { CommandEntry } from './command-table.ts';
import type { ServerContext } from './context.ts';
import { type ClusterSlot, CommandWork, Slot } from './pending.ts';
import { ensureScript, isScriptKnown, scriptRefusal } from './script-bodies.ts';
import { GATE, STALL, errorOf } from './session.ts';
import type { Session } from './session.ts';
import { ANSWERED_LATER, NO_REPLY } from './session-command.ts';
import type { SessionCommand, SessionReply } from './session-command.ts';

/** Reasons of the server to leave the straight path; disjoint from GATE. */
const SERVER_GATE = { loading: 256, paused: 512, monitored: 1024 } as const;

export class Dispatcher {
  #attached: ServerContext | null = null;
  /** Bits of SERVER_GATE. */
  #gate: number = SERVER_GATE.loading;

  /** Called once, when the context that holds this object is complete. */
  attach(context: ServerContext): void {
    this.#attached = context;
  }

  get #context(): ServerContext {
    return mustExist(this.#attached, 'a command is dispatched before the server is built');
  }

  /** Monitors or the pause began or ended. */
  updateGate(): void {
    const { monitors, pause } = this.#context;
    this.#gate &= SERVER_GATE.loading;
    if (monitors.count > 0) this.#gate |= SERVER_GATE.monitored;
    if (pause.mode !== 'none') this.#gate |= SERVER_GATE.paused;
  }

  /** Until the cluster was ready once; later troubles of a partition are the cluster's to answer. */
  get isLoading(): boolean {
    if ((this.#gate & SERVER_GATE.loading) !== 0 && this.#context.cluster.isReady) this.#gate &= ~SERVER_GATE.loading;
    return (this.#gate & SERVER_GATE.loading) !== 0;
  }

  dispatch(session: Session, argv: readonly Buffer[]): void {
    const entry = this.#find(session, argv);
    if (entry === null) return;
    if (!entry.acceptsArgumentCount(argv.length)) {
      this.#reject(session, entry, wrongArity(entry.fullName));
      return;
    }
    session.lastEntry = entry;
    const gate = session.gate | this.#gate;
    if ((entry.bits & ENTRY.afterEarlier) !== 0 && session.hasUnanswered && (gate & GATE.multi) === 0) {
      session.park(argv, STALL.earlier);
      return;
    }
    if (gate !== 0 && !this.#passes(session, entry, argv, gate)) return;
    session.commandCount++;
    if (entry.data === null) {
      this.#runSession(session, entry, argv);
    } else if ((entry.bits & SPECIAL_DATA) === 0) {
      const work = new CommandWork(session, entry, entry.data, argv, 0);
      session.appendWork(work);
      this.#context.cluster.submit(work);
    } else {
      this.#submitSpecial(session, entry, argv);
    }
  }

  /** Counts a command that the cluster has answered. */
  record(slot: ClusterSlot, reply: Reply): void {
    this.#account(slot.session, slot.entry, slot.argv, slot.startedMs, reply);
  }

  /** Counts a command that ran inside EXEC, without a time of its own. */
  recordInExec(entry: CommandEntry, reply: Reply): void {
    entry.stats.calls++;
    this.#context.stats.commandsProcessed++;
    const error = errorOf(reply);
    if (error === null) return;
    entry.stats.failed++;
    this.#context.stats.recordError(error);
  }

  recordAllInExec(entries: readonly CommandEntry[], replies: readonly Reply[]): void {
    entries.forEach((entry, i) => {
      this.recordInExec(entry, replies[i] ?? null);
    });
  }

  /** Runs a session command inside EXEC, in its place. */
  async runInExec(session: Session, entry: CommandEntry, argv: readonly Buffer[]): Promise<Reply> {
    let reply: SessionReply;
    try {
      reply = await runnerOf(entry).run(session, argv);
    } catch (error) {
      if (!(error instanceof ReplyError)) throw error;
      reply = error.reply;
    }
    this.feedMonitors(session, entry, argv);
    const answer = typeof reply === 'symbol' ? null : reply;
    this.recordInExec(entry, answer);
    return answer;
  }

  feedMonitors(session: Session, entry: CommandEntry, argv: readonly Buffer[]): void {
    if (this.#context.monitors.count > 0) this.#feedMonitors(session, entry, argv);
  }

  // -------------------------------------------------------------------------------------------------------------

  /** The entry, or null after answering that there is none. */
  #find(session: Session, argv: readonly Buffer[]): CommandEntry | null {
    const name = argv[0];
    assert(name !== undefined, 'a request has a name');
    const entry = this.#context.table.find(name);
    if (entry === undefined) {
      this.#reject(session, null, unknownCommand(argv));
      return null;
    }
    const { subcommands } = entry;
    const second = argv[1];
    if (subcommands === null || second === undefined) return entry;
    const spelling = second.toString('latin1');
    const subcommand = subcommands.get(spelling) ?? subcommands.get(spelling.toUpperCase());
    if (subcommand !== undefined) return subcommand;
    this.#reject(session, null, unknownSubcommand(entry.fullName, second));
    return null;
  }

  /** An error before anything ran: it makes an open MULTI fail as a whole. */
  #reject(session: Session, entry: CommandEntry | null, error: ErrorReply): void {
    if (entry !== null) entry.stats.rejected++;
    this.#context.stats.recordError(error);
    session.beginReply();
    if (entry?.fullName === 'exec') {
      // An EXEC that is refused discards the transaction and says why (server.c rejectCommand).
      session.setTransaction(null);
      session.watched = [];
      session.answer(execAbortBecause(new ErrorReply(error.text.replace(/^ERR /, ''))));
      return;
    }
    session.transaction?.abort();
    session.answer(error);
  }

  /** False if the command was refused, queued or parked. */
  #passes(session: Session, entry: CommandEntry, argv: readonly Buffer[], gate: number): boolean {
    const { bits } = entry;
    if ((gate & GATE.ending) !== 0) return false;
    if ((gate & GATE.unauthenticated) !== 0 && (bits & ENTRY.noAuth) === 0) {
      this.#reject(session, entry, NO_AUTH);
      return false;
    }
    const isInMulti = (gate & GATE.multi) !== 0;
    if (isInMulti && (bits & ENTRY.noMulti) !== 0) {
      this.#reject(session, entry, NOT_ALLOWED_IN_MULTI);
      return false;
    }
    if ((bits & ENTRY.loading) === 0 && this.isLoading) {
      this.#reject(session, entry, LOADING);
      return false;
    }
    if ((gate & SERVER_GATE.paused) !== 0 && this.#isPaused(session, entry)) {
      session.park(argv, STALL.paused);
      return false;
    }
    const refusal = (gate & GATE.moment) === 0 ? null : refusalAtMoment(entry);
    if (refusal !== null) {
      this.#reject(session, entry, refusal);
      return false;
    }
    session.beginReply();
    if (isInMulti && (bits & ENTRY.immediateInMulti) === 0) {
      session.answer(session.transaction?.queue(entry, argv, session.requestBytes) ?? QUEUED);
      return false;
    }
    if ((gate & GATE.open) !== 0 && !this.#passesTransaction(session, entry, argv)) return false;
    // A session command is shown after it ran, as in Redis: SELECT with the new database, EXEC behind its commands.
    if ((gate & SERVER_GATE.monitored) !== 0 && entry.data !== null) this.#feedMonitors(session, entry, argv);
    return true;
  }

  /** Inside KAHUNA.TX; false if the command was taken care of: data commands run in it, those that would nest in it are refused. */
  #passesTransaction(session: Session, entry: CommandEntry, argv: readonly Buffer[]): boolean {
    if (entry.data === null) {
      if (!NESTING.has(entry.fullName)) return true;
      this.#reject(session, entry, NOT_IN_TRANSACTION);
      return false;
    }
    session.commandCount++;
    this.feedMonitors(session, entry, argv);
    this.#await(session, entry, argv, this.#runInTransaction(session, entry, argv));
    return false;
  }

  async #runInTransaction(session: Session, entry: CommandEntry, argv: readonly Buffer[]): Promise<Reply> {
    const { openTransaction, database, protocol } = session;
    const command = mustExist(entry.data, 'a data command runs in a transaction');
    if ((entry.bits & (ENTRY.scriptBody | ENTRY.scriptDigest)) !== 0 && !isScriptKnown(this.#context, entry, argv)) {
      const refusal = scriptRefusal(this.#context, entry, argv);
      if (refusal !== null) return refusal;
      if (!(await ensureScript(this.#context, entry, argv))) return NO_SCRIPT;
    }
    return openTransaction?.run({ command, argv, database }, protocol) ?? null;
  }

  #isPaused(session: Session, entry: CommandEntry): boolean {
    if (this.#context.pause.mode === 'all') return true;
    return entry.mayWrite || (entry.fullName === 'exec' && session.transaction?.mayWrite === true);
  }

  #feedMonitors(session: Session, entry: CommandEntry, argv: readonly Buffer[]): void {
    if ((entry.bits & ENTRY.unmonitored) !== 0) return;
    this.#context.monitors.feed(session, entry, argv, this.#context.platform.clock.wallMs());
  }

  #submitSpecial(session: Session, entry: CommandEntry, argv: readonly Buffer[]): void {
    const { data } = entry;
    assert(data !== null, `${entry.fullName} is no data command`);
    if ((entry.bits & (ENTRY.scriptBody | ENTRY.scriptDigest)) !== 0) {
      if (!isScriptKnown(this.#context, entry, argv)) {
        this.#submitAfterScript(session, entry, argv);
        return;
      }
    }
    const waitMs = (entry.bits & ENTRY.blocking) === 0 ? 0 : blockingWaitMs(entry, argv);
    const work = new CommandWork(session, entry, data, argv, waitMs);
    session.appendWork(work);
    this.#context.cluster.submit(work);
  }

  /** The catalogue of scripts must hold the body first; the session's later commands wait meanwhile. */
  #submitAfterScript(session: Session, entry: CommandEntry, argv: readonly Buffer[]): void {
    const { data } = entry;
    assert(data !== null, `${entry.fullName} is no data command`);
    const run = async (): Promise<Reply> => {
      const refusal = scriptRefusal(this.#context, entry, argv);
      if (refusal !== null) return refusal;
      if (!(await ensureScript(this.#context, entry, argv))) return NO_SCRIPT;
      // The client may have gone meanwhile; then nobody waits for the script's effects.
      return session.isClosed ? null : session.submitAside({ command: data, argv, database: session.database });
    };
    this.#await(session, entry, argv, run());
  }

  #runSession(session: Session, entry: CommandEntry, argv: readonly Buffer[]): void {
    const startedMs = this.#context.platform.clock.monotonicMs();
    let outcome: SessionReply | Promise<Reply>;
    try {
      outcome = runnerOf(entry).run(session, argv);
    } catch (error) {
      if (!(error instanceof ReplyError)) throw error;
      outcome = error.reply;
    }
    if (outcome instanceof Promise) {
      this.#await(session, entry, argv, outcome);
      return;
    }
    this.feedMonitors(session, entry, argv);
    if (outcome === ANSWERED_LATER) return;
    if (outcome !== NO_REPLY) session.answer(outcome);
    this.#account(session, entry, argv, startedMs, outcome === NO_REPLY ? null : outcome);
  }

  /** Keeps the reply's place and the session's order while a session command is on its way. */
  #await(session: Session, entry: CommandEntry, argv: readonly Buffer[], outcome: Promise<Reply>): void {
    const startedMs = this.#context.platform.clock.monotonicMs();
    const slot = new Slot(session);
    session.append(slot);
    session.stall(STALL.barrier);
    const settle = (reply: Reply): void => {
      if (entry.data === null) this.feedMonitors(session, entry, argv);
      this.#account(session, entry, argv, startedMs, reply);
      session.settleBarrier(slot, reply);
    };
    outcome
      .then(settle, (error: unknown) => {
        if (error instanceof ReplyError) settle(error.reply);
        else session.fail(error);
      })
      .catch((error: unknown) => {
        session.fail(error);
      });
  }

  #account(session: Session, entry: CommandEntry, argv: readonly Buffer[], startedMs: number, reply: Reply): void {
    const { live, stats, platform } = this.#context;
    const usec = (platform.clock.monotonicMs() - startedMs) * 1000;
    const error = typeof reply === 'object' ? errorOf(reply) : null;
    stats.commandsProcessed++;
    entry.stats.recordCall(usec, error !== null);
    if (error !== null) stats.recordError(error);
    if (usec < live.slowestOrdinaryUsec) return;
    this.#recordSlow(session, entry, argv, usec);
  }

  #recordSlow(session: Session, entry: CommandEntry, argv: readonly Buffer[], usec: number): void {
    const { live, platform, slowLog, latency } = this.#context;
    const wallSeconds = Math.floor(platform.clock.wallMs() / 1000);
    const isLogged = live.slowLogUsec >= 0 && usec >= live.slowLogUsec && (entry.bits & ENTRY.unlogged) === 0;
    if (isLogged && slowLog.takes(wallSeconds)) {
      slowLog.record(
        { wallSeconds, usec, argv, clientAddress: session.connection.remoteAddress, clientName: session.name },
        live.slowLogLengthMax,
        entry.session?.secretsOf?.(argv) ?? [],
      );
    }
    // A command that waited because it was asked to is no spike.
    if (live.latencyThresholdMs > 0 && usec >= live.latencyThresholdMs * 1000 && (entry.bits & ENTRY.blocking) === 0) {
      latency.record('command', usec / 1000, wallSeconds);
    }
  }
}

/** Commands that begin or end what KAHUNA.TX is itself. */
const NESTING: ReadonlySet<string> = new Set(['multi', 'exec', 'discard', 'watch', 'unwatch']);
const SPECIAL_DATA = ENTRY.blocking | ENTRY.scriptBody | ENTRY.scriptDigest;

/** Commands that make no sense while the connection reads a moment of the past: those that write, and promises about the present. */
function refusalAtMoment(entry: CommandEntry): ErrorReply | null {
  if ((entry.bits & ENTRY.write) !== 0) return MOMENT_READ_ONLY;
  return entry.fullName === 'watch' || entry.fullName === 'kahuna.tx|begin' ? MOMENT_CHOSEN : null;
}

function runnerOf(entry: CommandEntry): SessionCommand {
  assert(entry.session !== null, `${entry.fullName} has nothing that runs it`);
  return entry.session;
}
