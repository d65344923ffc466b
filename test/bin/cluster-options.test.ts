/** The command line of kahuna-cluster: what it takes for itself, what goes on to the nodes, and what it refuses. */
import assert from 'node:assert/strict';
import { readClusterArguments } from '../../src/bin/cluster-options.ts';

describe('kahuna-cluster arguments', () => {
  it('are ports and a directory; all others go to the nodes', () => {
    assert.deepEqual(readClusterArguments([]), { ports: [7001, 7002, 7003], directory: 'data/cluster', flags: [] });
    assert.deepEqual(readClusterArguments(['--ports', '8001,8002', '--dir=x=y', '--loglevel', 'debug']), {
      ports: [8001, 8002],
      directory: 'x=y',
      flags: ['--loglevel', 'debug'],
    });
  });

  it('are refused if a port is no whole number, too large, or taken twice', () => {
    for (const ports of [
      '',
      'x',
      '0',
      '65436',
      '7001,',
      '0x1b59',
      '7001.0',
      ' 7001',
      '1e3',
      '-1',
      '7001,7101',
      '7001,7001',
    ]) {
      assert.throws(() => readClusterArguments([`--ports=${ports}`]), { code: 'USAGE' }, ports);
    }
    assert.throws(() => readClusterArguments(['--dir']), { code: 'USAGE' });
  });

  it('are refused if they are what each node has for itself', () => {
    for (const flag of ['--port', '--node-id=x', '--initial-cluster', '--cluster-port']) {
      assert.throws(() => readClusterArguments([flag, '1']), { code: 'USAGE' }, flag);
    }
  });
});
