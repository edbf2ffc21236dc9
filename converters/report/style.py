"""The report's style: system fonts, colours that colour-blind people tell apart (Okabe and Ito)."""

from __future__ import annotations

from typing import Final

# Every text colour has a contrast of 4.5 or more on the backgrounds that it is used on (WCAG AA).
_LIGHT: Final = """
--page:#f5f7f9; --card:#ffffff; --ink:#16202a; --soft:#4b5a68; --line:#d3dae1;
--fp32:#8795a4; --int8:#0072b2; --wrong:#d55e00; --other:#8795a4; --band:#e3eef7;
--good:#00664b; --good-card:#e6f4ef; --warn:#7a4b00; --warn-card:#fdf3dc;
--bad:#a1330a; --bad-card:#fdeae2; --link:#005a8e;
--right1:#e3eef7; --right2:#c1dbee; --right3:#8fbfe0; --right4:#2a6f9f; --right5:#0b4f7d;
--wrong1:#fdeadb; --wrong2:#fbd0ad; --wrong3:#f5a86b; --wrong4:#b64a00; --wrong5:#8a3600;
--deep:#ffffff;
"""
_DARK: Final = """
--page:#10151a; --card:#182028; --ink:#e8eef4; --soft:#a9b7c4; --line:#33414e;
--fp32:#6f7e8d; --int8:#2f86c4; --wrong:#f0944a; --other:#5d6b78; --band:#1f3346;
--good:#5fd0a9; --good-card:#12302a; --warn:#f2c566; --warn-card:#352a12;
--bad:#ff9d75; --bad-card:#3d2018; --link:#7cc3ee;
--right1:#16283a; --right2:#1a3a57; --right3:#1f5180; --right4:#6db1e2; --right5:#a5d0f0;
--wrong1:#43291a; --wrong2:#54321c; --wrong3:#7d4417; --wrong4:#f0944a; --wrong5:#ffc08a;
--deep:#10151a;
"""

_SHADES: Final = "\n".join(
    f".heat td.{hue}{n} {{ background:var(--{hue}{n}); color:var(--{'deep' if n > 3 else 'ink'}) }}"
    for hue in ("right", "wrong")
    for n in range(1, 6)
)

