// Watches over the connection: says what is wrong instead of loading for ever, goes on by itself when a lost network is
// back, and asks before unsaved corrections are left behind. Runs before trame; needs nothing of it.
"use strict";
(() => {
  const { server, visit, poll, keep } = document.currentScript.dataset;
  const POLL_MS = Number(poll);
  const PATIENCE_MS = Math.min(10000, 2 * POLL_MS); // of one look
  const LATE_MS = 60000; // to load the page and open its socket
  const LOSSES = 2; // looks that fail before a network counts as lost
  const ANSWERS = 2; // after which it counts as back
  const ELSEWHERE = 4001; // why the server closes a socket: a newer tab has the page
  const NO_SOCKET = "The page has come, but its WebSocket does not: a proxy in between must pass the Upgrade header on, "
    + "as docs/web.md shows, and the browser must be allowed to open WebSockets.";

  let opened = false; // the socket was open once
  let closed = false; // and is not any more, or never came
  let losses = 0;
  let answers = 0; // after a loss
  let shown = "";
  let over = false; // nothing more to wait for
  let leaving = false; // our own reload
  let timer = 0;

  const unsaved = () => !over && Boolean(window.trame?.state?.get("unsaved"));

  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...given) {
      super(...given);
      this.addEventListener("open", () => { opened = true; closed = false; hide(); });
      this.addEventListener("close", (event) => {
        closed = true;
        if (event.code === ELSEWHERE) elsewhere(); else look();
      });
    }
  };

  function reload() {
    leaving = true;
    window.location.reload();
  }

  function show(kind, title, text, label) {
    if (shown === kind || leaving) return;
    shown = kind;
    document.getElementById("connection")?.remove();
    const dialog = document.createElement("dialog");
    dialog.id = "connection";
    dialog.dataset.kind = kind;
    dialog.setAttribute("role", "alertdialog");
    dialog.setAttribute("aria-labelledby", "connection-title");
    const put = (parent, tag, words, id) => {
      const element = document.createElement(tag);
      element.textContent = words;
      if (id) element.id = id;
      parent.append(element);
      return element;
    };
    put(dialog, "h2", title, "connection-title");
    put(dialog, "p", text, "connection-text");
    const answers = put(dialog, "div", "");
    answers.className = "answers";
    put(answers, "button", label, "connection-go").addEventListener("click", over ? reload : look);
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    document.body.append(dialog);
    dialog.showModal();
  }

  function hide() {
    if (shown) document.getElementById("connection")?.remove();
    shown = "";
  }

  function elsewhere() {
    over = true;
    show("elsewhere", "The page is open in another tab.", "It shows the same scan and corrections there.", "Use it here");
  }

  function lost() {
    const kept = unsaved() ? `Your corrections are kept on the server for ${keep}. ` : "";
    show("lost", "The connection is lost.",
      `${kept}The page goes on by itself as soon as the network and the server are back.`, "Try now");
  }

  function ended(text) {
    over = true;
    show("ended", "Your session has ended.", text, "Go on");
  }

  // What the server says of this session, or null where it cannot be reached; a proxy may answer in its place.
  async function ask() {
    const given = new URLSearchParams({ server, visit, at: window.location.href });
    try {
      const answer = await fetch(`session?${given}`, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
      const said = await answer.json();
      return typeof said?.state === "string" ? said : null;
    } catch {
      return null;
    }
  }

  let looking = false;
  async function look() {
    if (looking || over || leaving) return;
    looking = true;
    const said = await ask();
    looking = false;
    if (over || leaving) return;
    if (said === null) {
      losses += 1;
      answers = 0;
      if (losses >= LOSSES) lost();
    } else if (said.state === "ended") {
      ended(said.text);
    } else if (said.state === "elsewhere") {
      elsewhere(); // its socket may be closed without the code that says so, where much was on its way
    } else if (opened && (closed || losses >= LOSSES)) {
      answers += 1; // the last of a server that is ending must not lead to the browser's own page of errors
      if (answers >= ANSWERS) reload();
    } else {
      losses = 0;
      const refused = closed || said.address || performance.now() > LATE_MS;
      if (!opened && refused) show("address", "The page cannot be shown here.", said.address || NO_SOCKET, "Try now");
      else hide();
    }
    again(losses === 1 || answers > 0 ? Math.min(1000, POLL_MS) : POLL_MS);
  }

  function again(ms) {
    clearTimeout(timer);
    if (!over && !leaving) timer = setTimeout(look, ms);
  }

  again(POLL_MS);
  ["online", "offline", "pageshow"].forEach((name) => window.addEventListener(name, look));
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });

  // Before trame's own listener, which closes the connection even where the user then stays.
  window.addEventListener("beforeunload", (event) => {
    if (leaving || !unsaved()) return;
    event.preventDefault();
    event.returnValue = true;
    event.stopImmediatePropagation();
  });
  window.addEventListener("pagehide", () => {
    if (!leaving && !over) navigator.sendBeacon(`leave?visit=${visit}`);
  });
})();
