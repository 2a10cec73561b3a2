package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"flink-ha-sidecar/discovery"
)

// report writes the table and the plots beside OUT.
func (r results) report(out string) error {
	base := strings.TrimSuffix(out, filepath.Ext(out))
	errs := []error{discovery.ReplaceFile(base+".md", []byte(r.page(filepath.Base(base))))}
	for _, p := range plots {
		errs = append(errs, discovery.ReplaceFile(base+"-"+p.name+".svg", []byte(p.draw(r.Rows))))
	}
	return errors.Join(errs...)
}

// page is what people read.
func (r results) page(base string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Discovery: what it costs to let many followers know who leads
Written by `+"`make bench-discovery`"+`: real etcd and kube-apiserver, two real sidecars, followers with a TCP connection each (and TLS, to the API server), all on one machine (%s). A program
writes the lock as Flink 2.3 writes it. What the API server uses is above what it uses for the same lock without followers (the rows "none"). Sidecars: CPU of both, memory of the
larger one. A change counts from the write after which Flink's lock holds both addresses of the new leader, REST and RPC. "saturated": the machine had under a tenth of its CPU left, so times say more
about it than about the source. "missed": a follower never heard of a leader.

%s

`, r.Machine, r.meaning())
	b.WriteString("| followers | source | retry-period s | requests/s | events/s | API CPU s | API RSS MiB | sidecar CPU s | sidecar RSS MiB | followers read kB/s | change p50 ms | p99 ms | max ms | missed | |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, one := range r.sorted() {
		note := ""
		if one.Saturated {
			note = "saturated"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %d | %s |\n",
			number(float64(one.Followers)), one.Source, number(one.RetryPeriod), number(one.Requests), number(one.Events), number(one.APICPU), number(one.APIRSS),
			number(one.SidecarCPU), number(one.SidecarRSS), number(one.Bytes/1000), number(one.P50), number(one.P99), number(one.Max), one.Missed, note)
	}
	b.WriteString("\n")
	for _, p := range plots {
		fmt.Fprintf(&b, "![%s](%s-%s.svg)\n", p.title, base, p.name)
	}
	return b.String()
}

// number has as many digits as mean something.
func number(x float64) string {
	switch {
	case x >= 1000 || x <= -1000:
		text := strconv.Itoa(int(x + 0.5))
		return text[:len(text)-3] + "," + text[len(text)-3:]
	case x >= 100 || x <= -100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(math.Round(x*100)/100, 'f', -1, 64)
}

// none is number for a difference that is nothing but noise if it is negative.
func none(x float64) string { return number(max(0, x)) }

func (r results) sorted() []row {
	rows := slices.Clone(r.Rows)
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.Followers, b.Followers), cmp.Compare(place(a), place(b)), -cmp.Compare(a.RetryPeriod, b.RetryPeriod))
	})
	return rows
}

// place is where a source stands in the list.
func place(r row) int {
	return slices.IndexFunc(sources, func(s source) bool { return s.name == r.Source })
}

// meaning says in three sentences what the rows mean for a user, once there are
// enough of them.
func (r results) meaning() string {
	find := func(name string, followers int) (row, bool) {
		i := slices.IndexFunc(r.Rows, func(one row) bool { return one.Source == name && one.Followers == followers })
		if i < 0 {
			return row{}, false
		}
		return r.Rows[i], true
	}
	least, most := 0, 0
	for _, one := range r.Rows {
		if one.Source == "sidecar" {
			most = max(most, one.Followers)
			if least == 0 || one.Followers < least {
				least = one.Followers
			}
		}
	}
	few, _ := find("sidecar", least)
	many, any := find("sidecar", most)
	watch, watched := find("lock-1s", most)
	var poll row // the largest: so many may poll that the server does not carry them
	for _, one := range r.Rows {
		if one.Source == "poll" && one.Followers >= poll.Followers {
			poll = one
		}
	}
	polled := poll.Followers > 0
	if !any || !watched || !polled {
		return "Not all sources are measured yet."
	}
	return fmt.Sprintf(`- With %s followers at the sidecars the API server sends %s events/s and uses %s s of CPU in %s s (%s events/s and %s s with %s followers); watching Flink's own lock at a retry-period of 1 s makes it %s events/s and %s s.
- The last of %s followers hears of a new leader after %s ms from a sidecar and after %s ms by a watch of the lock; of %s that poll every 5 s the last one hears after %s ms, and they cost %s requests/s for ever.
- A sidecar that carries half of them needs %s MiB, so where TaskManagers are many, let them follow the sidecars; where they are few, any way will do.`,
		number(float64(most)), none(many.Events), none(many.APICPU), number(many.Seconds), none(few.Events), none(few.APICPU), number(float64(least)),
		number(watch.Events), number(watch.APICPU),
		number(float64(most)), number(many.Max), number(watch.Max), number(float64(poll.Followers)), number(poll.Max), number(poll.Requests), number(many.SidecarRSS))
}
