import type { Call, Json } from '@shadowcat/wire';
import type { Session } from './session.js';

/** Keeps what a recovery has to restore: the log level, and what is subscribed to. For requests that were accepted. */
export function remember(session: Session, call: Call): void {
  for (const message of call.messages) {
    if (message.kind !== 'request') continue;
    switch (message.method) {
      case 'logging/setLevel':
        withParam(message.value['params'], 'level', (level) => session.setLogLevel(level));
        break;
      case 'resources/subscribe':
        withParam(message.value['params'], 'uri', (uri) => session.subscribe(uri));
        break;
      case 'resources/unsubscribe':
        withParam(message.value['params'], 'uri', (uri) => session.unsubscribe(uri));
        break;
    }
  }
}

function withParam(params: Json | undefined, name: string, use: (value: string) => void): void {
  if (typeof params !== 'object' || params === null || Array.isArray(params)) return;
  const value = (params as Readonly<Record<string, Json>>)[name];
  if (typeof value === 'string') use(value);
}
