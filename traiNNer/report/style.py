"""What the report looks like, and the few lines of script that draw its curves and move its sliders."""

STYLE = """
:root { color-scheme: light dark; --ground: #f7f7f5; --card: #fff; --text: #1c1c1a; --quiet: #686862; --line: #e1e1db;
  --good: #1b6e3c; --bad: #b3261e; --open: #8a6100; --accent: #2757b8; }
@media (prefers-color-scheme: dark) { :root { --ground: #151514; --card: #1e1e1c; --text: #e8e8e3; --quiet: #9c9c94;
  --line: #34342f; --good: #7fd39d; --bad: #ff8a80; --open: #e5b94b; --accent: #8fb0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 78rem; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; font-weight: 650; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; font-weight: 650; margin: 2.25rem 0 .5rem; }
h3 { font-size: 1rem; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
p { margin: .3rem 0; }
.verdict { font-size: 1.15rem; margin: .75rem 0 1rem; padding: .8rem 1rem; border-left: .3rem solid var(--quiet);
  background: var(--card); border-radius: .3rem; overflow-wrap: anywhere; }
.good { border-color: var(--good); } .bad { border-color: var(--bad); } .open { border-color: var(--open); }
.quiet, figcaption, small { color: var(--quiet); font-size: .88rem; }
.facts { display: grid; gap: .6rem; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); margin: 0; }
.facts div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .75rem; }
.facts dt { color: var(--quiet); font-size: .8rem; }
.facts dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.figures, .examples { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
.examples { grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); align-items: start; }
section.card, .examples figure { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .75rem; margin: 0; min-width: 0; }
.plot { height: 19rem; }
.pair { position: relative; overflow: hidden; line-height: 0; }
.pair img, .maps img { width: 100%; image-rendering: pixelated; display: block; }
.pair .before { position: absolute; inset: 0; clip-path: inset(0 calc(100% - var(--at, 50%)) 0 0); }
.pair::after { content: ""; position: absolute; top: 0; bottom: 0; left: var(--at, 50%); width: 2px; margin-left: -1px;
  background: #fff; box-shadow: 0 0 3px #000; }
.pair span { position: absolute; top: .4rem; padding: .1rem .45rem; border-radius: .3rem;
  background: #000a; color: #fff; font-size: .75rem; line-height: 1.4; }
.pair span:first-of-type { left: .4rem; }
.pair span:last-of-type { right: .4rem; }
input[type=range] { width: 100%; height: 2.2rem; margin: 0; accent-color: var(--accent); }
.maps { display: grid; grid-template-columns: repeat(3, 1fr); gap: .4rem; margin-top: .3rem; }
.scroll { overflow: auto; max-height: 28rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--card); }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { position: sticky; top: 0; background: var(--card); font-weight: 600; }
td.number, th.number { text-align: right; white-space: nowrap; }
td { overflow-wrap: anywhere; min-width: 4.5rem; }
td.wide { min-width: 14rem; }
td:first-child:not(.number) { min-width: 8.5rem; }
details { margin-top: .75rem; } summary { cursor: pointer; font-weight: 600; padding: .3rem 0; }
code { font-size: .85rem; overflow-wrap: anywhere; }
"""

SCRIPT = """
(function () {
  const style = getComputedStyle(document.documentElement);
  const color = name => style.getPropertyValue(name).trim();
  const narrow = matchMedia("(max-width: 40rem)").matches;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const axis = {gridcolor: color("--line"), zerolinecolor: color("--line"), automargin: true, nticks: 6};
  const marked = figure => "yaxis9" in figure.layout;
  figures.forEach((figure, place) => {
    const layout = Object.assign({}, figure.layout, {
      margin: {l: 46, r: 12, t: 8, b: 36}, font: {family: "system-ui, sans-serif", size: 12, color: color("--text")},
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest",
      dragmode: narrow ? false : "zoom", showlegend: true, legend: {orientation: "h", y: -0.22, yanchor: "top"},
      xaxis: Object.assign({title: {text: "iteration", standoff: 4}}, axis, figure.layout.xaxis),
    });
    layout.yaxis = Object.assign({domain: [marked(figure) ? 0.16 : 0, 1]}, axis, figure.layout.yaxis);
    if (layout.yaxis2) layout.yaxis2 = Object.assign({automargin: true}, layout.yaxis2);
    if (marked(figure)) layout.xaxis.anchor = "y9";
    Plotly.newPlot("figure" + place, figure.data, layout, {responsive: true, displayModeBar: false});
  });
  document.querySelectorAll("input[type=range]").forEach(slider => {
    const move = () => slider.previousElementSibling.style.setProperty("--at", slider.value + "%");
    slider.addEventListener("input", move);
    move();
  });
})();
"""

# The browser itself refuses whatever a library would load from elsewhere.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
