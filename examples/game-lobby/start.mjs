// start.mjs: a relay and a lobby on this machine, until Ctrl-C; `make example` calls it.
//
//     EXAMPLE_IP=192.0.2.1     the address that players reach (default: the one this machine uses toward the outside)
//     EXAMPLE_PORT=8090        of the lobby
import {createSocket} from 'node:dgram';
import {startLobby} from './tools/lobby.mjs';
import {startRelay} from './tools/relay.mjs';

// nothing is sent: the kernel says from where it would be
const outside = () => new Promise(done => {
  const socket = createSocket('udp4').once('error', () => done('127.0.0.1'));
  socket.connect(9, '192.0.2.1', () => { const {address} = socket.address(); socket.close(() => done(address)); });
});

const host = process.env.EXAMPLE_IP ?? await outside(), port = process.env.EXAMPLE_PORT ?? '8090';
const relay = await startRelay({host});
let lobby;
try {
  // browsers give pages the camera at https and on this machine alone; the certificate is the relay's, which nobody has signed
  lobby = await startLobby({relays: [relay], listen: `127.0.0.1:${port}`, log: text => process.stdout.write(text)});
} catch (error) {
  console.error(error.message);
  await relay.stop();
  process.exit(1);
}

console.log(`
  The game lobby is open.

  page        ${lobby.url}/            open it twice: create a room in one, join it by its code in the other
  terminal    cd examples/game-lobby && npm run -s player -- --lobby ${lobby.url} --room CODE
  a call      cd examples/game-lobby && npm run -s call -- --lobby ${lobby.url} lobby.v1.Lobby/CreateRoom '{"seats": 2}'
  relay       ${relay.urls.join('  ')}
  dashboard   ${relay.api}/#key=${relay.key}

  Keys and rooms are gone after Ctrl-C.
`);

let stopping = false;
const stop = async () => {
  if (stopping) return;
  stopping = true;
  await lobby.stop();
  await relay.stop();
  process.exit(0);
};
process.once('SIGINT', stop);
process.once('SIGTERM', stop);
await Promise.race([relay.ended.then(code => { if (!stopping) console.error(`the relay ended: ${code}`); }), lobby.ended.then(code => { if (!stopping) console.error(`the lobby ended: ${code}`); })]);
await stop();
