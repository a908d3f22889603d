// The alarm's sound. Off until a person turns it on; a browser would not play it otherwise.

const NOTES_HZ = [880, 660];
const NOTE_S = 0.25;
const PAUSE_MS = 5_000;

let context = null;
let played_ms = -Infinity;

export const isOn = () => context !== null;

export async function turnOn() {
  context ??= new AudioContext();
  await context.resume();
}

export async function turnOff() {
  const before = context;
  context = null;
  await before?.close();
}

/** Two notes, however many alarms come at once. */
export function play(now_ms) {
  if (context === null || now_ms - played_ms < PAUSE_MS) return false;
  played_ms = now_ms;
  NOTES_HZ.forEach((frequency, index) => {
    const [from, oscillator, volume] = [context.currentTime + index * NOTE_S, context.createOscillator(), context.createGain()];
    oscillator.frequency.value = frequency;
    volume.gain.setValueAtTime(0.2, from);
    volume.gain.exponentialRampToValueAtTime(0.001, from + NOTE_S);
    oscillator.connect(volume).connect(context.destination);
    oscillator.start(from);
    oscillator.stop(from + NOTE_S);
  });
  return true;
}
