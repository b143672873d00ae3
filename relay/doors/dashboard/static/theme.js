// Light or dark as it was last chosen; runs before anything is drawn.
"use strict";
try {
  const chosen = localStorage.getItem("jobstream-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* no storage: the system's choice holds */ }
