/** Scripts for the libraries cjson, cmsgpack, struct and bit; see cases.ts. Generated ones come from a fixed seed. */
import type { ScriptCase } from './cases.ts';

const plain = (scripts: readonly string[]): ScriptCase[] => scripts.map((script) => ({ script }));
const each = (items: readonly string[], wrap: (item: string) => string): ScriptCase[] => plain(items.map(wrap));

const VALUES = [
  'nil', 'true', 'false', '0', '-0', '1', '-1', '0.1', '1e15', '123456789012345', '-1.5e-10', '1e300', '2^31', '2^32', '2^53', '2^63', '-2^63', '-2^31', '127', '128', '255', '256', '65535', '65536', '-32', '-33', '-128', '-129', '-32768', '-32769', '3.14159', '0.5', '""', '"x"', '"a\\0b"', '"\\1\\31\\127\\128\\255"', '"\\"\\\\/\\b\\f\\n\\r\\t"',
  '("x"):rep(31)', '("x"):rep(32)', '("x"):rep(255)', '("x"):rep(256)', '{}', '{1}', '{1,2,3}', '{a=1}', '{a={b={}}}', '{1,2,nil,4}', '{[1]=1,[2]=2}', '{[2]=2}', '{[0]=1}', '{[-1]=1}', '{[1.5]=1}', '{1,a=2}', '{["1"]=1}', '{{},{}}', '{1,{2,{3}}}', '{"a","b",n=2}', '{true,false}', '{[10]=1}', '{[5]=1}', '{[11]=1,[5]=2}', '{[1]=1,[21]=2}', '{[true]=1}', '{[{}]=1}',
  'function() end', 'coroutine.create(function() end)', 'cjson.null', '{cjson.null}', '1/0', '-1/0', '{1/0}', '{x=1/0}', '{[1/0]=1}', '1e14', '12345678901234.5', '0.00001', '0.0001', '1234567.891', '1e21', '123456.123456789', '99999999999999.9', '999999999999999.9', '1234567890123.5', '1234567890122.5', '0.5e-7', '{f=function() end}', '_G', 'redis', '5e-324', '1.7976931348623157e308',
];

