// werift: two peers of werift that may use nothing but a relay open a data channel; run by stacks.py with werift's directory in NODE_PATH.
//
//     node werift.js URL udp|tcp USER PASSWORD MESSAGES
//
// Alice says so many messages, Bob says each in return when he has them all. Prints how many came back in order and exits 0 when it is all.
const {RTCPeerConnection} = require("werift");

const [urls, transport, username, credential, messages] = process.argv.slice(2);
const count = Number(messages), LIMIT_MS = 20000;

const peer = () => new RTCPeerConnection({iceServers: [{urls, username, credential}], iceTransportPolicy: "relay", forceTurnTCP: transport === "tcp"});

// werift tells its host candidates even so
const relayed = ({type, sdp}) => ({type, sdp: sdp.replace(/^a=candidate:.* typ (?!relay).*\r\n/gm, "")});

async function introduce(alice, bob) {
  await alice.setLocalDescription(await alice.createOffer());
  await bob.setRemoteDescription(relayed(alice.localDescription));
  await bob.setLocalDescription(await bob.createAnswer());
  await alice.setRemoteDescription(relayed(bob.localDescription));
}

function end(heard) {
  console.log(heard);
  process.exit(heard === count ? 0 : 1);
}

const alice = peer(), bob = peer(), channel = alice.createDataChannel("talk");
const told = [];
let heard = 0;
bob.onDataChannel.subscribe(other => other.onMessage.subscribe(data => {
  if (told.push(String(data)) === count) told.forEach(text => other.send(text));
}));
channel.stateChanged.subscribe(state => {
  for (let i = 0; state === "open" && i < count; i++) channel.send(String(i));
});
channel.onMessage.subscribe(data => {
  if (String(data) === String(heard) && ++heard === count) end(heard);
});
setTimeout(() => end(heard), LIMIT_MS);
introduce(alice, bob);
