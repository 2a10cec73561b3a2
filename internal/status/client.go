package status

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Path is where a sidecar serves its document.
const Path = "/v1/status"

// maxDocument bounds what is read of an answer.
const maxDocument = 1 << 20

// Fetch asks the sidecar at address ("host:port", or ":port" for this machine).
func Fetch(ctx context.Context, address string) (Document, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return Document{}, fmt.Errorf("address of the sidecar: %w", err)
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: Path}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return Document{}, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return Document{}, fmt.Errorf("ask the sidecar: %w", err)
	}
	defer res.Body.Close() // read to its end or given up
	if res.StatusCode != http.StatusOK {
		return Document{}, fmt.Errorf("ask the sidecar at %s: it answers %s", u.Host, res.Status)
	}
	var d Document
	if err := json.NewDecoder(io.LimitReader(res.Body, maxDocument)).Decode(&d); err != nil {
		return Document{}, fmt.Errorf("read the answer of the sidecar at %s: %w", u.Host, err)
	}
	return d, nil
}
