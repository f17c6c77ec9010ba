// Three small things, none of which a page needs: a board sorted by a column, the progress of an
// upload, and a submission's page that opens anew when something has happened.
"use strict";

function sortable(table) {
  const body = table.tBodies[0];
  const first = Array.from(body.rows);
  table.querySelectorAll("thead th[data-sort]").forEach((head) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const falls = head.dataset.sort === "falls";
      const was = head.getAttribute("aria-sort");
      const begin = falls ? "descending" : "ascending";
      const now = was === begin ? (falls ? "ascending" : "descending") : begin;
      table.querySelectorAll("th[aria-sort]").forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", now);
      const sign = now === "ascending" ? 1 : -1;
      const value = (row) => row.cells[head.cellIndex].dataset.value;
      const sorted = first.slice().sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        return sign * (Number(x) - Number(y));
      });
      body.replaceChildren(...sorted);
    });
  });
}

function upload(form) {
  form.addEventListener("submit", (event) => {
    const file = form.querySelector("input[type=file]").files[0];
    const told = form.querySelector("[data-told]");
    if (!file || !window.XMLHttpRequest) return;
    event.preventDefault();
    const say = (text) => { told.hidden = false; told.textContent = text; };
    if (file.size > Number(form.dataset.most)) {
      say("This file is larger than the track takes; choose a smaller one.");
      return;
    }
    const bar = form.querySelector("progress");
    const button = form.querySelector("button");
    const request = new XMLHttpRequest();
    bar.hidden = false;
    button.disabled = true;
    const again = (text) => { say(text); bar.hidden = true; button.disabled = false; };
    request.upload.addEventListener("progress", (sent) => {
      if (!sent.lengthComputable) return;
      bar.value = sent.loaded / sent.total;
      say(`${Math.floor(100 * bar.value)} % of ${(sent.total / 1048576).toFixed(1)} MiB sent`);
    });
    request.addEventListener("load", () => {
      let answer = {};
      try { answer = JSON.parse(request.responseText); } catch { /* told below */ }
      if (request.status === 201 && answer.location) location.assign(answer.location);
      else again(answer.error ? answer.error.message : `The server answered ${request.status}.`);
    });
    request.addEventListener("error", () => again("The line broke; send it again."));
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.send(new FormData(form));
  });
}

function watched(place) {
  const { state, position, address } = place.dataset;
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(address, { headers: { Accept: "application/json" } });
      if (!answer.ok) return;
      const now = await answer.json();
      if (now.state !== state || String(now.position ?? "") !== position) location.replace(location.pathname);
    } catch { /* asked again in a while */ }
  }, 5000);
}

document.querySelectorAll("table[data-sortable]").forEach(sortable);
document.querySelectorAll("form[data-upload]").forEach(upload);
document.querySelectorAll("[data-watched]").forEach(watched);
