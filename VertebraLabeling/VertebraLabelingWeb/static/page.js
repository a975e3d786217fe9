// What the page cannot say in its template: files on their way to the server, and keys. No library, no other server.
"use strict";
(() => {
  const KEYS = {
    ArrowUp: ["step", -1], ArrowDown: ["step", 1], ArrowLeft: ["scroll", -1], ArrowRight: ["scroll", 1],
    PageUp: ["scroll", 1], PageDown: ["scroll", -1],
    "Shift PageUp": ["next_plane", -1], "Shift PageDown": ["next_plane", 1], Home: ["turn_to", ""],
    1: ["window", "Bone"], 2: ["window", "Soft tissue"], 3: ["window", "Lung"],
    l: ["label"], Escape: ["cancel"], "+": ["shift", 1], "-": ["shift", -1], "−": ["shift", -1],
    a: ["add"], Delete: ["delete"], Enter: ["confirm"], u: ["undo"], f: ["fit"],
  };
  const LEFT_MS = 150; // after the last movement that was sent
  let viewUnderMouse = "Sagittal"; // or the last one
  let overSlice = false;
  let leaving = 0;
  const set = (values) => { Object.entries(values).forEach(([key, value]) => window.trame.state.set(key, value)); };
  const closeMenus = (except) => document.querySelectorAll("details.menu[open]").forEach((menu) => {
    if (menu !== except) menu.open = false;
  });

  document.addEventListener("mouseover", (event) => {
    const view = event.target.closest?.(".view");
    const isSlice = view && view.dataset.view !== "ThreeD";
    if (isSlice) [viewUnderMouse, overSlice] = [view.dataset.view, true];
    clearTimeout(leaving);
    if (!isSlice) mouseLeft();
  });
  document.documentElement.addEventListener("mouseleave", mouseLeft);
  // The server hears of every movement over a view, but not of its end.
  function mouseLeft() {
    if (overSlice) leaving = setTimeout(() => { overSlice = false; window.trame?.trigger("leave_views", []); }, LEFT_MS);
  }
  document.addEventListener("contextmenu", (event) => { if (event.target.closest?.(".view")) event.preventDefault(); });
  document.addEventListener("click", (event) => {
    const menu = event.target.closest?.("details.menu");
    closeMenus(event.target.closest?.(".item") ? null : menu);
  });

  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return; // Tab, Enter and Escape are the dialog's
    const ofPlanes = event.shiftKey && event.key.startsWith("Page"); // in their own list, too
    if (event.target.matches?.("textarea, select") && !(ofPlanes && event.target.id === "plane")) return; // one types
    if (event.key === "Home" && event.target.matches?.("input[type=range]")) return; // the slider's own
    const undo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !event.shiftKey;
    if (!undo && (event.ctrlKey || event.metaKey || event.altKey)) return;
    if (["Enter", " "].includes(event.key) && event.target.matches?.("button, a, summary")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const found = undo ? ["undo"] : (event.shiftKey && KEYS[`Shift ${key}`]) || KEYS[key];
    if (!found || !window.trame || !document.querySelector(".page")) return;
    event.preventDefault();
    if (event.key === "Escape") closeMenus(null);
    if (found[0] === "label" && window.trame.state.get("uploading")) return; // as the button
    const given = found[0] === "scroll" ? [viewUnderMouse, found[1]] : found.slice(1);
    window.trame.trigger(found[0], given);
  }, true);

  // A question takes the keyboard until it is answered; Escape is its last answer, which changes nothing.
  function showQuestion() {
    const dialog = document.getElementById("question");
    if (!dialog || dialog.open) return;
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      dialog.querySelector("button:last-of-type").click();
    });
    dialog.showModal();
  }

  // How vertebrae are counted: the browser keeps its owner's choice, the server only for the session.
  const COUNTING = "vertebra-labeling-counting";
  let toldCounting = false;
  function tellCounting() {
    if (toldCounting || !window.trame?.state?.get("rules")) return;
    toldCounting = true;
    try {
      const rule = localStorage.getItem(COUNTING);
      if (rule) window.trame.trigger("prefer", [rule]);
    } catch { /* a browser that keeps nothing */ }
  }
  document.addEventListener("click", async (event) => {
    const { rule } = event.target.closest?.("[data-rule]")?.dataset ?? {};
    if (!rule) return;
    const chosen = await window.trame.trigger("choose_rule", [rule]);
    try {
      if (chosen) localStorage.setItem(COUNTING, chosen);
    } catch { /* a browser that keeps nothing */ }
  });

  new MutationObserver(() => {
    tellCounting();
    showQuestion();
    const row = document.querySelector("#levels .chosen");
    if (row && row.id !== document.body.dataset.chosen) row.scrollIntoView({ block: "nearest" });
    document.body.dataset.chosen = row ? row.id : "";
  }).observe(document.documentElement, { subtree: true, attributes: true, childList: true, attributeFilter: ["class"] });

  function upload(files) {
    if (!files.length || window.trame.state.get("uploading")) return;
    const size = Array.from(files).reduce((sum, file) => sum + file.size, 0);
    if (size > window.trame.state.get("limit_bytes")) {
      set({ error: `The upload is larger than ${window.trame.state.get("limit_text")}: crop the scan, or raise --upload-limit.` });
      return;
    }
    const form = new FormData();
    Array.from(files).forEach((file) => form.append("file", file, file.name));
    const request = new XMLHttpRequest();
    set({ uploading: "Uploading …", error: "" });
    request.upload.onprogress = (event) => {
      if (event.lengthComputable && event.loaded < event.total) {
        set({ uploading: `Uploading … ${Math.floor((100 * event.loaded) / event.total)} %` });
      }
    };
    const end = (error) => set({ uploading: "", ...(error ? { error } : {}) });
    request.onerror = () => end("The upload broke off: it is larger than allowed, or the connection was lost.");
    request.onload = () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        answer = { error: request.status === 413
          ? "A proxy refused the upload as too large: raise its limit (nginx: client_max_body_size)."
          : "The upload was not accepted: reload the page." };
      }
      end(answer.error);
    };
    request.open("POST", "upload");
    request.send(form);
  }

  document.addEventListener("change", (event) => {
    if (!event.target.matches?.("input.file")) return;
    upload(event.target.files);
    event.target.value = "";
  });
  const dragging = (on) => document.body.classList.toggle("dragging", on);
  document.addEventListener("dragover", (event) => { event.preventDefault(); dragging(true); });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) dragging(false); });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    dragging(false);
    const entries = Array.from(event.dataTransfer.items, (item) => item.webkitGetAsEntry?.()).filter(Boolean);
    Promise.all(entries.map(filesOf)).then((found) => upload(found.flat()));
  });

  // The files of a dropped file or folder, at any depth.
  async function filesOf(entry) {
    if (entry.isFile) return [await new Promise((done, fail) => entry.file(done, fail))];
    const reader = entry.createReader();
    const found = [];
    for (;;) {
      const some = await new Promise((done, fail) => reader.readEntries(done, fail)); // at most a hundred at a time
      if (!some.length) return found;
      for (const each of some) found.push(...await filesOf(each));
    }
  }
})();
