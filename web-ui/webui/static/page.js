// Makes the page answer without a reload, and by itself when versions change; all but drawing works without it.

import { busy, byId } from "./exchange.js";
import { again, fields, last, show } from "./shown.js";
import { watch } from "./watch.js";
import "./drawing.js";
import "./upload.js";

byId("connect").addEventListener("submit", async (event) => {
  event.preventDefault();
  await show(fields());
  document.querySelector("[aria-invalid]")?.focus();
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("main a[href]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return; // a tab or window of its own
  const { origin, pathname, searchParams } = new URL(link.href);
  if (origin + pathname !== location.origin + location.pathname) return;
  event.preventDefault();
  if (link.id === "again") again();
  else if (last.picture && searchParams.has("card")) show(searchParams, last.picture);
  else show(searchParams);
});

const told = (row) => JSON.parse(row.dataset.told);

watch({
  query: () => new URLSearchParams(["name", "addr", "port"].map((id) => [id, last.query.get(id) ?? ""])),
  busy,
  troubled: () => byId("again") !== null,
  shown: () => byId("version") && JSON.stringify([...document.querySelectorAll("[data-told]")].map(told)),
  changed: () => again("The model server has changed. "),
});
