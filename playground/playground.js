// The playground: sends a wish and events to the gateway that serves this page, and draws what comes back.
// Everything from the outside is set as text, never as markup.

const KINDS = { view: "VIEW", like: "LIKE", buy: "BUY", dislike: "DISLIKE" };
const SIDES = ["a", "b"];
const STAGES = [
  ["parse", []],
  ["represent", ["tokenize", "queue", "triton"]],
  ["recall", []],
  ["rank", ["rank_triton"]],
  ["arrange", []],
  ["explain", []],
];
const state = { events: [], places: { a: null, b: null }, calls: { a: null, b: null }, timer: 0 };
const byId = (id) => document.getElementById(id);

function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== "") element.textContent = text;
  return element;
}

async function call(path, body, signal) {
  const response = await fetch(path, {
    method: body === undefined ? "GET" : "POST",
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal,
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? `the gateway answered ${response.status}`);
  return answer;
}

// --- the request

function settingsOf(side) {
  const values = {};
  for (const input of document.querySelectorAll(`fieldset[data-side="${side}"] [data-field]`)) {
    values[input.dataset.field] = input.tagName === "SELECT" ? input.value : Number(input.value);
  }
  return values;
}

function requestOf(side) {
  const text = byId("text").value.trim();
  const events = state.events.map(({ item_id, kind }) => ({ item_id, kind }));
  return { ...settingsOf(side), ...(text ? { text } : {}), events };
}

function schedule(delay = 250) {
  clearTimeout(state.timer);
  state.timer = setTimeout(refresh, delay);
}

function refresh() {
  const both = byId("both").checked;
  document.body.classList.toggle("two", both);
  for (const side of both ? SIDES : ["a"]) ask(side);
}

async function ask(side) {
  const article = document.querySelector(`article[data-side="${side}"]`);
  state.calls[side]?.abort();
  const mine = new AbortController();
  state.calls[side] = mine;
  article.classList.add("busy");
  try {
    const reply = await call("api/recommend", requestOf(side), mine.signal);
    drawList(article, side, reply);
    if (side === "a") drawUnderstood(reply);
  } catch (error) {
    if (error.name === "AbortError") return;
    const notes = make("ul", "notes");
    notes.append(make("li", "", error.message));
    article.replaceChildren(notes);
  }
  if (state.calls[side] === mine) {
    article.classList.remove("busy");
    document.body.dataset.answers = String(Number(document.body.dataset.answers ?? 0) + 1);
  }
}

// --- the reply

function drawUnderstood(reply) {
  const understood = reply.interpretation ?? {};
  const chips = [
    ...(understood.wishes ?? []).map((wish) => [`${wish.condition}`, wish.negate, wish.phrase]),
    ...(understood.orders ?? []).map((order) => [`${order.attribute}, ${order.descending ? "largest" : "smallest"} first`, false, order.phrase]),
    ...(understood.excluded_terms ?? []).map((term) => [`not ${term}`, true, ""]),
    ...(reply.corrected_text ? [[`searched as “${reply.corrected_text}”`, true, ""]] : []),
  ];
  byId("understood").replaceChildren(
    ...chips.map(([words, against, phrase]) => {
      const chip = make("span", against ? "chip against" : "chip", words);
      if (phrase) chip.title = `from “${phrase}”`;
      return chip;
    }),
  );
}

function drawList(article, side, reply) {
  const before = state.places[side];
  state.places[side] = new Map(reply.items.map((item) => [item.id, item.rank]));
  const notes = make("ul", "notes");
  for (const one of reply.degradations) notes.append(make("li", "", one.detail));
  if (reply.unplaced_item_ids.length) notes.append(make("li", "", `not placed: ${reply.unplaced_item_ids.join(", ")}`));
  if (reply.shortfall_count) notes.append(make("li", "", `${reply.shortfall_count} fewer items than asked for`));
  const said = [`release ${reply.release_id}`];
  if (reply.scene) said.push(`scene ${reply.scene}`);
  if (reply.seed !== null) said.push(`seed ${reply.seed}`);
  notes.append(make("li", "said", said.join(" · ")));
  const list = make("ol", "items");
  list.append(...reply.items.map((item) => drawItem(item, before)));
  article.replaceChildren(notes, list, drawWaterfall(reply.stage_times));
}

function drawItem(item, before) {
  const row = make("li");
  row.dataset.id = item.id;
  const rank = make("span", "rank", String(item.rank));
  if (before) {
    const was = before.get(item.id);
    if (was === undefined) rank.append(make("small", "new", "new"));
    else if (was !== item.rank) rank.append(make("small", was > item.rank ? "up" : "down", `${was > item.rank ? "▲" : "▼"}${Math.abs(was - item.rank)}`));
  }
  const share = item.relevance ?? item.match_probability;
  const figure = share === null ? (item.similarity === null ? "" : item.similarity.toFixed(2)) : `${Math.round(share * 100)} %`;
  const figures = make("span", "share", figure);
  figures.title = `score ${item.score.toFixed(4)}`;
  const badges = make("div", "badges");
  for (const view of item.provenance) {
    const badge = make("span", "badge", `${view.source} #${view.rank}`);
    badge.title = `score there ${view.score.toFixed(4)}`;
    badges.append(badge);
  }
  for (const rule of item.arranged_by) {
    badges.append(make("span", "badge rule", item.ranked_place === null ? rule : `${rule}, was ${item.ranked_place}`));
  }
  const acts = make("span", "acts");
  for (const name of Object.keys(KINDS)) {
    const button = make("button", "", name);
    button.type = "button";
    button.addEventListener("click", () => {
      state.events.push({ item_id: item.id, kind: KINDS[name], name, title: item.title || item.id });
      drawEvents();
      schedule(0);
    });
    acts.append(button);
  }
  badges.append(acts);
  row.append(rank, make("span", "title", item.title || item.id), figures);
  if (item.explanation) row.append(make("p", "why", item.explanation));
  row.lastElementChild.style.margin = "0";
  row.append(badges);
  return row;
}

function drawWaterfall(times) {
  const chart = make("div", "waterfall");
  const total = Math.max(times.total, 0.001);
  let begun = 0;
  const row = (name, start, length, place, inner) => {
    const line = make("div", inner ? "bar-row inner" : "bar-row");
    const track = make("span", "track");
    const bar = make("span", "bar");
    bar.style.left = `${Math.min((start / total) * 100, 99)}%`;
    bar.style.width = `${Math.min((length / total) * 100, 100)}%`;
    bar.style.background = `var(--stage-${place})`;
    bar.style.opacity = inner ? 0.55 : 1;
    track.append(bar);
    line.append(make("span", "", name.replace("rank_triton", "triton")), track, make("span", "ms", `${length.toFixed(1)} ms`));
    chart.append(line);
  };
  STAGES.forEach(([name, parts], place) => {
    const length = times[name] ?? 0;
    row(name, begun, length, place, false);
    let inside = begun;
    for (const part of parts) {
      if (times[part]) row(part, inside, times[part], place, true);
      inside += times[part] ?? 0;
    }
    begun += length;
  });
  row("total", 0, times.total, 0, false);
  return chart;
}

function drawEvents() {
  byId("no-events").hidden = state.events.length > 0;
  byId("events").replaceChildren(
    ...state.events.map((event, place) => {
      const chip = make("li", event.kind === "DISLIKE" ? "chip against" : "chip", `${event.name}: ${event.title}`);
      const remove = make("button", "", "×");
      remove.type = "button";
      remove.setAttribute("aria-label", `take back ${event.name} ${event.title}`);
      remove.addEventListener("click", () => {
        state.events.splice(place, 1);
        drawEvents();
        schedule(0);
      });
      chip.append(remove);
      return chip;
    }),
  );
}

// --- the index

async function compare(event) {
  event.preventDefault();
  const figures = byId("index-figures");
  figures.textContent = "…";
  try {
    const answer = await call("api/index", { text: byId("index-text").value, k: Number(byId("index-k").value) });
    const found = new Set(answer.index.map((item) => item.id));
    figures.textContent =
      `recall@${answer.k} ${answer.recall.toFixed(3)} · index ${answer.index_ms.toFixed(2)} ms · ` +
      `every one of ${answer.item_count.toLocaleString("en")} items ${answer.exact_ms.toFixed(2)} ms`;
    const line = (item, missed) => make("li", missed ? "missed" : "", `${item.similarity.toFixed(4)}  ${item.title || item.id}`);
    byId("index-found").replaceChildren(...answer.index.map((item) => line(item, false)));
    byId("index-exact").replaceChildren(...answer.exact.map((item) => line(item, !found.has(item.id))));
    document.body.dataset.compared = String(Number(document.body.dataset.compared ?? 0) + 1);
  } catch (error) {
    figures.textContent = error.message;
  }
}

// --- the page

function show(name) {
  for (const tab of ["lists", "index"]) {
    byId(`tab-${tab}`).setAttribute("aria-selected", String(tab === name));
    byId(`${tab}-panel`).hidden = tab !== name;
  }
}

function fill(select, pairs) {
  select.replaceChildren(...pairs.map(([value, words]) => new Option(words, value)));
  select.closest("label").hidden = pairs.length < 2;
}

async function begin() {
  const facts = await call("api/facts");
  byId("release").textContent =
    `release ${facts.release_id} · ${facts.item_count.toLocaleString("en")} items · encoder ${facts.encoder}`;
  for (const box of document.querySelectorAll(".settings")) {
    box.append(byId("settings-template").content.cloneNode(true));
    fill(box.querySelector("[data-field=gateway]"), facts.gateways.map((name) => [name, name]));
    fill(box.querySelector("[data-field=scene]"), [["", "none"], ...facts.scenes.map((name) => [name, name])]);
    for (const input of box.querySelectorAll("input[type=range]")) {
      const output = input.parentElement.querySelector("output");
      const say = () => { output.textContent = Number(input.value).toFixed(2); };
      input.addEventListener("input", say);
      say();
    }
  }
  document.querySelector(".controls").addEventListener("input", () => schedule());
  byId("clear").addEventListener("click", () => { state.events = []; drawEvents(); schedule(0); });
  byId("tab-lists").addEventListener("click", () => show("lists"));
  byId("tab-index").addEventListener("click", () => show("index"));
  byId("index-form").addEventListener("submit", compare);
  refresh();
}

begin().catch((error) => { byId("release").textContent = error.message; });
