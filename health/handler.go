package health

import (
	"bytes"
	"fmt"
	"net/http"
	"time"
)

// Handler answers one probe: 200 if every check passes, else 503 with one line
// a check, "[+]name ok" or "[-]name: reason". With ?verbose it tells the lines
// of a passing probe as well.
func Handler(inputs func() Inputs, evaluate func(Inputs, time.Time) Report) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "read only", http.StatusMethodNotAllowed)
			return
		}
		report := evaluate(inputs(), time.Now())
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if !report.OK() {
			w.WriteHeader(http.StatusServiceUnavailable)
		} else if !r.URL.Query().Has("verbose") {
			fmt.Fprintln(w, "ok")
			return
		}
		w.Write(report.lines()) //nolint:errcheck // the prober has gone, nobody to tell
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
