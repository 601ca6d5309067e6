// Asks about a drawing while it grows: one question at a time, and about the whole of it in the end.

import { board } from "./board.js";
import { byId, cancel, say } from "./exchange.js";
import { fields, seen, show } from "./shown.js";

const BETWEEN_MS = 150; // at least, from one question to the next
const guess = byId("guess");
const [hint] = guess.childNodes;
let asked = null; // the drawing as it was at the last question
let timer = 0;
let asking = false;
let grown = false; // since the last question

const slate = board({
  changed() {
    timer ||= setTimeout(ask, BETWEEN_MS);
  },
  cleared() {
    clearTimeout(timer);
    if (asking) cancel();
    [asked, timer, grown] = [null, 0, false];
    guess.replaceChildren(hint);
    say("The board is empty.");
  },
  told: say,
});

async function ask() {
  [timer, grown] = [0, true];
  if (asking) return;
  asking = true;
  while (grown) {
    grown = false;
    asked = await slate.picture();
    if (!slate.isEmpty()) await show(fields(), asked);
  }
  asking = false;
}

document.addEventListener("shown", ({ detail: picture }) => {
  if (!picture || picture !== asked) return;
  const [digit, comma, percent] = ["b", "i", "span"].map((tag) => document.createElement(tag));
  const sight = seen();
  digit.textContent = sight?.digit ?? "?";
  comma.textContent = ", ";
  percent.textContent = sight?.percent ?? document.querySelector("main [role=alert] strong")?.textContent;
  guess.replaceChildren(digit, comma, percent);
});

byId("board").hidden = false;
