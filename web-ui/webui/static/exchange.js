// Asks the server for a page and puts that page's parts in the place of the old ones; one request at a time.

const PATIENCE_MS = 20_000; // the server itself waits 5 s for each call
const main = document.querySelector("main");
let current = null; // of the request under way

export const byId = (id) => document.getElementById(id);
export const busy = () => current !== null;
export const cancel = () => current?.abort("cancelled");

/** Ask (a GET, or a POST where there is a body) and show what comes, whatever its status.
 *  Resolves to "answered", "unreachable", or "cancelled" when a newer request or cancel() ended this one. */
export async function ask(address, body) {
  current?.abort("cancelled");
  const mine = (current = new AbortController());
  const late = setTimeout(() => mine.abort("late"), PATIENCE_MS);
  main.setAttribute("aria-busy", "true");
  const answer = await page(address, body, mine.signal);
  clearTimeout(late);
  if (current === mine) {
    current = null;
    main.removeAttribute("aria-busy");
  }
  if (mine.signal.reason === "cancelled") return "cancelled";
  if (answer) put(answer);
  else tell(byId("connection"), "Not reached.", "This page’s own server does not answer.", tryAgain());
  return answer ? "answered" : "unreachable";
}

/** Say something to those who hear the page; the same words twice are heard twice. */
export function say(sentence) {
  const said = byId("said");
  said.textContent = said.textContent === sentence ? `${sentence}\u00a0` : sentence;
}

/** Show a problem in a part of the page; it is an alert, so that it is heard as well. */
export function tell(part, heading, sentence, ...more) {
  const [box, strong] = [document.createElement("div"), document.createElement("strong")];
  box.className = "status bad";
  box.setAttribute("role", "alert");
  strong.textContent = heading;
  box.append(strong, ` ${sentence} `, ...more);
  part.replaceChildren(box);
}

/** Mark a field as wrong, its problem told in `part`; or as right again. */
export function mark(field, part) {
  if (part) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
  if (part) field.setAttribute("aria-describedby", part);
  else field.removeAttribute("aria-describedby");
}

async function page(address, body, signal) {
  try {
    const response = await fetch(address, { body, method: body ? "POST" : "GET", signal });
    return new DOMParser().parseFromString(await response.text(), "text/html");
  } catch {
    return null; // fetch throws where nobody answered, or when `signal` ends it
  }
}

function tryAgain() {
  const link = document.createElement("a");
  [link.id, link.href, link.textContent] = ["again", location.href, "Try again"];
  return link;
}

function put(fresh) {
  const parts = [...document.querySelectorAll("[data-part]")].filter((part) => fresh.getElementById(part.id));
  if (!parts.length) return foreign(fresh);
  const focused = document.activeElement;
  for (const part of parts) replace(part, fresh.getElementById(part.id));
  document.title = fresh.title;
  for (const field of document.querySelectorAll("input[id]")) {
    mark(field, fresh.getElementById(field.id)?.getAttribute("aria-describedby"));
  }
  if (!focused.isConnected) (byId(focused.id) ?? byId("result"))?.focus();
}

/** What answers instead of our page: an error page of ours, or whatever stands between here and the server. */
function foreign(fresh) {
  const [heading, sentence] = ["h1", "p"].map((tag) => fresh.querySelector(`main ${tag}`)?.textContent);
  tell(byId("connection"), `${heading ?? "Not reached"}.`, sentence ?? "Something else than this page answered.", tryAgain());
}

function replace(part, fresh) {
  if (fresh.querySelector("[role=alert]")) part.replaceChildren(...fresh.childNodes); // anew, so that it is heard
  else morph(part, fresh);
}

/** Make a node what another is, step by step: what stays the same keeps its focus, and bars grow from where they were. */
function morph(old, fresh) {
  if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) return old.replaceWith(fresh);
  if (!(old instanceof Element)) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name); // open: the reader's own doing
  }
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const [was, is] = [[...old.childNodes], [...fresh.childNodes]];
  is.forEach((node, at) => (at < was.length ? morph(was[at], node) : old.append(node)));
  was.slice(is.length).forEach((node) => node.remove());
}
