import { ProxyError, type Reply } from '@shadowcat/kernel';

/** What the work comes to, unless the signal fires first: then it rejects at once, and the work goes on without anybody. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(ProxyError.from(signal.reason, 'cancelled'));
      work.catch(ignore);
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(
      (result) => {
        signal.removeEventListener('abort', onAbort);
        if (!signal.aborted) resolve(result);
      },
      (error: unknown) => {
        signal.removeEventListener('abort', onAbort);
        reject(error as Error);
      },
    );
  });
}

/** The reply, unless the signal fires first: then it rejects at once, and a reply that comes later is disposed. */
export function untilAborted(answer: Promise<Reply>, signal: AbortSignal): Promise<Reply> {
  return unlessAborted(answer, signal).catch((error: unknown) => {
    if (signal.aborted) answer.then((late) => late[Symbol.asyncDispose]()).catch(ignore);
    throw error;
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
