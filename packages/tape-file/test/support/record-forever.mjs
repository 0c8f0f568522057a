// A process that records until it is killed: one record each turn of the event loop, announced on stdout once the
// operating system has it. `node --import source-hooks.mjs record-forever.mjs PATH`.
import { openTapeFile } from '@shadowcat/tape-file';

const clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  timer(ms, fire) {
    const timer = setTimeout(fire, ms).unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
const log = { debug() {}, info() {}, warn() {}, error: (_, message) => process.stderr.write(`${message}\n`) };
const head = JSON.stringify({ k: 'head', v: 1, form: 'capture', requires: [] });
const tape = openTapeFile(process.argv[2], { head }, { clock, log });

let made = 0;
let said = 0;
setInterval(() => {
  made += 1;
  tape.append(
    `{"k":"msg","t":0,"s":"-","x":"${made}","from":"server","m":{"jsonrpc":"2.0","method":"n","params":{"n":${made}}}}`,
  );
  const { written } = tape.state();
  if (written > said) process.stdout.write(`${written}\n`);
  said = written;
}, 1);
