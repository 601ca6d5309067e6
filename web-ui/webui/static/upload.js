// Sends a picture that a visitor chooses, drops or pastes; one that is too large is told before it is sent.

import { byId, mark, tell } from "./exchange.js";
import { fields, show } from "./shown.js";

const MOST_BYTES = 1_048_576; // as the server has it
const [input, problem] = [byId("file"), byId("picture")];

/** Whether the file may be sent; if not, the page says so. */
function fits(file) {
  const large = file.size > MOST_BYTES;
  mark(input, large && problem.id);
  problem.replaceChildren();
  const [size, most] = [file.size, MOST_BYTES].map((bytes) => bytes.toLocaleString("en"));
  if (large) tell(problem, "Too large.", `“${file.name}” takes ${size} bytes; a picture takes at most 1 MB (${most}).`);
  return !large;
}

async function send(file) {
  if (!file || !fits(file)) return;
  await show(fields(), file);
  document.querySelector("[aria-invalid]")?.focus();
}

input.addEventListener("change", () => input.files.length && fits(input.files[0]));

byId("upload").addEventListener("submit", (event) => {
  event.preventDefault();
  send(input.files[0]);
});

document.addEventListener("paste", (event) => send(event.clipboardData.files[0]));

document.addEventListener("dragover", (event) => {
  if (event.dataTransfer.types.includes("Files")) event.preventDefault(); // else nothing may be dropped here
});

document.addEventListener("drop", (event) => {
  if (!event.dataTransfer.files.length) return;
  event.preventDefault(); // else the browser would open the picture in the place of the page
  send(event.dataTransfer.files[0]);
});

byId("drop").hidden = false;
