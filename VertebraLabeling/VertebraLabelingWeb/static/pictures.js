// A view without a picture of its size asks for one again: it may have been lost on the way, as when a network went just
// then, and the server draws only what has changed.
"use strict";
(() => {
  const LOOK_MS = 2000;
  const PATIENCE = 2; // looks
  const ROUNDING = 2; // pixels
  const without = new Map(); // view -> looks without a picture

  function isDrawn(image, size) {
    return image && Math.abs(image.naturalWidth - Math.floor(size.w) * size.p) <= ROUNDING
      && Math.abs(image.naturalHeight - Math.floor(size.h) * size.p) <= ROUNDING;
  }

  setInterval(() => {
    const { state, client } = window.trame ?? {};
    if (document.hidden || !state?.get("scan_name")) return;
    document.querySelectorAll(".view").forEach((view) => {
      const area = view.querySelector(".remote-controlled-area");
      if (!area) return;
      const { width, height } = area.getBoundingClientRect();
      const [name, size] = [view.dataset.view, { w: width, h: height, p: window.devicePixelRatio }];
      const looks = isDrawn(view.querySelector("img"), size) ? 0 : (without.get(name) ?? 0) + 1;
      without.set(name, looks % PATIENCE);
      if (looks < PATIENCE) return;
      client.getConnection()?.getSession()?.call("trame.rca.size", [name, "again", size])?.catch(() => {});
    });
  }, LOOK_MS);
})();
