// Progress for a person who waits, on stderr: plain lines, and on a terminal one line that moves.

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const TICK_MS = 120;

/** @param {string} text */
export function say(text) {
  process.stderr.write(`shadowcat: ${text}\n`);
}

/** @param {number} ms */
export function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}

/**
 * Runs a piece of work and says when it began and how long it took. A failure is not announced here: whoever catches it
 * knows what to say.
 * @template T
 * @param {{ doing: string, done: string }} labels such as `installing pnpm` and `installed pnpm`
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(labels, work) {
  const startedAt = Date.now();
  const stopSpinner = process.stderr.isTTY ? spin(labels.doing, startedAt) : say(`${labels.doing} …`);
  try {
    const result = await work();
    stopSpinner?.();
    say(`${labels.done} (${seconds(Date.now() - startedAt)})`);
    return result;
  } catch (error) {
    stopSpinner?.();
    throw error;
  }
}

/**
 * A line that moves while work goes on. Only for terminals.
 * @param {string} label
 * @param {number} startedAt
 * @returns {() => void} stops it and clears the line
 */
export function spin(label, startedAt) {
  let turn = 0;
  const draw = () => {
    const frame = FRAMES[turn % FRAMES.length];
    turn += 1;
    process.stderr.write(`\r\u001b[2K${frame} shadowcat: ${label} … ${seconds(Date.now() - startedAt)}`);
  };
  draw();
  const timer = setInterval(draw, TICK_MS);
  return () => {
    clearInterval(timer);
    process.stderr.write('\r\u001b[2K');
  };
}
