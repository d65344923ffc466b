/**
 * Ends transactions whose coordinator does not: run by the leaders of partitions, for what lies in theirs.
 *
 * - A prepared part whose coordinator is lost, or which is older than any deadline, is settled through its anchor, which decides
 *   for abort if it has not decided (`%TXSTATUS`). Asking early is safe, it only costs an attempt.
 * - A decision at its anchor that nobody has forgotten is told to all participants again, then forgotten.
 *
 * So after the loss of any one node everything is settled as soon as the leaders that remain serve: within about a second.
 */
import type { GroupId } from '../base/ids.ts';
import type { OpenDecision } from '../partition/open-transactions.ts';
import type { TransactionId, TransactionPart } from '../partition/key-locks.ts';
import { transactionName } from '../partition/key-locks.ts';
import { forgetRow, resolveRow, statusRow } from '../partition/participant.ts';
import { encodeIds, encodeResolve, encodeStatus } from '../partition/transaction-codec.ts';
import { ErrorReply, type Reply } from '../resp/reply.ts';
import { DECISION_PATIENCE_MS, SETTLE_SLACK_MS, SETTLEMENTS_MAX } from './limits.ts';
import { outcomeOf } from './step-replies.ts';
import type { Participants } from './participants.ts';

/** A partition that this node leads. */
export interface LedPartition {
  readonly group: GroupId;
  /** Partition time, ms. */
  readonly nowMs: number;
  readonly preparedParts: readonly TransactionPart[];
  readonly openDecisions: readonly OpenDecision[];
}

export class Recovery {
  readonly #participants: Participants;
  /** True if the coordinator of a transaction cannot end it any more, as far as this node can tell. */
  readonly #isLost: (id: TransactionId) => boolean;
  /** Settlements under way, by partition and transaction. */
  readonly #underWay = new Set<string>();

  constructor(participants: Participants, isLost: (id: TransactionId) => boolean) {
    this.#participants = participants;
    this.#isLost = isLost;
  }

  /** Starts what is due. Called every few hundred ms while anything is open, and when a node was lost. */
  look(led: Iterable<LedPartition>): void {
    for (const partition of led) {
      const { group, nowMs } = partition;
      for (const part of partition.preparedParts) {
        const isLate = nowMs - part.preparedMs > this.#participants.commandTimeoutMs + SETTLE_SLACK_MS;
        if (isLate || this.#isLost(part.id)) this.#start(group, part.name, () => this.#settle(group, part));
      }
      for (const decision of partition.openDecisions) {
        const isLate = nowMs - decision.sinceMs > DECISION_PATIENCE_MS;
        if (!isLate && !this.#isLost(decision.id)) continue;
        this.#start(group, `decision ${transactionName(decision.id)}`, () => this.#carryOut(group, decision));
      }
    }
  }

  #start(group: GroupId, name: string, work: () => Promise<void>): void {
    const key = `${group}:${name}`;
    if (this.#underWay.has(key) || this.#underWay.size >= SETTLEMENTS_MAX) return;
    this.#underWay.add(key);
    work().then(
      () => {
        this.#underWay.delete(key);
      },
      (error: unknown) => {
        this.#underWay.delete(key);
        this.#participants.log.error('settling a transaction failed', { group, transaction: name, error });
      },
    );
  }

  /** What fails is found again at the next look. */
  async #settle(group: GroupId, part: TransactionPart): Promise<void> {
    const { intent } = part;
    if (intent === null) return;
    const status = outcomeOf(await this.#step(intent.anchor, statusRow, encodeStatus(part.id, intent.decideByMs)));
    if (status instanceof ErrorReply) return;
    const { isDone, timestamp } = status;
    this.#participants.stats.settled++;
    this.#participants.log.info('settled a transaction whose coordinator is silent', {
      group,
      transaction: part.name,
      outcome: isDone ? 'committed' : 'aborted',
    });
    await this.#step(group, resolveRow, encodeResolve(part.id, isDone ? timestamp : 0));
  }

  async #carryOut(anchor: GroupId, { id, timestamp, participants }: OpenDecision): Promise<void> {
    const replies = await Promise.all(
      participants.map((group) => this.#step(group, resolveRow, encodeResolve(id, timestamp))),
    );
    if (!replies.some((reply) => reply instanceof ErrorReply)) await this.#step(anchor, forgetRow, encodeIds([id]));
  }

  #step(group: GroupId, row: Parameters<Participants['step']>[1], payload: Buffer): Promise<Reply> {
    const deadlineMs = this.#participants.clock.monotonicMs() + this.#participants.commandTimeoutMs;
    return this.#participants.step(group, row, payload, { deadlineMs, mark: this.#participants.newMark() });
  }
}
