// The drawing board: white ink from mouse, finger, pen or keys; its picture is what an upload would be.

const SIDE = 560; // the canvas's own pixels; on the page it has the size that fits
const PEN = 40; // about the weight of MNIST's strokes, once 560 pixels are 28
const STEP = SIDE / 28;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Make the board work. It calls changed() for every line, cleared() when it is emptied, told(sentence) for the ear. */
export function board({ changed, cleared, told }) {
  const [canvas, pen] = ["canvas", "pen"].map((id) => document.getElementById(id));
  const ink = canvas.getContext("2d", { willReadFrequently: true }); // for each question
  const keys = new Set(); // arrows held
  let empty = true;
  let pointer = null; // the one that draws; other fingers do not
  let box = null; // where the canvas was when the line began: should the page move meanwhile, the line goes on
  let down = false; // the keyboard's pen
  let at = [SIDE / 2, SIDE / 2];

  function paper() {
    ink.fillStyle = "black";
    ink.fillRect(0, 0, SIDE, SIDE);
    inked(false);
  }

  function inked(some) {
    empty = !some;
    canvas.classList.toggle("empty", empty);
  }

  function line(to) {
    ink.beginPath();
    ink.moveTo(...at);
    ink.lineTo(to[0] + 0.01, to[1]); // a line of no length would not be drawn, and a dot is one
    ink.stroke();
    at = to;
    inked(true);
    changed();
  }

  function place(event) {
    return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height];
  }

  function clear() {
    paper();
    lift(false);
    cleared();
  }

  function lift(lowered) {
    down = lowered;
    pen.classList.toggle("down", down);
  }

  function move() {
    const [x, y] = at;
    const steps = [...keys].map((key) => ARROWS[key]);
    const [dx, dy] = [0, 1].map((axis) => STEP * steps.reduce((sum, step) => sum + step[axis], 0));
    const to = [x + dx, y + dy].map((value) => Math.min(SIDE - PEN / 2, Math.max(PEN / 2, value)));
    if (down) line(to);
    at = to;
    cursor();
  }

  function cursor() {
    pen.setAttribute("cx", at[0]);
    pen.setAttribute("cy", at[1]);
  }

  function press(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in ARROWS) {
      keys.add(event.key);
      move();
    } else if (event.key === " " || event.key === "Enter") {
      if (event.repeat) return event.preventDefault();
      lift(!down);
      told(down ? "Pen down." : "Pen up.");
      if (down) line(at);
    } else if (event.key === "Escape") {
      if (!down) return clear();
      lift(false);
      told("Pen up.");
    } else return;
    event.preventDefault(); // an arrow would scroll the page
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    [pointer, box] = [event.pointerId, canvas.getBoundingClientRect()];
    canvas.setPointerCapture(pointer);
    lift(false);
    at = place(event);
    line(at);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const all = event.getCoalescedEvents?.() ?? []; // what the screen was too slow to show one by one
    for (const one of all.length ? all : [event]) line(place(one));
    cursor();
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(end, (event) => (pointer = event.pointerId === pointer ? null : pointer));
  }
  canvas.addEventListener("keydown", press);
  canvas.addEventListener("keyup", (event) => keys.delete(event.key));
  canvas.addEventListener("blur", () => keys.clear());
  document.getElementById("clear").addEventListener("click", clear);

  Object.assign(ink, { lineCap: "round", lineJoin: "round", lineWidth: PEN, strokeStyle: "white" });
  paper();
  return { isEmpty: () => empty, picture: () => new Promise((done) => canvas.toBlob(done, "image/png")) };
}
