/*
 * What FiftyOne's views and operators have no like of: the box of the Detail Search panel in
 * which a person types, the close-ups of what was found, and what an open page or image
 * would only take over when it is loaded. Plain JavaScript, as browsers run it: nothing is built.
 *
 * FiftyOne's own inputs, as a Python panel draws them, cannot take the focus, wait a
 * quarter of a second before they send what was entered, and forget what is being typed
 * whenever the panel is drawn anew. The box keeps what belongs to a panel outside of what
 * is drawn.
 */
(() => {
  const { createElement: h, useEffect, useReducer, useRef, useState } = window.React;
  const {
    Autocomplete, Box, Button, Chip, Stack, SvgIcon, TextField, Typography, createFilterOptions,
  } = window.__mui__;
  const { Operator, OperatorConfig, registerOperator, usePanelEvent } = window.__foo__;
  const { usePanelId } = window.__fosp__;
  const {
    activeFields, colorScheme, datasetName, getSampleSrc, sidebarGroupsDefinition,
    useRefreshSample, view,
  } = window.__fos__;
  const { getFetchFunction } = window.__fou__;

  const SUGGESTED = 8;
  const AGAIN = 200; // milliseconds
  const LEAVING = ["pointerdown", "keydown"];
  const OTHERS =
    "[role=dialog], [role=presentation], textarea, input:not([aria-hidden=true]), [contenteditable=true]";
  const MANY = { sx: { flexWrap: "wrap", gap: 1 } };
  const boxes = new Map();
  const suggest = createFilterOptions({ limit: SUGGESTED });

  // Offers what has a word for each word that was typed, as far as it was typed.
  function offered(options, { inputValue, ...state }) {
    const begun = inputValue.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (option) => {
      const words = option.toLowerCase().split(/\s+/);
      return begun.every((start) => words.some((word) => word.startsWith(start)));
    };
    return suggest(options.filter(fits), { ...state, inputValue: "" });
  }

  // One for all tabs of a panel: what is typed while another tab opens stays there.
  function boxOf(panel) {
    if (!boxes.has(panel)) boxes.set(panel, { text: "", waiting: 0, offers: false, wantsFocus: true, redraw: null });
    return boxes.get(panel);
  }

  function change(box, values) {
    Object.assign(box, values);
    if (box.redraw) box.redraw();
  }

  // The App takes the focus away when it closes a menu or draws its panels anew; only a
  // person's click elsewhere, or Tab, means it.
  function keepFocus(box, root) {
    const leave = (event) => {
      if (event.key ? event.key === "Tab" : !root.current?.contains(event.target))
        box.wantsFocus = false;
    };
    const take = () => {
      const input = root.current?.querySelector("input");
      if (box.wantsFocus && !isTyping(input)) input?.focus({ preventScroll: true });
    };
    take();
    const timer = setInterval(take, AGAIN);
    for (const name of LEAVING) document.addEventListener(name, leave, true);
    return () => {
      clearInterval(timer);
      for (const name of LEAVING) document.removeEventListener(name, leave, true);
    };
  }

  function isTyping(input) {
    const active = document.activeElement;
    return active === input || active?.closest(OTHERS);
  }

  function markGrid(isOld) {
    const grid = document.querySelector('[data-cy="fo-grid"]');
    if (grid) grid.style.opacity = isOld ? 0.35 : "";
  }

  function PromptBox({ schema }) {
    const panel = usePanelId();
    const trigger = usePanelEvent();
    const box = boxOf(panel);
    const root = useRef(null);
    const input = useRef(null);
    [, box.redraw] = useReducer((n) => n + 1, 0);
    const { prompts, suggestions, examples, on_enter, on_take_away, fills_grid } = schema.view;

    useEffect(() => keepFocus(box, root), []);
    useEffect(() => {
      if (fills_grid) markGrid(box.waiting > 0);
    }, [box.waiting > 0]);

    function send(operator, params, callback) {
      change(box, { waiting: box.waiting + 1 });
      const done = (result) => {
        change(box, { waiting: box.waiting - 1 });
        if (!box.waiting) markGrid(false); // the box may be that of another tab by now
        if (callback) callback(result);
      };
      trigger(panel, { operator, params, callback: done });
    }

    function enter(text, how) {
      if (!text.trim() && !(how === "instead" && prompts.length)) return;
      change(box, { text: "" });
      send(on_enter, { text, how }, (result) => {
        const refused = !result?.result?.taken;
        if (refused && !box.text) change(box, { text });
      });
      input.current?.focus();
    }

    const field = (params) =>
      h(TextField, {
        ...params,
        inputRef: input,
        label: "What are you looking for?",
        placeholder: "a red helmet, -a bicycle",
        onFocus: () => (box.wantsFocus = true),
      });
    const typed = h(Autocomplete, {
      freeSolo: true,
      size: "small",
      sx: { flex: "1 1 200px" },
      options: suggestions,
      filterOptions: offered,
      value: null,
      inputValue: box.text,
      open: box.offers && box.text.trim() !== "", // else what is below the box is covered
      onOpen: () => change(box, { offers: true }),
      onClose: () => change(box, { offers: false }),
      onInputChange: (event, text, reason) => reason === "input" && change(box, { text }),
      onChange: (event, text) => text && enter(text, "instead"),
      onKeyDown: (event) => event.key === "Enter" && !box.text && enter("", "instead"),
      renderInput: field,
    });
    const button = (label, how, title, variant) =>
      h(Button, {
        variant,
        title,
        color: variant === "outlined" ? "secondary" : undefined,
        sx: { textTransform: "none", whiteSpace: "nowrap" },
        disabled: how !== "instead" && !box.text.trim(),
        onMouseDown: (event) => event.preventDefault(), // the focus stays in the box
        onClick: () => enter(box.text, how),
        children: label,
      });
    const chips = prompts.map((prompt, place) =>
      h(Chip, {
        key: `${place} ${prompt}`,
        label: prompt,
        title: "Taken away by a click on its cross",
        sx: { maxWidth: "100%" },
        onDelete: () => send(on_take_away, { place }),
      })
    );
    const tries = examples.map((example) =>
      h(Chip, {
        key: example,
        label: example,
        variant: "outlined",
        onClick: () => enter(example, "instead"),
      })
    );
    const line = (name, ...children) =>
      h(Stack, { key: name, direction: "row", alignItems: "center", ...MANY, "data-cy": name }, ...children);
    const note = (text) =>
      h(Typography, { variant: "body2", color: "text.secondary" }, text);
    return h(
      Box,
      { ref: root, sx: { display: "grid", gap: 1, pt: 1 }, "data-cy": "detail-prompt-box" },
      line(
        "detail-prompt",
        typed,
        button("Search", "instead", "Enter: search for this instead", "contained"),
        button("+ also", "also", "Look for this, too", "outlined"),
        button("− but not", "not", "Leave out what looks like this", "outlined")
      ),
      chips.length > 0 && line("detail-prompts", ...chips),
      box.waiting > 0 && line("detail-searching", note("Searching…")),
      box.waiting === 0 && !chips.length && tries.length > 0 &&
        line("detail-examples", note("Try"), ...tries)
    );
  }

  const AROUND = 1.3; // of the longer side of a place: what is shown of the image

  // Where an image lies below a square window on a place of it, in percent of the window.
  function underWindow([x, y, width, height], ratio) {
    const [w, h_] = ratio > 1 ? [ratio, 1] : [1, 1 / ratio]; // the shorter side is 1
    const side = Math.min(Math.max(width * w, height * h_) * AROUND, 1);
    const start = (middle, length) =>
      Math.min(Math.max(middle * length - side / 2, 0), length - side);
    return {
      width: `${(100 * w) / side}%`,
      left: `${(-100 * start(x + width / 2, w)) / side}%`,
      top: `${(-100 * start(y + height / 2, h_)) / side}%`,
    };
  }

  const PLAIN = { p: 0, border: 0, background: "none", cursor: "pointer" };

  const THUMB =
    "M1 21h4V9H1v12zm22-11c0-1.1-.9-2-2-2h-6.31l.95-4.57.03-.32c0-.41-.17-.79-.44-1.06L14.17 1 " +
    "7.59 7.59C7.22 7.95 7 8.45 7 9v10c0 1.1.9 2 2 2h9c.83 0 1.54-.5 1.84-1.22l3.02-7.05" +
    "c.09-.23.14-.47.14-.73v-2z";

  function Thumb({ hit, good, onJudge }) {
    const isSet = hit.judged === good;
    const title = good ? "More like this" : "Less like this";
    return h(
      Box,
      {
        component: "button",
        "aria-label": title,
        "aria-pressed": isSet,
        title: isSet ? `${title}: click again to take it back` : title,
        onClick: () => onJudge({ id: hit.id, box: hit.box, good }),
        sx: {
          ...PLAIN,
          display: "flex",
          color: isSet ? "primary.main" : "text.secondary",
          opacity: isSet ? 1 : 0.5,
          "&:hover": { opacity: 1 },
        },
      },
      h(
        SvgIcon,
        { sx: { fontSize: 17, transform: good ? "none" : "rotate(180deg)" } },
        h("path", { d: THUMB })
      )
    );
  }

  function Picture({ filepath, box, text }) {
    const [ratio, setRatio] = useState(null);
    const measure = ({ target }) => setRatio(target.naturalWidth / target.naturalHeight);
    const image = h("img", {
      src: getSampleSrc(filepath),
      alt: "",
      onLoad: measure,
      style: {
        position: "absolute",
        maxWidth: "none",
        pointerEvents: "none",
        visibility: ratio ? "visible" : "hidden",
        ...(ratio ? underWindow(box || [0, 0, 1, 1], ratio) : {}),
      },
    });
    const frame = {
      position: "relative",
      overflow: "hidden",
      aspectRatio: "1",
      borderRadius: 0.5,
      bgcolor: "background.level2",
    };
    return h(Box, { sx: frame, title: text }, image);
  }

  function CloseUp({ hit, place, onOpen, onJudge }) {
    const several = hit.pictures?.length > 1 ? hit.pictures : null;
    const pictures = several || [{ box: hit.box }];
    const beside = {
      display: "grid",
      gap: "2px",
      gridTemplateColumns: `repeat(${pictures.length}, 1fr)`,
    };
    const score = h(Typography, { variant: "caption", color: "text.secondary" }, hit.score);
    const open = h(
      Box,
      {
        component: "button",
        "aria-label": `Close-up ${place + 1}`,
        title: hit.likely ? "Opens the image" : "Probably not. Opens the image",
        onClick: () => onOpen(hit.id),
        sx: { ...PLAIN, ...beside, width: "100%", opacity: hit.likely ? 1 : 0.45 },
      },
      ...pictures.map((picture, key) =>
        h(Picture, { key, filepath: hit.filepath, ...picture })
      )
    );
    const below = h(
      Stack,
      { direction: "row", justifyContent: "space-between", alignItems: "center" },
      onJudge ? h(Thumb, { hit, good: true, onJudge }) : null,
      score,
      onJudge ? h(Thumb, { hit, good: false, onJudge }) : null
    );
    return h(Box, { sx: { gridColumn: `span ${pictures.length}` } }, open, below);
  }

  function CloseUps({ schema }) {
    const panel = usePanelId();
    const trigger = usePanelEvent();
    const { hits, on_open, on_judge } = schema.view;
    const open = (id) => trigger(panel, { operator: on_open, params: { id } });
    const judge = on_judge
      ? (params) => trigger(panel, { operator: on_judge, params })
      : null;
    const strip = {
      display: "grid",
      alignItems: "start",
      gap: 0.75,
      gridTemplateColumns: "repeat(auto-fill, minmax(76px, 1fr))",
    };
    return h(
      Box,
      { sx: strip, "data-cy": "detail-close-ups" },
      ...hits.map((hit, place) =>
        h(CloseUp, { key: hit.id, hit, place, onOpen: open, onJudge: judge })
      )
    );
  }

  const SAMPLE = `query ($dataset: String!, $view: BSONArray!, $filter: SampleFilter!) {
    sample(dataset: $dataset, view: $view, filter: $filter) { ... on ImageSample { sample } }
  }`;

  async function readSample(dataset, view, id) {
    const variables = { dataset, view, filter: { id } };
    const answer = await getFetchFunction()("POST", "/graphql", { query: SAMPLE, variables });
    const { sample } = answer.data.sample;
    return typeof sample === "string" ? JSON.parse(sample) : sample;
  }

  // FiftyOne's `set_active_fields` means the grid until an image has opened, and an open
  // image is not read anew when the App is told to reload its samples.
  class DrawInImage extends Operator {
    get config() {
      return new OperatorConfig({
        name: "draw_in_image",
        label: "Draw labels in the open image",
        unlisted: true,
      });
    }
    useHooks() {
      return {
        draw: window.recoil.useSetRecoilState(activeFields({ modal: true })),
        refresh: useRefreshSample(),
        dataset: window.recoil.useRecoilValue(datasetName),
        stages: window.recoil.useRecoilValue(view),
      };
    }
    async execute({ hooks, params }) {
      hooks.draw(params.fields);
      if (params.id) hooks.refresh(await readSample(hooks.dataset, hooks.stages, params.id));
    }
  }

  // Adds what is missing, and moves the paths of a group to it, closed if it is new.
  function withColors(scheme, colors) {
    const known = scheme.fields || [];
    const missing = colors.filter(({ path }) => !known.some((color) => color.path === path));
    return missing.length ? { ...scheme, fields: [...known, ...missing] } : scheme;
  }

  function withGroup(groups, { name, paths }) {
    const there = groups.find((group) => group.name === name);
    if (paths.every((path) => there?.paths.includes(path))) return groups;
    const others = groups.filter((group) => group !== there);
    const left = (group) => ({ ...group, paths: group.paths.filter((path) => !paths.includes(path)) });
    return [...others.map(left), { expanded: false, ...there, name, paths }];
  }

  // The App reads colors and the sidebar's groups only when it opens a dataset.
  class TakeDefaults extends Operator {
    get config() {
      return new OperatorConfig({
        name: "take_defaults",
        label: "Take over colors and groups",
        unlisted: true,
      });
    }
    useHooks() {
      // Setting a color scheme draws all images anew, even if it is the same.
      const change = window.recoil.useRecoilCallback(({ snapshot, set }) => async (state, changed) => {
        const before = await snapshot.getPromise(state);
        const after = changed(before);
        if (after !== before) set(state, after);
      }, []);
      return { change };
    }
    async execute({ hooks: { change }, params }) {
      await change(colorScheme, (scheme) => withColors(scheme, params.colors));
      for (const isImage of [false, true])
        await change(sidebarGroupsDefinition(isImage), (groups) => withGroup(groups, params.group));
    }
  }

  for (const operator of [DrawInImage, TakeDefaults])
    registerOperator(operator, "@detail/detail-embed");

  for (const [name, component] of Object.entries({
    DetailPromptBox: PromptBox,
    DetailCloseUps: CloseUps,
  }))
    window.__fop__.registerComponent({
      name,
      label: name,
      component,
      type: window.__fop__.PluginComponentType.Component,
      activator: () => true,
    });
})();
