import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { inTurns } from '../in-turns.js';
import { startShadowcat, workFolder } from '../shadowcat.js';
import { MATRIX_CLIENTS, type MatrixClient, type Place } from './matrix-clients.js';
import { MATRIX_SERVERS, type MatrixServer } from './matrix-servers.js';
import { type Failures, visit } from './visit.js';

/** One client at one server. */
export interface Cell {
  readonly client: MatrixClient;
  readonly server: MatrixServer;
  /** What did not work through the proxy. */
  readonly through: Failures;
  /** What did not work without it; undefined where the two do not speak the same transport. */
  readonly direct?: Failures;
}

export interface MatrixOptions {
  readonly clients?: readonly MatrixClient[];
  readonly servers?: readonly MatrixServer[];
  /** Called with each cell as soon as it is known. */
  readonly onCell?: (cell: Cell) => void;
}

/** Servers at the same time, and clients at the same time for each. More only wait for the processor. */
const SERVERS_AT_ONCE = 2;
const CLIENTS_AT_ONCE = 3;

/** Sends every client to every server, through one proxy a server, and without it where that is possible. */
export async function runMatrix(options: MatrixOptions = {}): Promise<Cell[]> {
  const { clients = MATRIX_CLIENTS, servers = MATRIX_SERVERS, onCell = () => {} } = options;
  const rows = await inTurns(servers, SERVERS_AT_ONCE, (server) => rowOf(server, { clients, onCell }));
  return rows.flat();
}

/** What went wrong, each with what the proxy said last. */
function withLog(failures: Failures, log: string): Failures {
  const told = Object.entries(failures).map(([step, text]) => [step, `${text}\nthe proxy's log:\n${log.slice(-2000)}`]);
  return Object.fromEntries(told) as Failures;
}

type RowOptions = Pick<Required<MatrixOptions>, 'clients' | 'onCell'>;

async function rowOf(server: MatrixServer, { clients, onCell }: RowOptions): Promise<Cell[]> {
  await using folder = await workFolder();
  await using running = await server.start();
  await using proxy = await startShadowcat(['reverse', ...running.proxied], folder.path);
  return await inTurns(clients, server.oneAtATime === true ? 1 : CLIENTS_AT_ONCE, async (client) => {
    const own = await mkdtemp(join(folder.path, `${client.name}-`));
    const place: Place = { server: running, proxyUrl: proxy.url, folder: own };
    const through = withLog(await visit(() => client.through(place), running.visit), proxy.stderr);
    const reachable = client.wires.includes(server.wire);
    const direct = reachable ? { direct: await visit(() => client.direct(place), running.visit) } : {};
    const cell = { client, server, through, ...direct };
    onCell(cell);
    return cell;
  });
}
