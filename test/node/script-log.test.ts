/** What scripts write with redis.log: level and text arrive, a flood does not. */
import { strict as assert } from 'node:assert';
import { type Logger, silentLogger } from '../../src/base/log.ts';
import { ScriptLog } from '../../src/node/script-log.ts';

describe('log of scripts', () => {
  let nowMs = 0;
  let lines: string[] = [];
  const note =
    (level: string) =>
    (event: string, fields: object = {}): void => {
      lines.push(`${level} ${event} ${JSON.stringify(fields)}`);
    };
  const log: Logger = { ...silentLogger, debug: note('debug'), info: note('info'), warn: note('warn') };
  const create = (): ScriptLog => new ScriptLog(log, { monotonicMs: () => nowMs, wallMs: () => 0 });

  beforeEach(() => {
    lines = [];
  });

  it('has the level of the line, and its text as UTF-8', () => {
    const scripts = create();
    scripts.write(0, 'a');
    scripts.write(1, 'b');
    scripts.write(2, Buffer.from('ü').toString('latin1'));
    scripts.write(3, 'd');
    assert.deepEqual(lines, [
      'debug a script says {"message":"a"}',
      'debug a script says {"message":"b"}',
      'info a script says {"message":"ü"}',
      'warn a script says {"message":"d"}',
    ]);
  });

  it('cuts long lines', () => {
    create().write(2, 'x'.repeat(5_000));
    assert.equal(lines[0]?.length, 'info a script says {"message":""}'.length + 1024);
  });

  it('takes a hundred lines at once and twenty a second, and says how many it dropped', () => {
    const scripts = create();
    for (let i = 0; i < 150; i++) scripts.write(2, 'x');
    assert.equal(lines.length, 100);
    nowMs += 1_000;
    for (let i = 0; i < 150; i++) scripts.write(2, 'x');
    assert.equal(lines.length, 121);
    assert.equal(lines[100], 'warn lines of scripts were dropped: there were too many {"count":50}');
  });
});
