export { type ListenComponents, type Listener, listen } from './listener.js';
export { DEFAULT_LISTEN_LIMITS, type ListenerStats, type ListenLimits, type ListenOptions } from './listen-options.js';
