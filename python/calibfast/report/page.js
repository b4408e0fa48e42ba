"use strict";
// The theme: as the system has it until somebody asks for the other one.
const root = document.documentElement;
const button = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
const name = () => root.dataset.theme || (dark.matches ? "dark" : "light");
const label = () => { button.textContent = name() === "dark" ? "Light theme" : "Dark theme"; };
button.hidden = false;
button.addEventListener("click", () => { root.dataset.theme = name() === "dark" ? "light" : "dark"; label(); });
dark.addEventListener("change", label);
label();
// A chart is one stop of the Tab key; arrows go from bar to bar.
for (const chart of document.querySelectorAll("svg.chart")) {
  const spots = [...chart.querySelectorAll(".spot")];
  const go = (to) => spots.forEach((spot, at) => { spot.setAttribute("tabindex", at === to ? "0" : "-1"); });
  if (spots.length) go(0);
  chart.addEventListener("keydown", (event) => {
    const at = spots.indexOf(document.activeElement), last = spots.length - 1;
    const to = { ArrowRight: Math.min(at + 1, last), ArrowLeft: Math.max(at - 1, 0), Home: 0, End: last }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    go(to);
    spots[to].focus();
  });
}
