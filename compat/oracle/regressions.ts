/** Streams that once differed, or that a reader should be sure are covered. Written down so that they always run. */
import type { CommandStep, Delivery, Stream } from './steps.ts';

/** Commands one a line, words separated by blanks; a line that starts with `2>` comes from the second client. */
function script(lines: readonly string[], delivery: Delivery = 'one-by-one'): Stream {
  return {
    delivery,
    steps: lines.map((line): CommandStep => {
      const isSecond = line.startsWith('2> ');
      const words = (isSecond ? line.slice(3) : line).split(' ').map((word) => (word === "''" ? '' : word));
      return { kind: 'command', client: isSecond ? 1 : 0, args: words };
    }),
  };
}

export const REGRESSIONS: Readonly<Record<string, Stream>> = {
  'a lock by SET NX PX, its owner and another': script([
    'SET lock one NX PX 30000',
    '2> SET lock two NX PX 30000',
    '2> GET lock',
    'DEL lock',
    '2> SET lock two NX PX 30000',
  ]),
  'WATCH sees a change of another client': script(['WATCH a', '2> SET a 1', 'MULTI', 'SET a 2', 'EXEC', 'GET a']),
  'WATCH on an absent key sees its creation': script(['WATCH b', '2> SET b 1', '2> DEL b', 'MULTI', 'PING', 'EXEC']),
  'WATCH is over after EXEC': script(['WATCH a', 'MULTI', 'SET a 1', 'EXEC', '2> SET a 2', 'MULTI', 'GET a', 'EXEC']),
  'EXEC runs the others when one fails': script(['MULTI', 'SET a x', 'INCR a', 'SET b 1', 'EXEC', 'MGET a b']),
  'a bad command in MULTI aborts EXEC': script(['MULTI', 'SET a', 'SET b 1', 'EXEC', 'GET b']),
  'MULTI within MULTI': script(['MULTI', 'MULTI', 'SET a 1', 'EXEC']),
  'SELECT within MULTI': script(['MULTI', 'SELECT 1', 'SET a 1', 'EXEC', 'GET a', 'SELECT 0', 'GET a']),
  'SET GET with NX': script(['SET a 1', 'SET a 2 NX GET', 'SET b 3 NX GET', 'MGET a b']),
  'SET with options against each other': script([
    'SET a 1 NX XX',
    'SET a 1 EX 10 PX 10000',
    'SET a 1 KEEPTTL EX 10',
    'SET a 1 EX 0',
    'SET a 1 PX -1',
    'SET a 1 EX abc',
    'SET a 1 EX 9223372036854775807',
    'GET a',
  ]),
  'expiry in the past deletes': script(['SET a 1', 'EXPIRE a -1', 'EXISTS a', 'SET a 1', 'PEXPIREAT a 1', 'TTL a']),
  'EXPIRE conditions': script([
    'SET a 1',
    'EXPIRE a 1000 XX',
    'EXPIRE a 1000 GT',
    'EXPIRE a 100000 LT',
    'EXPIRE a 200000 GT',
    'EXPIRE a 100 NX',
    'EXPIRE a 100 NX GT',
    'EXPIRE a 100 GT LT',
    'TTL a',
  ]),
  'overflow of counters': script([
    'SET a 9223372036854775807',
    'INCR a',
    'DECRBY a -9223372036854775808',
    'SET a -9223372036854775808',
    'DECR a',
    'INCRBY a 9223372036854775807',
    'INCRBY a 9223372036854775808',
  ]),
  floats: script([
    'INCRBYFLOAT a 0.1',
    'INCRBYFLOAT a 0.2',
    'INCRBYFLOAT a 1e400',
    'INCRBYFLOAT a nan',
    'INCRBYFLOAT b 3.0e3',
    'INCRBYFLOAT b -inf',
    'INCRBYFLOAT c 1e17',
    'INCRBYFLOAT c 0.00000000000000001',
  ]),
  'bits over the end': script([
    'SETBIT a 7 1',
    'BITCOUNT a',
    'BITPOS a 0',
    'BITPOS a 1 1',
    'BITPOS a 0 0 -1',
    'BITOP NOT b a',
    'BITFIELD a SET u8 0 255 GET i8 0 OVERFLOW SAT INCRBY u4 4 9',
  ]),
  'empty key and empty value': script(["SET '' ''", "GET ''", "STRLEN ''", "APPEND '' x", "EXISTS '' ''", "DEL ''"]),
  'scripts: EVALSHA without its script': script([
    'EVALSHA ffffffffffffffffffffffffffffffffffffffff 0',
    'EVALSHA abc 0',
    'EVAL return 0',
    'SCRIPT EXISTS ffffffffffffffffffffffffffffffffffffffff',
  ]),
  'keys of a count that is too high': script([
    'COMMAND GETKEYS EVAL x 2 a',
    'COMMAND GETKEYS EVAL x -1 a',
    'EVAL x 2 a',
  ]),
  'integers of session commands have 64 bits': script([
    'WAIT 9223372036854775806 -1',
    'WAIT 9223372036854775808 -1',
    'WAIT 0 -9223372036854775808',
    'SELECT 2147483648',
    'SELECT -9223372036854775808',
    'SELECT 9223372036854775808',
    'CLIENT KILL ID 9223372036854775807',
    'CLIENT LIST ID 9223372036854775807',
    'CLIENT UNBLOCK 9223372036854775807',
    'SLOWLOG GET 9223372036854775807',
    'HELLO 9223372036854775807',
    'ACL GENPASS 9223372036854775807',
  ]),
  'options of CLIENT TRACKING OFF are checked': script([
    'CLIENT TRACKING OFF REDIRECT x',
    'CLIENT TRACKING OFF REDIRECT 0',
    'CLIENT TRACKING PERHAPS BCAST OPTIN',
    'CLIENT TRACKING OFF FOO',
    'CLIENT TRACKING OFF BCAST OPTIN',
  ]),
  'a pipeline in one write': script(
    ['SET a 1', 'INCR a', 'GET a', 'NOSUCH x', 'DEL a', 'GET', 'PING', 'MULTI', 'SET a 5', 'EXEC', 'GET a'],
    'pipelined',
  ),
};
