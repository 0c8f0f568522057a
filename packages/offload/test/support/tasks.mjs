// Plain JavaScript, as workers load it: what `task` makes of a function, by hand, so that this needs no build.
export const double = async (input) => ({ ok: true, value: input * 2 });
export const refuse = async () => ({ ok: false, code: 'tape_invalid', message: 'x:1: no', data: { line: 1 } });
export const crash = async () => {
  throw new Error('boom');
};
export const hang = () => new Promise((resolve) => setInterval(resolve, 1e9));
