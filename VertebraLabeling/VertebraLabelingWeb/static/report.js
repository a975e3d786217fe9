// Puts the text for a report on the clipboard. Where the browser keeps it closed (a page that came unencrypted from
// another computer, a permission that was denied) the text is shown, chosen, to be copied by hand.
"use strict";
document.addEventListener("click", async (event) => {
  if (!event.target.closest?.("#copy-report")) return;
  const { state, trigger } = window.trame;
  const text = await trigger("report", []);
  if (!text) return; // the page says why
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copied = false;
  }
  state.set("report_text", copied ? "" : text);
  state.set("message", copied ? "The text for the report is on the clipboard." : "");
  if (!copied) setTimeout(() => document.getElementById("report-text")?.select());
});
