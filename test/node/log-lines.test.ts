import assert from 'node:assert/strict';
import { lineForPeople } from '../../src/node/log-lines.ts';

const line = (fields: object): string =>
  `${JSON.stringify({ level: 'info', time: '2026-01-02T03:04:05.678Z', ...fields })}\n`;

describe('log lines for people', () => {
  it('show time, level, event and fields', () => {
    assert.equal(
      lineForPeople(line({ port: 6379, directory: './my data', msg: 'ready' })),
      '03:04:05.678 info  ready  port=6379 directory="./my data"\n',
    );
  });

  it('show an error by its message, and its stack only for a bug of ours', () => {
    const cause = { type: 'Error', message: 'no space', stack: 'Error: no space\n    at x' };
    assert.equal(
      lineForPeople(line({ level: 'error', reason: 'logWrite', cause, msg: 'the node stops' })),
      '03:04:05.678 error the node stops  reason=logWrite cause="no space"\n',
    );
    assert.match(lineForPeople(line({ reason: 'invariant', cause, msg: 'the node stops' })), /\n {4}at x\n$/);
  });

  it('leave what is no event as it is', () => {
    assert.equal(lineForPeople('{"cut'), '{"cut');
    assert.equal(lineForPeople('5\n'), '5\n');
  });
});
