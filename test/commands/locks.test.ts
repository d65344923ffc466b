/** Scenarios, and the rules of waiting: what is parked until when, and who may not overtake whom. */
import assert from 'node:assert/strict';
import { Parked } from '../doubles/memory-view.ts';
import { Client } from './client.ts';
import { goldenSuite } from './golden-suite.ts';

/** Parks the request, lets time pass, and runs it again as the view does. */
function woken(client: Client, afterMs: number, line: string): string {
  assert.throws(() => client.call(...line.split(' ')), Parked);
  client.view.waits += 1;
  client.view.advance(afterMs);
  const reply = client.line(line);
  client.view.waits = 0;
  client.view.firstRunMs = client.view.nowMs;
  return reply;
}

describe('locks', () => {
  goldenSuite('locks');

  it('a wait ends at the lapse of the grant, if that comes before its own end', () => {
    const client = new Client();
    client.line('KAHUNA.LOCK ACQUIRE r alice PX 100');
    assert.equal(client.line('KAHUNA.LOCK ACQUIRE r bob PX 50 WAIT 1000'), 'parked until +100');
    assert.equal(client.line('KAHUNA.LOCK ACQUIRE r bob PX 50 WAIT 30'), 'parked until +30');
  });

  it('who is woken by the lapse or a release gets the lock', () => {
    const client = new Client();
    client.line('KAHUNA.LOCK ACQUIRE r alice PX 100');
    assert.equal(woken(client, 100, 'KAHUNA.LOCK ACQUIRE r bob PX 50 WAIT 1000'), ':2');
    client.view.advance(50);
    client.line('KAHUNA.LOCK ACQUIRE r alice PX 1000');
    assert.throws(() => client.call('KAHUNA.LOCK', 'ACQUIRE', 'r', 'bob', 'PX', '50', 'WAIT', '1000'), Parked);
    client.line('KAHUNA.LOCK RELEASE r alice');
    client.view.waits = 1;
    assert.equal(client.line('KAHUNA.LOCK ACQUIRE r bob PX 50 WAIT 1000'), ':4');
  });

  it('a wait counts from the first run, and ends with nil', () => {
    const client = new Client();
    client.line('KAHUNA.LOCK ACQUIRE r alice PX 1000');
    assert.equal(woken(client, 10, 'KAHUNA.LOCK ACQUIRE r bob PX 50 WAIT 30'), 'parked until +20');
    assert.equal(woken(client, 30, 'KAHUNA.LOCK ACQUIRE r bob PX 50 WAIT 30'), 'nil');
  });

  it('a renewed grant is waited for again, until its new lapse', () => {
    const client = new Client();
    client.line('KAHUNA.LOCK ACQUIRE r alice PX 100');
    assert.throws(() => client.call('KAHUNA.LOCK', 'ACQUIRE', 'r', 'bob', 'PX', '50', 'WAIT', '1000'), Parked);
    client.line('KAHUNA.LOCK EXTEND r alice PX 300');
    client.view.waits = 1;
    client.view.advance(100);
    assert.equal(client.line('KAHUNA.LOCK ACQUIRE r bob PX 50 WAIT 1000'), 'parked until +200');
  });

  it('a newcomer does not overtake those who wait, but the owner may renew', () => {
    const client = new Client();
    client.line('KAHUNA.LOCK ACQUIRE r alice PX 100');
    client.view.waiters.set('r', 1);
    assert.equal(client.line('KAHUNA.LOCK ACQUIRE r alice PX 100'), ':1');
    assert.equal(client.line('KAHUNA.LOCK INFO r').endsWith('"waiters", :1]'), true);
    client.view.advance(100);
    assert.equal(client.line('KAHUNA.LOCK ACQUIRE r carol PX 100'), 'nil');
    assert.equal(client.line('KAHUNA.LOCK ACQUIRE r carol PX 100 WAIT 40'), 'parked until +40');
    assert.equal(client.line('KAHUNA.LOCK ACQUIRE r carol PX 100 WAIT 1000'), 'parked until +50');
    assert.equal(client.line('KAHUNA.LOCK MACQUIRE 2 q r carol PX 100'), 'nil*');
    assert.equal(client.line('KAHUNA.LOCK TOKEN q'), ':0');
    client.view.waits = 1;
    assert.equal(client.line('KAHUNA.LOCK ACQUIRE r bob PX 100 WAIT 1000'), ':2');
  });

  it('several locks wait for the first that is taken, and hold none meanwhile', () => {
    const client = new Client();
    client.line('KAHUNA.LOCK ACQUIRE b alice PX 100');
    client.line('KAHUNA.LOCK ACQUIRE c alice PX 200');
    const line = 'KAHUNA.LOCK MACQUIRE 3 a b c bob PX 50 WAIT 1000';
    assert.equal(client.line(line), 'parked until +100');
    assert.equal(client.line('KAHUNA.LOCK TOKEN a'), ':0');
    assert.equal(woken(client, 100, line), 'parked until +100');
    assert.equal(woken(client, 100, line), '[:1, :2, :2]');
  });

  it('nothing waits inside MULTI and scripts', () => {
    const client = new Client();
    client.line('KAHUNA.LOCK ACQUIRE r alice PX 100');
    client.view.mayWait = false;
    assert.equal(client.line('KAHUNA.LOCK ACQUIRE r bob PX 100 WAIT 1000'), 'nil');
    assert.equal(client.line('KAHUNA.LOCK MACQUIRE 1 r bob PX 100 WAIT 1000'), 'nil*');
  });
});
