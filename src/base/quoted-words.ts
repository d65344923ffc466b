/**
 * Splits a line into words with Redis's quoting (sds.c sdssplitargs): what inline requests, redis.conf lines and the
 * command line of redis-cli have in common.
 *
 *   plain words     end at space, tab, CR or LF
 *   "double quotes" know \n \r \t \b \a \xHH; any other escaped character stands for itself
 *   'single quotes' know only \'
 *
 * A quote may open in the middle of a word, but after the closing one a blank or the end must follow.
 */

/** The words of a line of latin1 text, or null if quotes are unbalanced or the line holds a NUL. */
export function splitQuotedWords(line: string): string[] | null {
  if (line.includes('\0')) return null;
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (at < line.length && isBlank(line, at)) at++;
    if (at === line.length) return words;
    const word = readWord(line, at);
    if (word === null) return null;
    words.push(word.text);
    at = word.end;
  }
}

interface Word {
  readonly text: string;
  readonly end: number;
}

function readWord(line: string, start: number): Word | null {
  let text = '';
  let at = start;
  for (; at < line.length; at++) {
    const char = line.charAt(at);
    if (char === ' ' || char === '\t' || char === '\r' || char === '\n') return { text, end: at };
    if (char !== '"' && char !== "'") {
      text += char;
      continue;
    }
    const quoted = char === '"' ? readDoubleQuoted(line, at + 1) : readSingleQuoted(line, at + 1);
    if (quoted === null) return null;
    if (quoted.end < line.length && !isBlank(line, quoted.end)) return null;
    return { text: text + quoted.text, end: quoted.end };
  }
  return { text, end: at };
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', a: '\x07' };

function readDoubleQuoted(line: string, start: number): Word | null {
  let text = '';
  for (let at = start; at < line.length; at++) {
    const char = line.charAt(at);
    if (char === '"') return { text, end: at + 1 };
    if (char !== '\\' || at + 1 === line.length) {
      text += char;
      continue;
    }
    const hex = line.slice(at + 2, at + 4);
    if (line.charAt(at + 1) === 'x' && /^[0-9a-fA-F]{2}$/.test(hex)) {
      text += String.fromCharCode(Number.parseInt(hex, 16));
      at += 3;
    } else {
      const escaped = line.charAt(at + 1);
      text += ESCAPES[escaped] ?? escaped;
      at += 1;
    }
  }
  return null;
}

function readSingleQuoted(line: string, start: number): Word | null {
  let text = '';
  for (let at = start; at < line.length; at++) {
    const char = line.charAt(at);
    if (char === "'") return { text, end: at + 1 };
    if (char === '\\' && line.charAt(at + 1) === "'") {
      text += "'";
      at += 1;
    } else {
      text += char;
    }
  }
  return null;
}

/** C's isspace in the C locale. */
function isBlank(line: string, at: number): boolean {
  const code = line.charCodeAt(at);
  return code === 32 || (code >= 9 && code <= 13);
}

/** The word as `splitQuotedWords` reads it back, quoted only where needed (sds.c sdscatrepr). Never holds a newline. */
export function quoteWord(word: string): string {
  if (word !== '' && /^[!#-&(-[\]-~]+$/.test(word)) return word;
  let text = '"';
  for (const char of word) {
    const code = char.charCodeAt(0);
    if (char === '"' || char === '\\') text += `\\${char}`;
    else if (char === '\n') text += '\\n';
    else if (char === '\r') text += '\\r';
    else if (char === '\t') text += '\\t';
    else if (code < 32 || code > 126) text += `\\x${(code & 0xff).toString(16).padStart(2, '0')}`;
    else text += char;
  }
  return `${text}"`;
}
