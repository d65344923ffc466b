/**
 * Scenarios: commands and the replies that belong to them, as text that a person reads and a server can check.
 *
 *   == a title          starts from an empty server, database 0
 *   == a title !kahuna  the same; Redis 7.0 would answer otherwise, for the reason given in a comment
 *   > GET k             a command, words quoted as for redis-cli; the next line is its reply (see client.ts)
 *   @other k            makes k hold something that is no string
 *   @select 1           another database
 *   @wait 20            lets that many ms pass
 *   # …                 a comment
 *
 * Replies are rewritten instead of compared with GOLDEN=rewrite; those of Redis by compat/oracle/golden.ts.
 */
import { splitQuotedWords } from '../../src/base/quoted-words.ts';

export interface Target {
  reset(): Promise<void> | void;
  select(database: number): Promise<void> | void;
  putOther(key: string): Promise<void> | void;
  wait(ms: number): Promise<void> | void;
  /** The reply as text. */
  run(words: readonly string[]): Promise<string> | string;
}

export interface Scenario {
  readonly title: string;
  /** Only Kahuna answers like this. */
  readonly isOwn: boolean;
  readonly steps: readonly Step[];
}

export interface Step {
  readonly line: string;
  /** Null for steps without a reply. */
  readonly expected: string | null;
}

export function parseScenarios(text: string): Scenario[] {
  const scenarios: { title: string; isOwn: boolean; steps: Step[] }[] = [];
  const lines = text.split('\n').map((line) => line.trimEnd());
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    if (line.startsWith('== ')) {
      const isOwn = line.endsWith(' !kahuna');
      scenarios.push({ title: line.slice(3).replace(/ !kahuna$/, ''), isOwn, steps: [] });
    } else if (line.startsWith('> ')) {
      const next = lines[at + 1] ?? '';
      const hasReply = next !== '' && !/^(==|>|@|#) ?/.test(next);
      scenarios.at(-1)?.steps.push({ line, expected: hasReply ? next : '' });
      if (hasReply) at += 1;
    } else if (line !== '' || scenarios.length > 0) {
      scenarios.at(-1)?.steps.push({ line, expected: null });
    }
  }
  return scenarios;
}

/** The scenario's lines with the target's replies in place of the expected ones. */
export async function replay(scenario: Scenario, target: Target): Promise<string[]> {
  await target.reset();
  const lines = [`== ${scenario.title}${scenario.isOwn ? ' !kahuna' : ''}`];
  for (const { line } of scenario.steps) {
    lines.push(line);
    const [word = '', argument = ''] = line.split(' ');
    if (word === '>') lines.push(await target.run(wordsOf(line.slice(2))));
    else if (word === '@other') await target.putOther(argument);
    else if (word === '@select') await target.select(Number(argument));
    else if (word === '@wait') await target.wait(Number(argument));
    else if (line !== '' && !line.startsWith('#')) throw new Error(`not a scenario line: ${line}`);
  }
  return lines;
}

export function linesOf(scenario: Scenario): string[] {
  const lines = [`== ${scenario.title}${scenario.isOwn ? ' !kahuna' : ''}`];
  for (const { line, expected } of scenario.steps) lines.push(line, ...(expected === null ? [] : [expected]));
  return lines;
}

/** Everything before the first scenario. */
export function preambleOf(text: string): string {
  const start = text.startsWith('== ') ? 0 : text.indexOf('\n== ') + 1;
  return text.slice(0, start);
}

function wordsOf(line: string): string[] {
  const words = splitQuotedWords(line);
  if (words === null) throw new Error(`unbalanced quotes: ${line}`);
  return words;
}