const JSON_TEXTS = [
  '', ' ', 'null', 'true', 'false', 'nul', 'tru', 'True', '0', '-0', '1', '-1', '01', '+1', '1.', '.5', '1.5', '1e5', '1E+5', '1e', '-', '--1', '0x10', '-0x10', '0x', '0x1p4', '0x1.8', 'inf', '-inf', 'Infinity', 'nan', 'NaN', '-nan', 'infx', '""', '"a"', '"a', '"\\"', '"\\x"', '"\\u00e9"', '"\\u0000"', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\ude00"', '"\\ud83dx"', '"\\ud83d\\u0041"', '"\\u12"', '"\\b\\f\\n\\r\\t\\/\\\\\\""', '[]', '[ ]', '[1]', '[1,2,3]', '[1,]', '[,1]', '[1 2]', '[1', '[', ']', '{}', '{ }', '{"a":1}', '{"a":1,"b":[1,{"c":null}]}', '{"a":1,}', '{"a"}', '{"a":}', '{a:1}', '{1:2}', '{"a":1 "b":2}', '{', '}', '{"a":1', '[[[]]]', '1 2', '1,', 'null null', '"\\u20ac"', '\t\n\r 1', '[1,"two",true,null,{"k":"v"}]', '"a\tb"', '/*c*/1', "'a'", '[1e400]', '1e400', '-1e400', '123456789012345678901234567890', '0.1', '{"":0}', '{"a":1,"a":2}', '[nul]', '[true,false', '{"k":tru}', '[01]', '[1.2.3]', 'n', 'i', 't', 'f', 'x', '@', '\x01', '"\x7f"',
];

function hexOf(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex').replace(/../g, (pair) => `\\${String(Number.parseInt(pair, 16)).padStart(3, '0')}`);
}

const MSGPACK_INPUTS = [
  '', '00', '7f', '80', '90', 'a0', 'c0', 'c1', 'c2', 'c3', 'c4', 'c7', 'd4', 'd8', 'e0', 'ff', 'cc', 'cc80', 'cd', 'cd01', 'cd0100', 'ce00010000', 'ceffffffff', 'cf0000000100000000', 'cfffffffffffffffff', 'cf8000000000000000', 'd080', 'd18000', 'd1ffff', 'd280000000', 'd38000000000000000', 'd3ffffffffffffffff', 'ca3f800000', 'ca7f800000', 'cb3fb999999999999a', 'cb7ff8000000000000', 'cb', 'a161', 'a2', 'a26', 'd90161', 'd9', 'd902', 'da000161', 'da', 'db0000000161', 'db00000002', '9101', '92', '9201', 'dc000101', 'dc', 'dd0000000101', 'dd', '810102', '8101', '81', 'de00010102', 'de', 'df000000010102', '81c001', '81cb7ff800000000000001', '8201020103', '0102', '01c1', '9191919101', '93010203', '82a16101a16202',
].filter((hex) => hex.length % 2 === 0);

const STRUCT_FORMATS = [
  'b', 'B', 'h', 'H', 'l', 'L', 'T', 'i', 'I', 'i1', 'i2', 'i3', 'i4', 'i8', 'I8', 'i16', 'i32', 'i33', 'i0', 'i99999999999', 'f', 'd', 'x', 's', 'c0', 'c1', 'c3', 'c', '<i', '>i', '=i', '!i', '!2i', '!3i', '!0i', '!4bi', '!8bd', '!1bd', '>!4bhi', 'bbb', 'i i', 'q', '5', '', 'bs', 'hc2', 'xb', 'Bc0', '!16bd', '!bl', '<d>d', '>f', '>h', '>I3',
];

const UNPACKS = [
  "'b','\\255'", "'B','\\255'", "'h','\\1\\2'", "'>h','\\1\\2'", "'H','\\255\\255'", "'i','\\1\\2\\3\\4'", "'i','\\1\\2\\3'", "'l','\\255\\255\\255\\255\\255\\255\\255\\255'", "'L','\\255\\255\\255\\255\\255\\255\\255\\255'", "'i3','\\255\\255\\255'", "'I3','\\255\\255\\255'", "'>i3','\\1\\2\\3'", "'f','\\0\\0\\128\\63'", "'d','\\0\\0\\0\\0\\0\\0\\240\\63'", "'>d','\\63\\240\\0\\0\\0\\0\\0\\0'", "'s','abc\\0def'", "'s','abc'", "'c3','abcdef'", "'c0','abc'", "'Bc0','\\3abcdef'", "'Bc0','\\9abc'", "'bc0','\\255abc'", "'x','a'", "'xb','a\\5'", "'b','\\1\\2',2", "'b','\\1',2", "'b','\\1',0", "'b','\\1',-1", "'b','\\1',3", "'','abc'", "'','abc',10", "'!4bi','\\1\\0\\0\\0\\2\\0\\0\\0'", "'bb','\\1\\2'", "'i16','\\1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0'", "'>i16','\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\7'", "'i32',('\\255'):rep(32)", "'sss','a\\0b\\0c\\0'", "'c99999999999','a'", "'c2147483647','a'", "'hs','\\1\\0x\\0'", "'q','a'", "'b'", "5,'a'", "'b',{}",
];

const BIT_NUMBERS = ['0', '1', '-1', '255', '2^31', '2^31-1', '-2^31', '2^32', '2^32+5', '2^52', '1.5', '0.5', '2.5', '-1.5', '1e10', '-1e10', '"12"', '1e300', '0/0', '1/0'];

/** Numbers in [0, bound) from a fixed seed, so that the recorded replies stay valid. */
function seeded(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

function randomValue(next: (bound: number) => number, depth: number): string {
  const kind = next(depth > 0 ? 8 : 5);
  switch (kind) {
    case 0:
      return String(next(2 ** 31) - 2 ** 30);
    case 1:
      return `${next(1_000_000) / 1_000}`;
    case 2:
      return next(2) === 0 ? 'true' : 'false';
    case 3:
    case 4:
      return `"${hexOf(Array.from({ length: next(12) }, () => String.fromCharCode(next(256))).join(''))}"`;
    case 5:
    case 6:
      return `{${Array.from({ length: next(5) }, () => randomValue(next, depth - 1)).join(',')}}`;
    default:
      return `{${Array.from({ length: next(4) }, (_, i) => `k${i}${next(9)}=${randomValue(next, depth - 1)}`).join(',')}}`;
  }
}

const next = seeded(7);
const RANDOM_VALUES = Array.from({ length: 60 }, () => randomValue(next, 4));

export const LIBRARY_CASES: Readonly<Record<string, readonly ScriptCase[]>> = {
  'cjson encodes': [
    ...each([...VALUES.filter((value) => value !== '_G' && value !== 'redis'), ...RANDOM_VALUES], (value) => `return cjson.encode(${value})`),
    ...plain([
      'return cjson.encode()', 'return cjson.encode(1,2)', 'local t={} t[1]=t return cjson.encode(t)', 'local t={} for i=1,1001 do t={t} end return cjson.encode(t)', 'local t={} for i=1,999 do t={t} end return #cjson.encode(t)',
      'cjson.encode_sparse_array(true) return cjson.encode({[100]=1})', 'cjson.encode_sparse_array(false,0) return #cjson.encode({[100]=1})', 'cjson.encode_sparse_array(true,1,3) return cjson.encode({1,nil,nil,nil,5})', 'return {cjson.encode_sparse_array()}', "return cjson.encode_sparse_array('on')", "return cjson.encode_sparse_array('x')", 'return cjson.encode_sparse_array(1,2,3,4)', "return {cjson.encode_sparse_array(nil,5)}", 'return cjson.encode_sparse_array(true,-1)',
      'cjson.encode_max_depth(2) return cjson.encode({{{}}})', 'return cjson.encode_max_depth()', 'return cjson.encode_max_depth(0)', 'return cjson.encode_max_depth(5)', 'return cjson.encode_max_depth("x")', 'return cjson.decode_max_depth()', 'cjson.decode_max_depth(1) return cjson.decode("[[1]]")', 'cjson.encode_number_precision(3) return cjson.encode(3.14159)', 'return cjson.encode_number_precision(15)', 'return cjson.encode_number_precision()', 'cjson.encode_number_precision(1) return cjson.encode({0.25,0.35,12345,1e-5})',
      "cjson.encode_invalid_numbers(true) return cjson.encode({1/0,-1/0})", "cjson.encode_invalid_numbers('null') return cjson.encode({1/0,-1/0})", "return cjson.encode_invalid_numbers('null')", 'return {cjson.encode_invalid_numbers()}', "return cjson.encode_invalid_numbers('x')", 'return {cjson.decode_invalid_numbers()}', "cjson.decode_invalid_numbers(false) return cjson.decode('0x10')", "cjson.decode_invalid_numbers(false) return cjson.decode('01')", "cjson.decode_invalid_numbers(false) return cjson.decode('nan')", "cjson.decode_invalid_numbers('off') return cjson.decode('-inf')", 'return {cjson.encode_keep_buffer()}', 'return {cjson.encode_keep_buffer(false)}',
      'local c=cjson.new() c.encode_max_depth(1) return {cjson.encode({{}}),pcall(c.encode,{{}})}', 'return cjson.new()._NAME', 'local c=cjson.new() c.x=1 return c.x', 'return cjson.new().decode("[1]")[1]', 'return {cjson._NAME,cjson._VERSION,tostring(cjson.null)=="userdata: NULL" or tostring(cjson.null):sub(1,8)}', 'return cjson.null==cjson.decode("null")', 'return type(cjson.null)',
    ]),
  ],
  'cjson decodes': [
    ...each(JSON_TEXTS, (text) => `return cjson.encode(cjson.decode('${hexOf(text)}'))`),
    ...each(JSON_TEXTS, (text) => `return tostring(cjson.decode('${hexOf(text)}'))`).filter(({ script }) => !/'\\(091|123)/.test(script)),
    ...plain([
      'return cjson.decode()', 'return cjson.decode(nil)', 'return cjson.decode({})', 'return cjson.decode(1)', 'return cjson.decode("1","2")', "return cjson.decode('1\\0garbage')", "return cjson.decode('\\0001')", "return cjson.decode('1\\0')", "return cjson.decode('[1\\0]')", "return cjson.decode(('['):rep(1001)..(']'):rep(1001))", "return cjson.decode(('['):rep(1001))", "return #cjson.encode(cjson.decode(('['):rep(1000)..(']'):rep(1000)))", "return cjson.decode('{\"a\":'):x()", "local d=cjson.decode('[1,2,[3]]') return {#d,d[3][1]}", "return cjson.decode(('{\"a\":'):rep(1001))",
    ]),
  ],
  'cmsgpack packs': [
    ...each([...VALUES.filter((value) => value !== '_G' && value !== 'redis'), ...RANDOM_VALUES], (value) => `return cmsgpack.pack(${value})`),
    ...plain(['return cmsgpack.pack()', 'return cmsgpack.pack(1,"a",{})', 'local t={} t[1]=t return cmsgpack.pack(t)', 'local t={} for i=1,20 do t={t} end return cmsgpack.pack(t)', 'local t={} for i=1,20 do t={a=t} end return cmsgpack.pack(t)', 'local t={} for i=1,16 do t[i]=i end return cmsgpack.pack(t)', 'local t={} for i=1,70000 do t[i]=1 end return #cmsgpack.pack(t)', 'local t={} for i=1,20 do t["k"..i]=i end return #cmsgpack.pack(t)', 'return #cmsgpack.pack(("x"):rep(70000))', 'return {cmsgpack._NAME,cmsgpack._VERSION,cmsgpack._COPYRIGHT,cmsgpack._DESCRIPTION}']),
  ],
  'cmsgpack unpacks': [
    ...each(MSGPACK_INPUTS, (hex) => `return cjson.encode({cmsgpack.unpack('${hexOf(Buffer.from(hex, 'hex').toString('latin1'))}')})`).filter(({ script }) => !/127\\(248|128)/.test(script)),
    ...each(MSGPACK_INPUTS, (hex) => `return select('#',cmsgpack.unpack('${hexOf(Buffer.from(hex, 'hex').toString('latin1'))}'))`),
    ...each(RANDOM_VALUES, (value) => `return cjson.encode({cmsgpack.unpack(cmsgpack.pack(${value}))})`),
    ...plain(["return {cmsgpack.unpack_one('\\1\\2\\3')}", "return {cmsgpack.unpack_one('\\1\\2\\3',1)}", "return {cmsgpack.unpack_one('\\1\\2\\3',2)}", "return {cmsgpack.unpack_one('\\1\\2\\3',3)}", "return {cmsgpack.unpack_one('\\1\\2\\3',4)}", "return {cmsgpack.unpack_one('\\1\\2\\3',-1)}", "return {cmsgpack.unpack_limit('\\1\\2\\3',2)}", "return {cmsgpack.unpack_limit('\\1\\2\\3',2,1)}", "return {cmsgpack.unpack_limit('\\1\\2\\3',0)}", "return {cmsgpack.unpack_limit('\\1\\2\\3',-1)}", "return {cmsgpack.unpack_limit('\\1\\2\\3',0,1)}", 'return cmsgpack.unpack()', 'return cmsgpack.unpack({})', 'return cmsgpack.unpack_limit("a")', "return cmsgpack.unpack(('\\145'):rep(20000))", "return cmsgpack.unpack(('\\145'):rep(100)..'\\1')[1][1]~=nil", "return select('#',cmsgpack.unpack(('\\1'):rep(9000)))"]),
  ],
  'struct packs': [
    ...each(STRUCT_FORMATS, (format) => `return struct.pack('${format}','7','8','9')`),
    ...each(STRUCT_FORMATS, (format) => `return struct.pack('${format}',-2,-3,-4)`),
    ...each(STRUCT_FORMATS, (format) => `return struct.size('${format}')`),
    ...plain(["return struct.pack('L',2^63)", "return struct.pack('l',-2^63)", "return struct.pack('L',2^64-2048)", "return struct.pack('b',300)", "return struct.pack('B',-1)", "return struct.pack('h',1.9)", "return struct.pack('h',-1.9)", "return struct.pack('f',0.1)", "return struct.pack('d',0.1)", "return struct.pack('c5','abc')", "return struct.pack('c2','abc')", "return struct.pack('c0','abc')", "return struct.pack('s','a\\0b')", "return struct.pack('b')", "return struct.pack('b','x')", "return struct.pack('b',{})", 'return struct.pack()', 'return struct.size()', "return struct.pack('xxx')", "return struct.pack('!8xd',1)", "return struct.pack('I8',1e10)", "return struct.pack('>I8',1e10)"]),
  ],
  'struct unpacks': each(UNPACKS, (args) => `return {struct.unpack(${args})}`),
  'bit operations': [
    ...BIT_NUMBERS.flatMap((number) => ['tobit', 'bnot', 'bswap', 'tohex'].map((name) => ({ script: `return tostring(bit.${name}(${number}))` }))),
    ...BIT_NUMBERS.flatMap((number) => ['lshift', 'rshift', 'arshift', 'rol', 'ror'].map((name) => ({ script: `return {bit.${name}(${number},1),bit.${name}(${number},31),bit.${name}(${number},33),bit.${name}(5,${number})}` }))),
    ...BIT_NUMBERS.flatMap((number) => ['band', 'bor', 'bxor'].map((name) => ({ script: `return {bit.${name}(${number}),bit.${name}(${number},255),bit.${name}(1,2,${number})}` }))),
    ...plain(['return bit.band()', 'return bit.band("x")', 'return bit.band({},1)', 'return bit.lshift(1)', 'return bit.tohex(255,4)', 'return bit.tohex(255,-4)', 'return bit.tohex(255,0)', 'return bit.tohex(255,20)', 'return bit.tohex(255,-2^31)', 'return bit.tohex(-1)', 'return bit.tohex(1,nil)', 'return bit.tohex("x")']),
  ],
};
