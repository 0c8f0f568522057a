import { ProxyError, type Reply } from '@shadowcat/kernel';

/** The reply, unless the signal fires first: then it rejects at once, and a reply that comes later is disposed. */
export function untilAborted(answer: Promise<Reply>, signal: AbortSignal): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(ProxyError.from(signal.reason, 'cancelled'));
      answer.then((late) => late[Symbol.asyncDispose]()).catch(ignore);
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    answer.then(
      (reply) => {
        signal.removeEventListener('abort', onAbort);
        if (!signal.aborted) resolve(reply);
      },
      (error: unknown) => {
        signal.removeEventListener('abort', onAbort);
        reject(error as Error);
      },
    );
  });
}

/** Disposes the reply when the signal fires, which ends its body; returns how to stop waiting for that. */
export function disposeOnAbort(answer: Reply, signal: AbortSignal): () => void {
  // Whoever owns the answer disposes it too, and hears of what went wrong.
  const onAbort = (): void => void Promise.resolve(answer[Symbol.asyncDispose]()).catch(ignore);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return () => signal.removeEventListener('abort', onAbort);
}

function ignore(): void {
  // It failed, and nobody waits for it.
}
