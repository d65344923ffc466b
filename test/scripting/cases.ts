/**
 * Scripts whose replies are compared with those of a real Redis (golden/replies.json, written by record.ts). Keys and
 * values start out as DATA says. What 7.0 answers otherwise than 7.2 is not here but in the tests of the feature.
 */

export interface ScriptCase {
  readonly script: string;
  readonly keys?: readonly string[];
  readonly args?: readonly string[];
}

/** Before each script: strings, and one key of another type. */
export const DATA: Readonly<Record<string, string>> = { text: 'hello', number: '10', 'empty': '', bytes: '\0\x01\x7f\x80\xff' };
export const OTHER_KEY = 'other';

const plain = (...scripts: readonly string[]): ScriptCase[] => scripts.map((script) => ({ script }));

export const CASES: Readonly<Record<string, readonly ScriptCase[]>> = {
  'programs that do not compile': plain(
    'return (', 'x=', 'return 1 end function y()', 'return 1\n  )', '#x\nreturn 1', '\x1bLua', 'return "', 'return "a\nb"',
    'for i=1 do end', 'goto x', 'local x <const> = 1', 'return 1 // 2', 'return [[', 'break', 'return 0x', "return '\\400'",
    'return ...', 'return select("#",...)', '', 'return', '-- nothing', '\n\nreturn x',
  ),
  'shebangs': plain(
    '#!lua\nreturn 1', '#!lua flags=no-writes\nreturn redis.call("set","a","b")', '#!lua flags=bad\nreturn 1',
    '#!luaa\nreturn 1', '#!lua', '#!lua x=1\nreturn 1', '#!\nreturn 1', '#!lua flags=\nreturn 1', '#!lua  \nreturn 1',
    '#!lua flags=no-writes,allow-oom\n\nerror("x")', '#!lua  flags=no-cluster\nreturn 1', '#!lua flags=allow-stale flags=no-writes\nreturn 1',
    '#!lua flags=allow-cross-slot-keys\nreturn 1', '#!lua flags=no-writes\nreturn redis.call("get","text")',
  ),
  'globals are sealed': plain(
    'x=1', 'return x', 'redis=nil', 'redis.x=1', 'redis.call=1', 'return redis.nope', 'return math.nope', 'string.x=1',
    "rawset(_G,'a',1)", "rawset(redis,'a',1)", 'table.insert(redis,1)', 'table.insert(_G,1,1)', 'setmetatable(_G,{})',
    'setmetatable(redis,{})', "return type(getmetatable('').__index)", "getmetatable('').__index=nil",
    "return getmetatable('').__index==string", "setmetatable('x',{})", "rawset(getmetatable(''),'a',1)",
    "return print", "return dofile", "return loadfile", "return io", "return require", "return getfenv", "return setfenv",
    'return newproxy', 'return debug', 'return package', 'return module', 'return _G.x', 'return _G[{}]', 'return _G[1]',
    'return _G[true]', '_G[1]=1', '_G.redis=1', "_G['x']=1", "KEYS='x'", "KEYS[1]='x' return KEYS[1]", 'ARGV={}', 'return f()',
    'function f() end', 'return string.nope()', 'return redis.nope()', 'return #_G', 'return next(redis)~=nil',
    "return rawget(_G,'redis')==redis", "return rawget(_G,'nope')", 'return rawequal(_G,_G)', 'return rawequal(_G,_G._G)',
    'return redis.call==rawget(redis,"call")', 'local n=0 for k,v in pairs(string) do n=n+1 end return n>10',
    'for k in pairs(redis) do if k=="call" then return k end end', 'return type(next(math))', 'local t=getmetatable(_G) return t==nil',
    'local s="x" return s.y', 'local s="x" s.y=1', "return ('x'):rep(3)", "return ('%d'):format(7)", 'return _VERSION',
    'cjson.encode=1', 'bit.band=1', 'struct.pack=1', 'cmsgpack.pack=1', 'coroutine.create=1', 'table.insert=1', 'math.random=1',
    'return type(_G)', 'return tostring(_G==_G._G)', 'return unpack(redis)==nil', 'return table.getn(redis)',
    'return table.concat(redis)', 'return cjson.encode(KEYS)', 'string.rep=nil', 'pcall=nil', 'local x = y.z',
  ),
  'errors say where': plain(
    "error('boom')", "error({err='E boom'})", 'error({err=5})', 'error()', 'error(nil)', 'error(5)', 'error(true)',
    "error('boom',0)", "error('boom',2)", 'local x=nil; x.y=1', 'return 1+{}', '\n\nerror("three")', 'local function f() error("in f") end\nf()',
    'local t={} t[nil]=1', 'local t={} t[0/0]=1', 'return table.concat({1,{},3})', "return ('x'):bad()", 'string.rep()', "return string.format('%d','x')",
    'return unpack({},1,1e7)', 'return #5', "return 'a'..{}", 'return {} < {}', "return 1 < 'x'", 'return nil()',
    'return assert(false)', "return assert(nil,'msg')", "return assert(false,{err='E table'})", 'return tonumber()', 'return setmetatable(1,2)',
    'return coroutine.resume(1)', 'return select(0)', 'return select(-1,1,2)', "return ipairs()", 'return next({},1)',
    'return table.sort({3,1,"x"})', 'return string.char(256)', 'return string.char(-1)', 'return math.floor()',
    'return xpcall(error,1)', 'return coroutine.wrap(function() error("inside") end)()', 'return tostring()', "return error('a\\nb')",
    "return error('a\\0b')", "return {err='a\\r\\nb'}", "error({err='E a\\nb'})", 'local a = {} ; a.b.c = 1', 'return string.gsub("x","(","")',
    'return string.find("x","[")', 'return string.find("x","%")', 'return string.gsub("x","x","%2")', 'return string.rep("x",-1)',
    'return ("x"):rep(1,2,3)', 'return loadstring("return (")', 'return select(2,loadstring("return ("))', 'return loadstring("return 1+1")()',
    'return select(2,loadstring("x=",  "=name"))', 'return select(2,load(function() error("reader") end))', 'return select(2,load(function() return {} end))',
    'local n=0 return load(function() n=n+1 return ({"return ","4","2"})[n] end)()', 'return load(5)', 'return loadstring(string.dump(function() end))',
    'return select(2,loadstring(string.dump(function() end)))', "return select(2,loadstring('\\27Lua'))", "return select(2,loadstring('\\27Lua','@chunk'))",
    'local function f() return f() end error(pcall(error))', 'return math.random(0)', 'return math.random(2,1)', 'return math.random(1,2,3)', 'return math.randomseed()',
  ),
  'redis.call and redis.pcall': plain(
    "return redis.call('nosuch')", "return redis.pcall('nosuch')", 'return redis.call()', 'return redis.pcall()', 'return redis.call({})', 'return redis.pcall({})',
    "return redis.call('get')", "return redis.call('get','a','b')", "return redis.call('subscribe','a')", "return redis.pcall('subscribe','a')",
    "return redis.call('get','other')", "return redis.pcall('get','other')", "return redis.pcall('get','other').err", "return type(redis.pcall('get','other'))",
    "return cjson.encode(redis.pcall('get','other'))", "return {pcall(redis.call,'nosuch')}", "return {pcall(redis.call,'get','other')}",
    "return {pcall(error,{err='E x'})}", "return {pcall(error,{err=1})}", "return {pcall(error,{})}", "return {pcall(error,'x')}", 'return {pcall(function() return 1,2,3 end)}',
    "return {xpcall(function() redis.call('nosuch') end, function(e) return type(e)..e.err end)}", "return {pcall()}", 'return {pcall(1)}',
    "local a,b=pcall(redis.call,'get','other') return {type(b),b}", "return redis.call('set','a',true)", "return redis.call('set','a',nil)", "return redis.call('set',nil,'a')",
    "return redis.call('GeT','text')", "return tostring(redis.call('get','nokey'))", "return redis.call('set','a','b').ok", "return redis.call('mget','text','nokey','number')",
    "return {redis.call('mget','text','nokey','number')[2]==false}", "return redis.call('ping')", "return redis.call('ping','hi')", "return redis.call('echo','hi')", "return redis.call('ping','a','b')",
    "return redis.call('select','3')", "return redis.call('select','99')", "return redis.call('select','x')", "redis.call('select',3) return redis.call('get','text')", "redis.call('select',3) redis.call('set','x','in 3') redis.call('select',0) return redis.call('get','x')",
    "return redis.call('multi')", "return redis.call('eval','return 1',0)", "return redis.call('script','load','x')", "return redis.call('config','get','x')",
    "return redis.call('config')", "return redis.call('client','list')", "return redis.call('watch','a')", "return redis.call('auth','x')", "return redis.call('wait',0,0)",
    "return #redis.call('time')", "return redis.call('set','a','1','nx')", "return redis.call('set','text','1','nx')", "return redis.call('incr','text')", "return redis.pcall('incr','text')",
    "redis.call('incr','number') redis.call('incr','text')", "redis.call('set','x','1') redis.pcall('incr','text') return redis.call('get','x')", "return redis.call('incrby','number','5')", "return redis.call('incrby','number',5)",
    "return redis.call('set','a','b','zz')", "return redis.call('setex','a','0','b')", "return redis.call('expire','text','x')", "return redis.call('type','text')", "return redis.call('exists','text','number','nokey')",
    "return redis.call('getrange','text',0,-1)", "return redis.call('append','text','!')", "return redis.call('object','nosuch','text')", "return redis.call('object')", "return redis.call('')",
    "redis.call('set','k',1e15) return redis.call('get','k')", "redis.call('set','k',10) return redis.call('get','k')", "redis.call('set','k',-5) return redis.call('get','k')", "redis.call('set','k',1e100) return redis.call('get','k')",
    "redis.call('set','k',2^53) return redis.call('get','k')", "redis.call('set','k',1/0) return redis.call('get','k')", "redis.call('set','k',0) return redis.call('get','k')", "redis.call('set','k',0.5) return redis.call('get','k')",
    "return redis.call('get','bytes')", "return redis.call('get','empty')", "local function f(n) return n==0 and redis.call('get','text') or f(n-1) end return f(50)",
    "return coroutine.wrap(function() return redis.call('get','text') end)()", "local c=coroutine.wrap(function() coroutine.yield(redis.call('get','text')) return redis.call('get','number') end) return {c(),c()}",
    "local t={3,1,2} table.sort(t,function(a,b) redis.call('incr','number') return a<b end) return redis.call('get','number') ~= '10'", "return redis.call('get','text','')", "return redis.call(1,2)", "return redis.call('get',1)",
    "return (string.gsub('text number','%w+',function(k) return redis.call('get',k) end))", "return redis.call('del','text') + redis.call('del','text')",
  ),
  'the rest of the API': plain(
    "return {err='My Err'}", "return {err='-My Err'}", "return {err=''}", "return {ok='fine'}", "return {ok=''}", "return {ok='a\\r\\nb'}", "return redis.error_reply('My Err')", "return redis.error_reply('-My Err')", "return redis.error_reply('Err')", "return redis.error_reply('')",
    'return redis.error_reply(1)', 'return redis.error_reply()', "return redis.error_reply('a','b')", "return redis.error_reply('a b').err", "return redis.error_reply('a').err", "return redis.status_reply('x')", 'return redis.status_reply()', 'return redis.status_reply(1)', "return redis.status_reply('a','b')",
    'return redis.sha1hex()', "return redis.sha1hex('')", 'return redis.sha1hex({})', 'return redis.sha1hex(1)', 'return redis.sha1hex(nil)', "return redis.sha1hex('a','b')", "return redis.sha1hex('\\0\\255')", 'redis.log()', "redis.log('x','y')", "redis.log(9,'y')", "redis.log(-1,'y')", "return redis.log(redis.LOG_DEBUG,'x')", "return redis.log('1','x')",
    'redis.setresp()', 'redis.setresp(4)', "redis.setresp('x')", 'return redis.setresp(3)', "return redis.setresp('2')", 'redis.setresp(2,3)', 'redis.set_repl()', 'redis.set_repl(9)', 'redis.set_repl(-1)', 'return redis.set_repl(1)', 'return redis.set_repl(redis.REPL_ALL)', 'return redis.breakpoint()',
    "return redis.debug('a')", 'return redis.replicate_commands()', "return redis.acl_check_cmd('get','a')", "return redis.acl_check_cmd('nosuch')", 'return redis.acl_check_cmd()', 'return {redis.LOG_DEBUG,redis.LOG_VERBOSE,redis.LOG_NOTICE,redis.LOG_WARNING}', 'return {redis.REPL_NONE,redis.REPL_AOF,redis.REPL_SLAVE,redis.REPL_REPLICA,redis.REPL_ALL}',
    'math.randomseed(5) return tostring(math.random())', 'math.randomseed(5) return {math.random(10),math.random(10),math.random(5,6),math.random(-5,5)}', 'math.randomseed(-1) return tostring(math.random())', 'math.randomseed(1.9) return tostring(math.random())', 'math.randomseed(1700000000000) return tostring(math.random())', "math.randomseed('7') return tostring(math.random())", 'math.randomseed(0) local t={} for i=1,20 do t[i]=math.random(100) end return t',
    'return collectgarbage("nope")', 'return collectgarbage("count")>0', 'return type(gcinfo())', 'return collectgarbage()', "return tostring(collectgarbage('step'))", "return #tostring({}) > 8", "return tostring(print==nil)",
  ),
  'Lua values as replies': plain(
    'return 1', 'return 3.99', 'return -3.99', 'return 1e20', 'return -1e20', 'return 0/0', 'return 2^53', 'return 2^62', 'return 2^63', 'return -2^63', 'return -0.5', 'return 1e15', 'return true', 'return false', 'return nil', 'return {}', 'return {1,2,nil,4}', 'return {1,false,3}', 'return {true,false}', 'return {{{}}}', 'return {1,{2,{3,"x"}}}',
    'return "x"', 'return ""', 'return "a\\0b"', 'return function() end', 'return coroutine.create(function() end)', 'return {double=3.5}', 'return {double=1/0}', 'return {double="x"}', 'return {double=3}', 'return {map={a=1}}', 'return {map={}}', 'return {map={1,2}}', 'return {set={a=true}}', 'return {set={}}', 'return {set={"a"}}', "return {big_number='123'}", "return {big_number=123}", "return {big_number='1\\n2'}",
    "return {verbatim_string={format='txt',string='hi'}}", "return {verbatim_string={format='txt'}}", "return {verbatim_string=1}", 'return 1,2,3', 'return {a=1}', 'return {1,a=2}', 'return {[1]=1,[3]=3}', 'return {"a",{ok="fine"},{err="E x"}}', 'return {{err="E x"}}', 'return {map={a={1,2},b={map={c=1}}}}', "return {ok=5}", "return {err=5}", 'return {ok={}}', 'return {ok="a",err="b"}',
    'return cjson.null', 'return {cjson.null}', 'redis.setresp(3) return true', 'redis.setresp(3) return {true,false}', 'redis.setresp(3) return false', "redis.setresp(3) return redis.call('get','nokey')", "redis.setresp(3) return tostring(redis.call('get','nokey'))", "redis.setresp(3) return redis.call('mget','text','nokey','number')", "redis.setresp(3) return type(redis.call('get','nokey'))", 'return setmetatable({},{__index=function() return 1 end})', 'return setmetatable({1,2},{__len=function() return 9 end})',
    'local t={} for i=1,100 do t[i]=i end return t', 'local t={} t[1]=1 t[2]=2 t[1000]=3 return t', 'return {0.1,-0.1,"0.1"}', 'return tostring(0.1)', 'return tostring(1e15)', 'return tostring(1e14)', 'return tostring(123456789012345678)', 'return tostring(-1.5e-10)', 'return tostring(1/0)', 'return tostring(2^31)', 'return 7 % -3', 'return tostring(-7 % 3)', 'return tostring(7.5 % 2)', 'return tostring(2^0.5)',
  ),
  'KEYS and ARGV': [
    { script: 'return {KEYS[1],ARGV[1],#KEYS,#ARGV}', keys: ['a\0b'], args: ['\xff\0'] },
    { script: 'return {#KEYS,#ARGV,KEYS[1],ARGV[1]}' },
    { script: 'return {KEYS[2],KEYS[3]}', keys: ['a', 'b'] },
    { script: 'return ARGV', args: ['1', '', 'x'] },
    { script: 'return ARGV[1]+1', args: ['10'] },
    { script: 'return ARGV[1]+1', args: ['x'] },
    { script: 'return tonumber(ARGV[1])', args: ['0x10'] },
    { script: 'return {unpack(ARGV,2)}', args: ['a', 'b', 'c'] },
    { script: "if redis.call('get',KEYS[1]) == ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end", keys: ['text'], args: ['hello'] },
    { script: "if redis.call('get',KEYS[1]) == ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end", keys: ['text'], args: ['other'] },
    { script: 'local t={} for i=0,255 do t[#t+1]=string.char(i) end return table.concat(t)==ARGV[1]', args: [Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join('')] },
    { script: 'return string.reverse(ARGV[1])', args: [Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join('')] },
  ],
  'strings that are wider than 32 bits': plain(
    "return string.format('%d',3000000000)", "return string.format('%d %x %X %o %u',2^40,2^40,2^40,2^40,2^40)", "return string.format('%d',-2^40)", "return string.format('%x',-1)", "return string.format('%u',-1)", "return string.format('[%20d][%-20d][%020d][%+d][% d]',2^40,2^40,2^40,2^40,2^40)", "return string.format('[%.15d][%20.15d][%#x][%#o]',2^40,2^40,2^40,2^40)", "return string.format('%d','3000000000')",
    "return string.format('%d%%%s%d',2^40,'x',1)", "return string.format('%i',2^53)", "return string.format('%5.1f|%g|%e',2^40,2^40,2^40)", "return string.format('%d',1/0)", "return string.format('%d',1e300)", "return string.format('%s %d',2^40,5)", "return string.format('%q',2^40)", "return string.format('%d')", "return string.format('%d',{})", "return string.format('%y',2^40)", "return string.format('%c%c',65,2^33+66)", "return ('abcdef'):sub(2,1e10)", "return ('abcdef'):sub(-1e10,3)", "return ('abcdef'):sub(1,math.huge)", "return ('abcdef'):sub(-math.huge,4)", "return ('abcdef'):sub(2^31)", "return ('abcdef'):sub(-2^31)", "return ('abcdef'):sub(2,'4')", "return ('abcdef'):sub()",
    "return string.rep('ab',3)", "return string.rep('',1e9)", "return string.rep('x',0)", "return string.rep('x','3')", "return string.format('%5s|%-5s|%.2s','ab','ab','abc')", "return string.format('%q','a\\0b\\n\"\\\\')", "return string.format('%10.3f|%-10.3f|%+.2e',math.pi,math.pi,math.pi)", "return string.format('%s',nil)", "return string.format('%s %s',true,{} ~= nil)", "return string.format('%%')", "return string.format('%99d',1)", "return string.format('%100d',1)",
  ),
  'patterns': plain(
    "return {string.find('hello world','o w')}", "return {string.find('hello','l+')}", "return {string.find('a.b','.',1,true)}", "return {string.find('hello','(l)(l)')}", "return {string.find('abc','b',-1)}", "return {string.find('abc','',10)}", "return {string.find('abc','')}", "return {string.match('key=val','(%w+)=(%w+)')}", "return {string.match('  x  ','^%s*(.-)%s*$')}", "return {string.match('2024-01-02','(%d+)-(%d+)-(%d+)')}", "return {string.match('f(a(b)c)d','%b()')}", "return {string.match('THE (quick) fox','%f[%a]%a+',5)}", "return {string.match('abab','(ab)%1')}", "return {string.match('hello','()ll()')}",
    "return {string.gsub('hello','l','L')}", "return {string.gsub('hello','l','L',1)}", "return {string.gsub('abc','%w','%0%0')}", "return {string.gsub('abc','','-')}", "return {string.gsub('hello world','(%w+) (%w+)','%2 %1')}", "return {string.gsub('$a $b','%$(%w)',{a='1'})}", "return {string.gsub('abc','b',function() return false end)}", "return {string.gsub('abc','b',function() return 7 end)}", "return {string.gsub('abc','b',function() return {} end)}", "return {string.gsub('abc','^a','x')}", "return {string.gsub('aaa','^a','x')}", "local r={} for k,v in string.gmatch('a=1,b=2','(%w)=(%w)') do r[#r+1]=k..v end return r", "local r={} for w in string.gmatch('one two','%a+') do r[#r+1]=w end return r", "local r={} for w in string.gfind('one two','%a+') do r[#r+1]=w end return r", "local n=0 for _ in ('abc'):gmatch('') do n=n+1 end return n",
    "return string.find('a\\0b','%z')", "return string.find('a]b','[]]')", "return string.find('a-b','[a%-]',2)", "return string.find('a^b','[b^]')", "return string.match('x','[^%w]')", "return string.match('ß','%a')", "return string.gsub('abc','(a)(b)(c)','%3%2%1%0')", "return string.gsub('x','x','%')", "return string.gsub('abc','[a-c]',string.upper)", "return string.find('abc','b()')", "return string.gsub('x^y','%^','-')", "return {string.find('aXb','%u')}", "return {('x'):find('x',1/0)}", "return string.gsub('abc','%')", "return string.gsub('abc')", "return string.gsub('abc','a',nil)", "return string.gsub('abc','a',true)", 'return string.gsub("hello","","x",3)',
  ),
};
