package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// plot is one quantity of all sources over the number of followers, both axes
// logarithmic.
type plot struct {
	name, title string
	value       func(row) float64
	// least is the bottom of the axis: what is below it is drawn on it.
	least float64
}

var plots = []plot{
	{"events", "watch events and requests at the API server, per second", func(r row) float64 { return r.Events + r.Requests }, 0.1},
	{"api-cpu", "CPU of the API server, seconds per minute", func(r row) float64 { return r.APICPU * 60 / max(r.Seconds, 1) }, 0.01},
	{"change", "change of leader until the last follower knows, ms", func(r row) float64 { return r.Max }, 1},
}

const (
	plotWidth, plotHeight = 720, 400
	left, right           = 70, 150
	top, bottom           = 40, 50
)

// colours of the sources, distinguishable by the colour-blind (Okabe and Ito).
var colours = []string{"#000000", "#56b4e9", "#0072b2", "#cc79a7", "#e69f00", "#009e73"}

// draw returns the plot as SVG.
func (p plot) draw(rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/><text x="%d" y="20" font-size="14">%s</text>`+"\n", plotWidth, plotHeight, left, p.title)
	rows = slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.Followers == 0 })
	if len(rows) > 0 {
		p.axes(&b, rows)
		for i, s := range sources {
			p.line(&b, rows, s.name, i)
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// bounds are whole powers of ten around all values.
func (p plot) bounds(rows []row) (x0, x1, y0, y1 float64) {
	x0, y0 = math.Inf(1), math.Inf(1)
	x1, y1 = math.Inf(-1), math.Inf(-1)
	for _, r := range rows {
		x, y := math.Log10(float64(r.Followers)), math.Log10(max(p.value(r), p.least))
		x0, x1, y0, y1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y)
	}
	floor := func(v float64) float64 { return math.Floor(v + 1e-9) }
	return floor(x0), math.Max(math.Ceil(x1-1e-9), floor(x0)+1), floor(y0), math.Max(math.Ceil(y1-1e-9), floor(y0)+1)
}

// at is where a value is drawn.
func (p plot) at(rows []row, x, y float64) (float64, float64) {
	x0, x1, y0, y1 := p.bounds(rows)
	return left + (math.Log10(x)-x0)/(x1-x0)*(plotWidth-left-right),
		plotHeight - bottom - (math.Log10(max(y, p.least))-y0)/(y1-y0)*(plotHeight-top-bottom)
}

func (p plot) axes(b *strings.Builder, rows []row) {
	x0, x1, y0, y1 := p.bounds(rows)
	for e := y0; e <= y1; e++ {
		_, y := p.at(rows, math.Pow(10, x0), math.Pow(10, e))
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`+"\n",
			left, plotWidth-right, y, y, left-6, y+4, math.Pow(10, e))
	}
	for e := x0; e <= x1; e++ {
		x, _ := p.at(rows, math.Pow(10, e), p.least)
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%g</text>`+"\n",
			x, x, top, plotHeight-bottom, x, plotHeight-bottom+18, math.Pow(10, e))
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">followers</text>`+"\n", (left+plotWidth-right)/2, plotHeight-10)
}

// line draws a source; what the machine was too small for is hollow.
func (p plot) line(b *strings.Builder, rows []row, name string, i int) {
	mine := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.Source != name })
	slices.SortFunc(mine, func(a, b row) int { return a.Followers - b.Followers })
	var points []string
	for _, r := range mine {
		x, y := p.at(rows, float64(r.Followers), p.value(r))
		points = append(points, fmt.Sprintf("%.1f,%.1f", x, y))
		fill := colours[i]
		if r.Saturated {
			fill = "#fff"
		}
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s" stroke="%s"/>`+"\n", x, y, fill, colours[i])
	}
	if len(points) == 0 {
		return
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", strings.Join(points, " "), colours[i])
	y := top + 20*i + 10
	fmt.Fprintf(b, `<circle cx="%d" cy="%d" r="4" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n", plotWidth-right+15, y-4, colours[i], plotWidth-right+25, y, name)
}
