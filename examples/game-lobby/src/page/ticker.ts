// ticker.ts: 60 times a second in a worker, where browsers do not slow timers down when a tab is hidden: the others play on.
const HZ = 60;
let due = performance.now();
setInterval(() => {
  for (const now = performance.now(); due <= now; due += 1000 / HZ) {
    if (now - due > 500) due = now; // the machine slept
    postMessage(0);
  }
}, 4);
