// Schemas, values, patterns and texts from a random number: small alphabets, so that many of them meet.

export function randomFrom(seed) {
  let state = seed >>> 0;
  const below = (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * n);
  };
  return { below, pick: (list) => list[below(list.length)], chance: (n) => below(n) === 0 };
}

const times = (count, make) => Array.from({ length: count }, make);

// --- patterns

const LITERALS = ['a', 'b', 'c', 'A', '0', '_', '-', 'é', 'я', '😀', '\\-', '\\.', '\\/', '\\n', '\\u0061', '\\u{1F600}',
  '\\uD83D\\uDE00', '\\x41', '\\cA', '\\0', '=', ',', ':', '!', '"'];
const CLASSES = ['\\d', '\\D', '\\w', '\\W', '\\s', '\\S'];
const SET_PARTS = ['a', 'b-z', '0-9', '\\d', '\\w', '\\s', 'я', 'а-я', '\\-', '-', '\\]', '\\b', 'é-я', '😀', '.', '\\S', '^', '('];
const QUANTIFIERS = ['', '', '*', '+', '?', '{2}', '{1,3}', '{0,2}', '{2,}', '*?', '+?', '{0}'];
const JUNK = [...'()[]{}|*+?^$\\.-,=!<>:abdDpPkKuxZN019'];

const inventSet = (r) => `[${r.chance(4) ? '^' : ''}${times(1 + r.below(4), () => r.pick(SET_PARTS)).join('')}]`;

