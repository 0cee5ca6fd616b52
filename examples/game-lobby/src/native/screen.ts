// screen.ts: a match in characters.
import type {Match} from '../client/match.js';

const WIDTH = 61, HEIGHT = 23, PADDLE = 0.22;

export function draw(match: Match, said: string[]): string {
  const grid: string[][] = Array.from({length: HEIGHT}, (_, y) => Array.from({length: WIDTH}, (_, x) => (y === 0 || y === HEIGHT - 1 ? '─' : x === 0 || x === WIDTH - 1 ? '│' : ' ')));
  const column = (x: number) => Math.max(0, Math.min(WIDTH - 1, Math.round(((x + 1) / 2) * (WIDTH - 1)))), row = (y: number) => Math.max(0, Math.min(HEIGHT - 1, Math.round(((y + 1) / 2) * (HEIGHT - 1))));
  const {game} = match;
  if (game) {
    for (const seat of game.seats(Math.round(performance.now()) + 1)) {
      const middle = game.paddleOf(seat);
      for (let at = -PADDLE; at <= PADDLE; at += 0.02) {
        if (seat < 2) grid[row(middle + at)]![seat ? WIDTH - 1 : 0] = '█';
        else grid[seat === 3 ? HEIGHT - 1 : 0]![column(middle + at)] = '█';
      }
    }
    grid[row(game.ball.y)]![column(game.ball.x)] = '●';
  }
  const room = match.welcome_ ? `room ${match.welcome_.code}   seat ${match.me?.seat}   rally ${game?.ball.rally ?? 0}   lobby: ${match.lobbyState}` : 'joining';
  const players = [...match.links].map(([id, link]) => {
    const path = match.paths.get(id), player = game?.players.get(id);
    return `${link.peer.name.padEnd(16)} ${(path?.kind ?? link.state).padEnd(8)} ${(player?.rttMs ?? NaN).toFixed(0).padStart(4)} ms  ${((player?.lost ?? 0) * 100).toFixed(1)} % lost  misses ${game?.ball.misses[link.peer.seat] ?? 0}`;
  });
  const lines = [room, ...grid.map(cells => cells.join('')), ...players, '', ...said.slice(-5), '', 'arrows: move   Enter: say   q: leave'];
  return `\x1b[H${lines.map(line => `${line}\x1b[K`).join('\r\n')}\x1b[J`;
}
