// What is on show: a test image or a visitor's picture, and the fields it was asked with; it can be asked again.

import { ask, byId, say } from "./exchange.js";

const FIELDS = ["name", "addr", "port"];

/** The form's fields as they are now. */
export const fields = () => new URLSearchParams(FIELDS.map((id) => [id, byId(id).value]));

/** What was asked last: the query, and the picture unless it was about a test image. */
export let last = { query: new URLSearchParams(FIELDS.map((id) => [id, byId(id).defaultValue])), picture: null };
keepImage(last.query);

/** The digit, how sure the model is, and the version, as the page says them; null while there is no answer. */
export function seen() {
  const [digit, version] = [byId("prediction")?.textContent, byId("version")?.textContent];
  return digit && version ? { digit, version, percent: document.querySelector(".shares .chosen .figure").textContent } : null;
}

/** Ask about a test image, or about a picture, and show the answer; `before` opens the sentence that is heard. */
export async function show(query, picture = null, before = "") {
  const outcome = await ask(address(query, picture), picture && posted(query, picture));
  if (outcome === "cancelled") return outcome;
  if (!picture) keepImage(query);
  last = { query, picture };
  if (!picture && outcome === "answered") history.replaceState(null, "", address(query));
  const sight = seen();
  if (sight) say(`${before}${sight.digit}, ${sight.percent}, version ${sight.version}.`);
  document.dispatchEvent(new CustomEvent("shown", { detail: picture }));
  return outcome;
}

/** Ask the same again. */
export const again = (before = "") => show(new URLSearchParams(last.query), last.picture, before);

/** Put the test image on show into a query, so that asking again, or loading the page anew, shows the same one. */
function keepImage(query) {
  const image = document.querySelector("#result img")?.dataset.image;
  query.delete("after");
  if (image) query.set("image", image);
}

function address(query, picture) {
  if (!picture) return `${location.pathname}?${query}`;
  return query.has("card") ? `${location.pathname}?card=${query.get("card")}` : location.pathname;
}

function posted(query, picture) {
  const body = new FormData();
  for (const id of FIELDS) body.append(id, query.get(id) ?? "");
  body.append("file", picture, picture.name ?? "canvas.png");
  return body;
}