function inventAtom(r, depth) {
  const kind = r.below(depth > 3 ? 5 : 10);
  if (kind < 3) return r.pick(LITERALS);
  if (kind === 3) return inventSet(r);
  if (kind === 4) return r.pick([...CLASSES, '.']);
  if (kind < 8) return `${r.pick(['(', '(?:', `(?<n${r.below(1e9)}>`])}${inventDisjunction(r, depth + 1)})`;
  return r.pick(LITERALS);
}

function inventTerm(r, depth) {
  const kind = r.below(14);
  if (kind === 0) return r.pick(['^', '$', '\\b', '\\B']);
  if (kind === 1 && depth < 4) return `${r.pick(['(?=', '(?!', '(?<=', '(?<!'])}${inventDisjunction(r, depth + 1)})`;
  return inventAtom(r, depth) + r.pick(QUANTIFIERS);
}

function inventDisjunction(r, depth) {
  const alternative = () => times(r.below(4), () => inventTerm(r, depth)).join('');
  let text = alternative();
  while (r.chance(5)) text += `|${alternative()}`;
  return text;
}

export function inventPattern(r) {
  const pattern = [...inventDisjunction(r, 0)];
  for (let i = r.chance(3) ? r.below(3) : 0; i > 0; i--) {
    const at = r.below(pattern.length + 1);
    if (r.chance(2)) pattern.splice(at, 0, r.pick(JUNK));
    else pattern.splice(at, 1);
  }
  return pattern.join('');
}

const LETTERS = ['a', 'b', 'c', 'A', '0', '1', '_', '-', ' ', '\n', 'é', 'я', '😀', '\u2028', '.', '/'];
export const inventText = (r) => times(r.below(9), () => r.pick(LETTERS)).join('');

// --- schemas

// Not: an empty name and numbers beyond doubles, of which ajv says what is not so.
const NAMES = ['a', 'b', 'name', 'items', 'a/b', 'x~y', 'é', 'a longer name than eight', 'a longer name too eight', '"'];
const TYPES = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'];
const FORMATS = ['date', 'ipv4', 'ipv6', 'uuid', 'json-pointer', 'date-time', 'hostname'];
const PATTERNS = ['^a', 'b$', '^[a-z]+$', 'é|я', '^.?$', '\\d', '(?=a)', '^(ab?)*$'];
const NUMBERS = [0, 1, 2, -1, 3.5, 10, 0.5, -2.5, 100];

const KEYWORDS = {
  type: (r) => (r.chance(3) ? [...new Set(times(1 + r.below(3), () => r.pick(TYPES)))] : r.pick(TYPES)),
  enum: (r) => [...new Map(times(1 + r.below(4), () => inventAny(r, 1)).map((v) => [JSON.stringify(v), v])).values()],
  const: (r) => inventAny(r, 2),
  minimum: (r) => r.pick(NUMBERS),
  maximum: (r) => r.pick(NUMBERS),
  exclusiveMinimum: (r) => r.pick(NUMBERS),
  exclusiveMaximum: (r) => r.pick(NUMBERS),
  multipleOf: (r) => r.pick([1, 2, 3, 0.5, 10]),
  minLength: (r) => r.below(3),
  maxLength: (r) => 3 + r.below(4),
  pattern: (r) => r.pick(PATTERNS),
  format: (r) => r.pick(FORMATS),
  items: (r, depth) => (r.chance(3) ? times(1 + r.below(2), () => inventSchema(r, depth + 1)) : inventSchema(r, depth + 1)),
  additionalItems: (r, depth) => inventSchema(r, depth + 1),
  minItems: (r) => r.below(2),
  maxItems: (r) => 2 + r.below(2),
  uniqueItems: () => true,
  contains: (r, depth) => inventSchema(r, depth + 1),
  minProperties: (r) => r.below(2),
  maxProperties: (r) => 2 + r.below(3),
  required: (r) => [...new Set(times(1 + r.below(2), () => r.pick(NAMES)))],
  properties: (r, depth) => Object.fromEntries(times(1 + r.below(4), () => [r.pick(NAMES), inventSchema(r, depth + 1)])),
  patternProperties: (r, depth) => ({ [r.pick(PATTERNS)]: inventSchema(r, depth + 1) }),
  additionalProperties: (r, depth) => (r.chance(2) ? false : inventSchema(r, depth + 1)),
  dependencies: (r, depth) => ({ [r.pick(NAMES)]: r.chance(2) ? [r.pick(NAMES)] : inventSchema(r, depth + 1) }),
  propertyNames: (r, depth) => inventSchema(r, depth + 1),
  if: (r, depth) => inventSchema(r, depth + 1),
  then: (r, depth) => inventSchema(r, depth + 1),
  else: (r, depth) => inventSchema(r, depth + 1),
  allOf: (r, depth) => times(1 + r.below(2), () => inventSchema(r, depth + 1)),
  anyOf: (r, depth) => times(1 + r.below(3), () => inventSchema(r, depth + 1)),
  oneOf: (r, depth) => times(1 + r.below(3), () => inventSchema(r, depth + 1)),
  not: (r, depth) => inventSchema(r, depth + 1),
};
const BY_KIND = [
  ['type', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  ['type', 'minLength', 'maxLength', 'pattern', 'format'],
  ['items', 'additionalItems', 'minItems', 'maxItems', 'uniqueItems', 'contains'],
  ['required', 'properties', 'patternProperties', 'additionalProperties', 'dependencies', 'propertyNames', 'minProperties', 'maxProperties'],
  ['enum', 'const', 'type'],
  ['if', 'then', 'else', 'allOf', 'anyOf', 'oneOf', 'not', 'type'],
];

export function inventSchema(r, depth = 0) {
  if (depth > 3 || r.chance(12)) return r.pick([true, true, {}, false, { type: r.pick(TYPES) }]);
  if (depth > 0 && r.chance(10)) return { $ref: '#/definitions/d' };
  const keys = new Set(times(1 + r.below(4), () => r.pick(r.pick(BY_KIND))));
  const schema = Object.fromEntries([...keys].map((key) => [key, KEYWORDS[key](r, depth)]));
  // A length that nothing could have is refused when it is loaded, on purpose.
  for (const [least, most] of [['minLength', 'maxLength'], ['minItems', 'maxItems'], ['minProperties', 'maxProperties']]) {
    if (schema[least] > schema[most]) delete schema[least];
  }
  if (depth === 0) schema.definitions = { d: { type: r.pick(TYPES), maxLength: 2, maximum: 5, maxItems: 1, maxProperties: 2 } };
  return schema;
}

// --- values

const TEXTS = ['', 'a', 'ab', 'abc', 'é', 'яя', '😀😀😀😀', 'b', 'a\\b', '127.0.0.1', '::1', '2024-02-29', '2023-02-29',
  '2024-01-15T10:30:00Z', 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6', '/a/b', 'host.example', '12'];

function inventAny(r, depth) {
  const kind = r.below(depth > 2 ? 5 : 7);
  if (kind === 0) return null;
  if (kind === 1) return r.chance(2);
  if (kind === 2) return r.pick(NUMBERS);
  if (kind < 5) return r.pick(TEXTS);
  if (kind === 5) return times(r.below(4), () => inventAny(r, depth + 1));
  return Object.fromEntries(times(r.below(4), () => [r.pick(NAMES), inventAny(r, depth + 1)]));
}

// Mostly of a type that the schema asks for, with members that it knows: what is refused at once tests little.
export function inventValue(r, schema, depth = 0) {
  if (typeof schema !== 'object' || r.chance(4) || depth > 3) return inventAny(r, depth);
  if ('const' in schema && r.chance(2)) return schema.const;
  if (schema.enum && r.chance(2)) return r.pick(schema.enum);
  const part = [schema.allOf, schema.anyOf, schema.oneOf].find(Boolean);
  if (part && r.chance(2)) return inventValue(r, r.pick(part), depth + 1);
  const type = [schema.type ?? (schema.properties || schema.required ? 'object' : schema.items ? 'array' : r.pick(TYPES))].flat();
  switch (r.pick(type)) {
    case 'null': return null;
    case 'boolean': return r.chance(2);
    case 'integer': return r.pick([0, 1, 2, 3, 5, 10, 100]);
    case 'number': return r.pick(NUMBERS);
    case 'string': return r.pick(TEXTS);
    case 'array': return times(r.below(4), (_, i) => inventValue(r, [schema.items ?? true].flat()[i] ?? schema.items ?? true, depth + 1));
    default: return inventObject(r, schema, depth);
  }
}

function inventObject(r, schema, depth) {
  const names = [...Object.keys(schema.properties ?? {}), ...(schema.required ?? [])].filter(() => !r.chance(4));
  if (r.chance(2)) names.push(r.pick(NAMES));
  return Object.fromEntries(names.map((name) => [name, inventValue(r, schema.properties?.[name] ?? true, depth + 1)]));
}
