package health

import (
	"bytes"
	"fmt"
	"net/http"
	"time"
)

// Handler answers one probe: 200 if every check passes, else 503 with one line
// a check, "[+]name ok" or "[-]name: reason". With ?verbose it tells the lines
// of a passing probe as well. OPTIONS answers as GET does, without a body: some
// load balancers check by it.
func Handler(inputs func() Inputs, probe Probe) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const allowed = "GET, HEAD, OPTIONS"
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
		default:
			w.Header().Set("Allow", allowed)
			http.Error(w, "read only", http.StatusMethodNotAllowed)
			return
		}
		report := probe(inputs(), time.Now())
		status, body := http.StatusOK, []byte("ok\n")
		if !report.OK() {
			status = http.StatusServiceUnavailable
		}
		if status != http.StatusOK || r.URL.Query().Has("verbose") {
			body = report.lines()
		}
		w.Header().Set("Cache-Control", "no-store")
		if r.Method == http.MethodOptions {
			w.Header().Set("Allow", allowed)
			w.WriteHeader(status)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		w.Write(body) //nolint:errcheck // the prober has gone, nobody to tell
	})
}

func (r Report) lines() []byte {
	var b bytes.Buffer
	for _, c := range r {
		if c.OK {
			fmt.Fprintf(&b, "[+]%s ok\n", c.Name)
		} else {
			fmt.Fprintf(&b, "[-]%s: %s\n", c.Name, c.Reason)
		}
	}
	return b.Bytes()
}

// Failing returns the first check that failed, and whether there is one.
func (r Report) Failing() (Check, bool) {
	for _, c := range r {
		if !c.OK {
			return c, true
		}
	}
	return Check{}, false
}
