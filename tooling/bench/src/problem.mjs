/** Something the user can do something about. The message is all they see: what, where, what to do. */
export class Problem extends Error {}

/** Runs a script. What was started is ended in `exit` handlers, so signals lead there. */
export async function run(main) {
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  try {
    await main();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
