// collect.mjs: for node --import: on SIGUSR2 the process collects its garbage, and says what is left.
import {setFlagsFromString} from 'node:v8';
import {runInNewContext} from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
let times = 0;
process.on('SIGUSR2', () => {
  collect();
  const {heapUsed, external, rss} = process.memoryUsage();
  console.log(`collected ${++times} ${JSON.stringify({held: heapUsed + external, resident: rss})}`);
});