_RULES: Final = """
* { box-sizing:border-box }
html { background:var(--page); color:var(--ink); -webkit-text-size-adjust:100% }
body { margin:0 auto; padding:1.5rem 1.25rem 3rem; max-width:1240px;
  font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif }
h1,h2,h3,p,dl,dd,ul,figure { margin:0; padding:0 }
ul { list-style:none }
h1 { font-size:1.6rem; line-height:1.2; overflow-wrap:anywhere }
h2 { font-size:1.2rem; line-height:1.3; margin-bottom:.75rem; overflow-wrap:anywhere }
h3 { font-size:1rem; margin:1rem 0 .5rem }
header p, footer { color:var(--soft); font-size:.9rem }
header { margin-bottom:1rem }
a { color:var(--link) }
small { font-size:.82em; color:var(--soft) }
code { font:.86em/1.4 ui-monospace,"DejaVu Sans Mono",Menlo,monospace; overflow-wrap:anywhere }
bdi { overflow-wrap:break-word }
h1 bdi, .cards bdi, li bdi, dd bdi { overflow-wrap:anywhere }
:focus-visible { outline:3px solid var(--int8); outline-offset:2px }
section { background:var(--card); border:1px solid var(--line); border-radius:10px;
  padding:1.1rem 1.25rem; margin-bottom:1rem }
section > p { margin-bottom:.75rem; max-width:75ch }
.sign { display:inline-block; min-width:1.2em; font-weight:700 }
.good { color:var(--good) } .warn { color:var(--warn) } .bad { color:var(--bad) }

.verdict { border-left-width:10px }
.verdict.good { background:var(--good-card); border-color:var(--good) }
.verdict.warn { background:var(--warn-card); border-color:var(--warn) }
.verdict.bad { background:var(--bad-card); border-color:var(--bad) }
.verdict h2 { font-size:1.75rem; color:inherit; margin-bottom:.25rem }
.verdict > :not(h2) { color:var(--ink) }
.verdict .sentence { font-size:1.05rem; max-width:none }
.tiles { display:grid; grid-template-columns:repeat(auto-fit,minmax(210px,1fr)); gap:.75rem }
.tiles > div { background:var(--card); border:1px solid var(--line); border-radius:8px;
  padding:.6rem .85rem }
.tiles dt { font-size:.85rem; color:var(--soft) }
.tiles dd { font-size:.85rem; color:var(--soft) }
.tiles .value { font-size:1.9rem; line-height:1.2; font-weight:650; color:var(--ink) }
.tiles .value small { font-size:.95rem; font-weight:400 }
.graphs { display:flex; flex-wrap:wrap; gap:.25rem 1.75rem; margin-top:.85rem }
.warnings { margin-top:.85rem; border-top:1px solid var(--line); padding-top:.6rem }
.warnings li { padding-left:1.6em; position:relative; margin:.3rem 0; overflow-wrap:anywhere }
.warnings li::before { content:"!"; position:absolute; left:0; top:.2em; width:1.15em;
  height:1.15em; line-height:1.15em; text-align:center; font-weight:700; border-radius:3px;
  background:var(--warn); color:var(--card) }
nav ul { display:flex; flex-wrap:wrap; gap:.25rem 1.1rem; margin:0 0 1rem; font-size:.92rem }

.scroll { overflow-x:auto; max-width:100% }
table { border-collapse:collapse; font-size:.92rem; font-variant-numeric:tabular-nums }
caption { text-align:left; color:var(--soft); font-size:.88rem; padding-bottom:.4rem }
th, td { padding:.35rem .7rem; border-bottom:1px solid var(--line); vertical-align:middle }
th { font-weight:600 }
thead th { vertical-align:bottom; font-size:.85rem; color:var(--soft) }
.text { text-align:left } .number { text-align:right }
td.number { white-space:nowrap } td.number small { white-space:normal }
td .good, td .bad { white-space:nowrap }
td small, th small { display:block; font-weight:400 }
table { width:100% }
.picture { width:45%; min-width:130px; text-align:left }
.pair { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(480px,100%),1fr));
  gap:1.25rem }

.heat { width:auto; border-collapse:separate; border-spacing:2px }
.heat td { text-align:center; min-width:2.6em; height:2.4em; padding:.1rem .25rem; border:0;
  border-radius:3px }
.heat td.none { color:var(--soft) }
.heat th { border:0; padding:.15rem .5rem .15rem 0 }
.heat .corner { font-weight:400; text-align:left }
.heat .label { padding:0 0 .3rem; text-align:left }
.heat .label span { display:inline-block; writing-mode:vertical-rl; transform:rotate(180deg);
  max-height:9em; color:var(--ink) }
.heat td.changed { outline:3px solid var(--ink); outline-offset:-3px; font-weight:700 }
.heat sup { font-size:.75em; margin-left:.15em; line-height:0 }
SHADES

svg { display:block }
.bar { width:100%; min-width:110px }
.fp32 { fill:var(--fp32) } .int8 { fill:var(--int8) } .other { fill:var(--other) }
.clipped, .float { fill:var(--wrong) } .inside { fill:var(--int8) } .band { fill:var(--band) }
.grid { stroke:var(--line); stroke-width:1 } .axis { stroke:var(--soft); stroke-width:1 }
.whisker { stroke:var(--ink); stroke-width:1.5 }
line.limit { stroke:var(--ink); stroke-width:1.5; stroke-dasharray:4 2 }
svg text { font-size:10.5px; fill:var(--soft) } svg text.limit { fill:var(--ink); font-weight:600 }
.keys { display:flex; gap:1.25rem; font-size:.9rem }
.key::before { content:""; display:inline-block; width:1em; height:1em; margin-right:.4em;
  border-radius:2px; vertical-align:-.12em; background:var(--int8) }
.key.fp32::before { background:var(--fp32) }
.histograms { display:grid; grid-template-columns:repeat(auto-fill,minmax(min(320px,100%),1fr));
  gap:1.25rem }
.histogram { width:100%; max-width:420px }
figcaption { font-size:.85rem; color:var(--soft) }
figcaption code { display:block; color:var(--ink) }

.cards { display:grid; grid-template-columns:repeat(auto-fill,minmax(min(330px,100%),1fr));
  gap:.75rem }
.cards + p { margin-top:.75rem }
.cards li { display:flex; gap:.85rem; border:1px solid var(--line); border-radius:8px;
  padding:.6rem; break-inside:avoid }
.cards img, .no-picture { flex:none; width:112px; height:112px; border-radius:5px;
  object-fit:contain; background:var(--page) }
.no-picture { display:grid; place-items:center; font-size:.8rem; color:var(--soft);
  border:1px dashed var(--line) }
.cards dl { display:grid; grid-template-columns:auto 1fr; gap:.1rem .7rem; font-size:.9rem }
.cards dt { color:var(--soft) }
.file { font-size:.82rem; color:var(--soft); margin-bottom:.25rem }
footer p { margin-top:.4rem }

@media (max-width:600px) {
  body { padding:1rem .6rem 2rem }
  section { padding:.85rem .8rem }
  .verdict h2 { font-size:1.4rem }
  .tiles { grid-template-columns:1fr 1fr; gap:.5rem }
  .tiles .value { font-size:1.5rem }
  table { font-size:.84rem }
  th, td { padding:.3rem .35rem }
  td.number { white-space:normal }
  td bdi { overflow-wrap:anywhere }
  .picture { width:24%; min-width:80px }
  .bar { min-width:80px }
  .heat td { min-width:2.1em; padding:.1rem }
}
@media print {
  html { background:none }
  body { max-width:none; padding:0; font-size:11pt }
  section { border-radius:0; break-inside:auto }
  nav { display:none }
  h2, caption { break-after:avoid }
  tr, figure, .tiles > div { break-inside:avoid }
  .scroll { overflow:visible }
  * { -webkit-print-color-adjust:exact; print-color-adjust:exact }
}
"""

STYLE: Final = (
    f":root {{ {_LIGHT} }}\n"
    f"@media screen and (prefers-color-scheme:dark) {{ :root {{ {_DARK} }} }}\n"
    + _RULES.replace("SHADES", _SHADES)
)
