package standin

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Serve opens the two ports of a JobManager at host, as far as it is asked for
// signs of life: REST with /config, and RPC, which closes a connection that has
// nothing to say. Both go on until the process ends.
func Serve(host string) error {
	rest, err := net.Listen("tcp", net.JoinHostPort(host, "8081"))
	if err != nil {
		return fmt.Errorf("open REST port: %w", err)
	}
	rpc, err := net.Listen("tcp", net.JoinHostPort(host, "6123"))
	if err != nil {
		return fmt.Errorf("open RPC port: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/config", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, `{"flink-version":"stand-in"}`)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(rest) //nolint:errcheck // it goes on until the process ends
	go func() {
		for {
			conn, err := rpc.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(io.Discard, conn) // until the other side is done
			}()
		}
	}()
	return nil
}
