package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// Call asks the sidecar whose socket is at path: in is sent as JSON unless it is
// nil, the answer is read into out unless that is nil. ctx bounds all of it.
func Call(ctx context.Context, path, method, verb string, in, out any) error {
	return call(ctx, once(path), method, verb, in, out)
}

// call is Call with a client of the caller's.
func call(ctx context.Context, client *http.Client, method, verb string, in, out any) error {
	res, err := send(ctx, client, method, verb, in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the sidecar's answer: %w", err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("read the sidecar's answer: %w", err)
	}
	return nil
}

// once is a client for one request to the socket at path.
func once(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial(path)}}
}

// dial connects to the socket at path, whatever the address.
func dial(path string) func(ctx context.Context, _, _ string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
}

// send asks, and returns an answer that is 200.
func send(ctx context.Context, client *http.Client, method, verb string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("ask the sidecar: %w", err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://sidecar"+verb, body)
	if err != nil {
		return nil, fmt.Errorf("ask the sidecar: %w", err)
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the sidecar: %w", err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the sidecar's answer: %w", err)
	}
	if res.StatusCode == http.StatusConflict { // it has understood and will not
		return nil, errors.New(strings.TrimSpace(string(raw)))
	}
	return nil, fmt.Errorf("ask the sidecar: it answers %s: %s", res.Status, strings.TrimSpace(string(raw)))
}

// stream asks, and calls each with every line of the answer as it comes.
func stream(ctx context.Context, path, verb string, in any, each func(line []byte) error) error {
	res, err := send(ctx, once(path), http.MethodPost, verb, in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(io.LimitReader(res.Body, maxAnswer))
	for lines.Scan() {
		if err := each(lines.Bytes()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the sidecar's answer: %w", err)
	}
	return nil
}
