// swarm.ts: how many rooms a lobby carries: a crowd that says something every two seconds.
//
//     npm run -s swarm -- --lobby URL --rooms 500 --seconds 10       prints {"rooms", "here", "sent", "heard", ...} twice a second, and at the end once all was heard
import {parseArgs} from 'node:util';
import {Crowd} from './crowd.js';

const TALK_MS = 2000, TELL_MS = 500, LATE_MS = 10_000;

const {values} = parseArgs({options: {lobby: {type: 'string', default: 'http://127.0.0.1:8090'}, rooms: {type: 'string', default: '500'}, seconds: {type: 'string', default: '10'}}});
const rooms = Number(values.rooms), crowd = new Crowd(values.lobby), from = Date.now();
const tell = (event: string) => console.log(JSON.stringify({event, ms: Date.now() - from, rooms, ...crowd.told}));

await crowd.open(rooms);
tell('open');
const talking = setInterval(() => crowd.say(), TALK_MS), telling = setInterval(() => tell('state'), TELL_MS);
const end = async () => {
  clearInterval(talking);
  clearInterval(telling);
  for (const late = Date.now() + LATE_MS; Date.now() < late && crowd.told.heard < crowd.told.sent; ) await new Promise(done => setTimeout(done, 50));
  tell('end');
  process.exit(0);
};
process.once('SIGTERM', end);
setTimeout(end, Number(values.seconds) * 1000);
