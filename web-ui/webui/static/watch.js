// Looks every few seconds whether the model server still has the versions that it had.

const EVERY_MS = 5_000;
const SLOWEST_MS = 30_000;
const PATIENCE_MS = 10_000;

/** Call changed() whenever the server named by query() answers otherwise than before, at first than shown(), the versions
 *  on the page as JSON, or null; or answers while the page shows that it does not, which troubled() tells. Looks only
 *  while the page is visible and nothing else is under way. */
export function watch({ query, busy, troubled, shown, changed }) {
  let known = { asked: null, answer: null };
  let pause = EVERY_MS;
  let timer = 0;
  let looking = false;

  async function look() {
    if (looking || busy() || document.visibilityState !== "visible") return;
    looking = true;
    const asked = String(query());
    const { well, answer } = await versions(asked);
    looking = false;
    pause = well ? EVERY_MS : Math.min(pause * 1.5, SLOWEST_MS);
    if (busy() || asked !== String(query())) return; // the page is being asked anew: the next look will tell
    const before = known.asked === asked ? known.answer : shown();
    known = { asked, answer };
    if ((before !== null && before !== answer) || (well && troubled())) await changed();
  }

  async function again() {
    clearTimeout(timer);
    await look();
    clearTimeout(timer);
    timer = setTimeout(again, pause);
  }

  document.addEventListener("visibilitychange", again);
  again();
}

async function versions(asked) {
  try {
    const response = await fetch(`api/models?${asked}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!response.ok) return { well: false, answer: String(response.status) };
    const told = (await response.json()).versions;
    return { well: true, answer: JSON.stringify(told.map(({ version, state, role, error }) => [version, state, role, error])) };
  } catch {
    return { well: false, answer: "nobody" };
  }
}
