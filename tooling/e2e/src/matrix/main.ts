// tmp
import { runMatrix } from './run-matrix.js';
import { MATRIX_SERVERS } from './matrix-servers.js';
import { MATRIX_CLIENTS } from './matrix-clients.js';
const [s, c] = process.argv.slice(2);
const t = performance.now();
await runMatrix({
  servers: MATRIX_SERVERS.filter((x) => s === undefined || x.name.match(s)),
  clients: MATRIX_CLIENTS.filter((x) => c === undefined || x.name.match(c)),
  onCell: (cell) => console.log((performance.now() - t)|0, cell.server.name, cell.client.name, JSON.stringify(cell.through).slice(0,900), cell.direct ? JSON.stringify(cell.direct).slice(0,900) : '-'),
});
console.log(performance.now() - t);
process.exit(0);
