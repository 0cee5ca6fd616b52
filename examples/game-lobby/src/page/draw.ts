// draw.ts: the game on a canvas, in the colours of the page.
import type {Game} from '../client/game.js';

const SIZE = 800, EDGE = 26, PADDLE = 0.22, THICK = 12;
export const seatColor = (seat: number) => `var(--seat${seat})`;

export function draw(canvas: HTMLCanvasElement, game: Game, nowMs: number): void {
  const context = canvas.getContext('2d')!, style = getComputedStyle(canvas), color = (name: string) => style.getPropertyValue(name);
  const at = (value: number) => EDGE + ((value + 1) / 2) * (SIZE - 2 * EDGE), span = (SIZE - 2 * EDGE) / 2;
  context.clearRect(0, 0, SIZE, SIZE);
  context.strokeStyle = color('--line');
  context.lineWidth = 2;
  context.setLineDash([6, 14]);
  context.beginPath();
  context.moveTo(SIZE / 2, EDGE);
  context.lineTo(SIZE / 2, SIZE - EDGE);
  context.stroke();
  context.setLineDash([]);
  context.lineCap = 'round';
  const seats = game.seats(nowMs);
  for (const seat of [0, 1, 2, 3]) {
    const here = seats.includes(seat), middle = here ? game.paddleOf(seat) : 0, half = here ? PADDLE : 1;
    const across = seat === 0 || seat === 2 ? EDGE - THICK : SIZE - EDGE + THICK, from = at(middle) - half * span, to = at(middle) + half * span;
    context.lineWidth = here ? THICK : 3;
    context.strokeStyle = here ? color(`--seat${seat}`) : color('--line');
    context.beginPath();
    if (seat < 2) { context.moveTo(across, from); context.lineTo(across, to); }
    else { context.moveTo(from, across); context.lineTo(to, across); }
    context.stroke();
  }
  if (game.ball.rally) {
    context.fillStyle = color('--line');
    context.font = '700 150px system-ui, sans-serif';
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillText(String(game.ball.rally), SIZE / 2, SIZE / 2);
  }
  context.fillStyle = color('--ball');
  context.beginPath();
  context.arc(at(game.ball.x), at(game.ball.y), 13, 0, 7);
  context.fill();
}

// Where a finger is, along the side of this seat: -1 to 1.
export function along(canvas: HTMLCanvasElement, event: PointerEvent, seat: number): number {
  const box = canvas.getBoundingClientRect();
  const part = seat < 2 ? (event.clientY - box.top) / box.height : (event.clientX - box.left) / box.width;
  return Math.max(-1, Math.min(1, ((part * SIZE - EDGE) / (SIZE - 2 * EDGE)) * 2 - 1));
}
