// The recorder by itself, writing real tapes: what it costs without sockets around it.
import { createHmac } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Problem } from './problem.mjs';
import { makeFolder, removeFolder } from './processes.mjs';

async function built(name) {
  const file = new URL(`../../../packages/${name}/dist/index.js`, import.meta.url);
  if (!existsSync(file)) throw new Problem(`${file.pathname} is not built; run npm run build`);
  return import(file);
}

export const clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  timer: (ms, fire) => {
    const timer = setTimeout(fire, ms).unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

const HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const encoder = new TextEncoder();

/** A tape file in a folder of this run's own. */
export async function openWriter() {
  const [{ openTapeFile }, { silentLog }] = await Promise.all([built('tape-file'), built('kernel')]);
  const folder = makeFolder();
  const head = '{"k":"head","v":1,"form":"capture","requires":[]}';
  const writer = openTapeFile(join(folder, 'x.tape.jsonl'), { head }, { clock, log: silentLog });
  return { writer, remove: () => removeFolder(folder) };
}

/** `call(number)` makes one small `tools/call` that is recorded; `close` ends the tape and checks that nothing is missing. */
export async function recordingRig() {
  const [tape, files, kernel, wire] = await Promise.all(['tape', 'tape-file', 'kernel', 'wire'].map(built));
  const folder = makeFolder();
  const { silentLog } = kernel;
  const hex = 'ab'.repeat(32);
  const hmac = (text) => createHmac('sha256', hex).update(text).digest('hex');
  const redaction = files.openRedaction({}, { id: 'bench', hex, hmac });
  const { redactor, later } = redaction;
  const open = files.tapeOpener(join(folder, 'x.tape.jsonl'), {}, { clock, log: silentLog });
  const defer = (work) => void setImmediate(work);
  const layer = tape.recorder(
    { layout: 'file' },
    { open, redactor, redactLater: later, keyId: 'bench', defer, clock, log: silentLog },
  );
  const answer = (id) =>
    encoder.encode(`{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"echo m${id}"}]}}`);
  const handler = layer(async ({ context }) => {
    const { id } = context.get(wire.callSlot).message;
    return kernel.reply(
      { status: 200, headers: { 'content-type': 'application/json' } },
      kernel.Body.whole(answer(id), wire.jsonFraming),
    );
  });
  const call = (id) => {
    const params = `{"name":"echo","arguments":{"message":"m${id}"}}`;
    const bytes = encoder.encode(`{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":${params}}`);
    const { messages, batch } = wire.readMessages(bytes);
    const head = { method: 'POST', target: '/mcp', headers: HEADERS };
    const context = new kernel.Context();
    context.set(wire.callSlot, wire.classify(head, messages, batch));
    const { signal } = new AbortController();
    return handler({ id: String(id), head, body: kernel.Body.whole(bytes, wire.jsonFraming), signal, context });
  };
  const close = async () => {
    await layer.close();
    await redaction.close();
    removeFolder(folder);
    const { lost } = layer.state();
    if (lost > 0) throw new Problem(`${lost} records were lost`);
  };
  return { call, close };
}
