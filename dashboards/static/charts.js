// Draws the charts of a page from the values that stand in it, in the colours of the theme.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function charts() {
  const seen = new ResizeObserver((entries) => {
    for (const { target } of entries) window.echarts.getInstanceByDom(target)?.resize();
  });
  for (const place of document.querySelectorAll("[data-chart]")) {
    window.echarts.init(place).setOption(options(JSON.parse(place.dataset.chart)));
    seen.observe(place);
  }
}

function options({ kind, flat, names, series }) {
  const categories = { type: "category", data: names, axisLine: line("line-strong"), axisLabel: text(), inverse: flat };
  const amounts = { type: "value", minInterval: 1, splitLine: line("line"), axisLabel: text() };
  return {
    animation: false,
    grid: { left: flat ? 200 : 48, right: 16, top: 40, bottom: 28 },
    legend: { top: 4, left: 0, icon: "roundRect", itemWidth: 12, itemHeight: 8, textStyle: text() },
    // rich text: a tooltip of HTML would need styles that the page's policy forbids
    tooltip: {
      trigger: "axis",
      renderMode: "richText",
      backgroundColor: colour("surface"),
      borderColor: colour("line-strong"),
      textStyle: { color: colour("ink") },
    },
    xAxis: flat ? amounts : categories,
    yAxis: flat ? { ...categories, axisLabel: { ...text(), width: 184, overflow: "truncate" } } : amounts,
    series: series.map((each) => one(each, kind)),
  };
}

function one({ name, tone, dashed, values }, kind) {
  const shared = { name, type: kind, data: values, itemStyle: { color: colour(tone) } };
  if (kind === "bar") return { ...shared, stack: "all", barMaxWidth: 28 };
  const lineStyle = { color: colour(tone), width: 2, type: dashed ? "dashed" : "solid" };
  return { ...shared, lineStyle, connectNulls: false, symbolSize: 5 };
}

const text = () => ({ color: colour("ink-2"), fontSize: 12 });
const line = (name) => ({ lineStyle: { color: colour(name) } });

charts();
