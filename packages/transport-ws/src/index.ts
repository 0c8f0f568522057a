export {
  type AcceptComponents,
  type AcceptOptions,
  acceptSockets,
  type Refusal,
  type SocketAcceptor,
} from './accept-sockets.js';
export { openSocket, type SocketComponents, type SocketOptions } from './open-socket.js';
