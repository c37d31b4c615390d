// The catalogue as the tools see it: the AsyncAPI document with its files, its references followed, and who points at
// whom. Everything that is made from the document (documentation, types, contract tests) reads it here.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import AjvModule from 'ajv';
import addFormatsModule from 'ajv-formats';

const Ajv = AjvModule.default ?? AjvModule;
const addFormats = addFormatsModule.default ?? addFormatsModule;
const require = createRequire(import.meta.url);
// The YAML reader that the parser itself uses: for the document as it is written, its references not yet followed.
const yaml = createRequire(require.resolve('@asyncapi/parser'))('js-yaml');

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
export const DOCUMENT = join(root, 'asyncapi/asyncapi.yaml');

// --- schemas

// The parser's notes and what files say about themselves would make one schema meet itself twice.
export const plain = (value) => JSON.parse(JSON.stringify(value, (key, member) => (
  key.startsWith('x-parser-') || key === '$schema' || key === '$id' ? undefined : member)));

/* What is wrong with a value, as a list of texts; empty when it is what the schema says. */
export function validator(schema) {
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  const validate = ajv.compile(plain(schema));
  return (value) => (validate(value) ? [] : validate.errors.map((e) => `${e.instancePath || '/'} ${e.message}`));
}

/* All properties that a schema knows, with allOf taken together. */
export function shape(schema) {
  const parts = [schema, ...(schema.allOf ?? []).map(shape)];
  return {
    properties: Object.assign({}, ...parts.map((part) => part.properties ?? {})),
    required: [...new Set(parts.flatMap((part) => part.required ?? []))],
  };
}

// --- references

// The files of a document. A place is {file, path (tokens), node}; `id` names it.
class Files {
  constructor() {
    this.roots = new Map();
  }

  open(file) {
    if (!this.roots.has(file)) this.roots.set(file, yaml.load(readFileSync(file, 'utf8')));
    return { file, path: [], node: this.roots.get(file) };
  }

  // The place that a $ref in `file` means. References on the way are followed, one at its end is not.
  locate(file, reference) {
    const [name, pointer = ''] = reference.split('#');
    const tokens = pointer.split('/').slice(1).map((token) => decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~'));
    let place = this.open(name ? resolve(dirname(file), name) : file);
    for (const token of tokens) {
      place = this.member(this.end(place), token);
      if (place.node === undefined) throw new Error(`${reference} in ${file} leads nowhere`);
    }
    return place;
  }

  member({ file, path, node }, key) {
    return { file, path: [...path, key], node: node?.[key] };
  }

  next(place) {
    return typeof place.node?.$ref === 'string' ? this.locate(place.file, place.node.$ref) : null;
  }

  end(place) {
    for (let next = this.next(place); next; next = this.next(place)) place = next;
    return place;
  }

  // The first of the place and of those that it leads to for which `find` has something.
  first(place, find) {
    for (let at = place; at; at = this.next(at)) {
      const found = find(at);
      if (found) return found;
    }
    return null;
  }

  // The value with all references to other places replaced by what stands there.
  whole(place) {
    const { file, path, node } = this.end(place);
    if (Array.isArray(node)) return node.map((_, i) => this.whole(this.member({ file, path, node }, i)));
    if (node === null || typeof node !== 'object') return node;
    return Object.fromEntries(Object.keys(node).map((key) => [key, this.whole(this.member({ file, path, node }, key))]));
  }
}

const idOf = ({ file, path }) => `${file}#${path.join('/')}`;
const members = (files, place) => Object.keys(place.node ?? {}).map((key) => [key, files.member(place, key)]);

// --- the document

function readChannels(files, document) {
  const places = new Map(); // id of a place -> {channel, message}
  const channels = members(files, files.end(files.member(document, 'channels'))).map(([key, place]) => {
    const channel = files.whole(place);
    const end = files.end(place);
    places.set(idOf(place), { channel: key });
    places.set(idOf(end), { channel: key });
    const messages = members(files, files.end(files.member(end, 'messages'))).map(([message, at]) => {
      places.set(idOf(at), { channel: key, message });
      return { key: message, name: channel.messages[message].name ?? message, message: channel.messages[message] };
    });
    const kafka = (channel.servers ?? []).some((server) => server.protocol === 'kafka');
    return { key, address: channel.address, kafka, channel, messages, file: end.file };
  });
  return { channels, places };
}

function readOperation(files, places, name, place) {
  const end = files.end(place);
  const { node } = end;
  const find = (at, what) => files.first(at, (p) => places.get(idOf(p))) ?? { [what]: idOf(at) };
  const list = (at) => (Array.isArray(at.node) ? at.node.map((_, i) => files.member(at, i)) : at.node === undefined ? [] : [at]);
  const extension = files.end(files.member(end, 'x-causeway'));
  return {
    name,
    file: end.file,
    action: node.action,
    title: node.title,
    description: node.description,
    channel: find(files.member(end, 'channel'), 'channel').channel,
    messages: list(files.member(end, 'messages')).map((at) => find(at, 'message')),
    replies: list(files.member({ ...end, node: node.reply, path: [...end.path, 'reply'] }, 'messages')).map((at) => find(at, 'message')),
    written: extension.node, // as it stands in the document
    route: extension.node?.from && {
      to: [], except: [], ephemeral: false, ...extension.node,
      from: list(files.member(extension, 'from')).map((at) => find(at, 'message')),
    },
  };
}

/* The document at `path`: its parts with all references followed. */
export function readCatalogue(path = DOCUMENT) {
  const files = new Files();
  const document = files.open(path);
  const { channels, places } = readChannels(files, document);
  const operations = members(files, files.end(files.member(document, 'operations')))
    .map(([name, place]) => readOperation(files, places, name, place));
  const rights = files.whole(files.member(document, 'x-causeway'));
  return { path, info: document.node.info, channels, operations, rights, files: [...files.roots.keys()] };
}

/* What the official parser says of the document: {diagnostics, json}; json is undefined when it accepts none. Takes seconds. */
export async function parseDocument(path = DOCUMENT) {
  const { Parser } = await import('@asyncapi/parser');
  const { document, diagnostics } = await new Parser().parse(readFileSync(path, 'utf8'), { source: path });
  return { diagnostics, json: document?.json() };
}

/* The message that a {channel, message} of an operation means: {key, name, message}, or undefined. */
export const messageOf = (catalogue, { channel, message }) => catalogue.channels
  .find(({ key }) => key === channel)?.messages.find(({ key }) => key === message);

/* The fields of a template: [{text, path (steps), optional}]. */
export const fieldsOf = (template) => [...template.matchAll(/\{([^{}]+)\}/g)].map(([, field]) => ({
  text: field.replace(/\?$/, ''), path: field.replace(/\?$/, '').split('.'), optional: field.endsWith('?'),
}));

/* A room's name or template with its placeholders blanked: two of one form are the same rooms. */
export const roomForm = (template) => template.replaceAll(/\{[^{}]+\}/g, '{}');
