package follow

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"flink-ha-sidecar/discovery"
)

// Formats are those in which an address is written.
var Formats = []string{"json", "env", "url", "hostport"}

// Write is l in one of Formats, as text that ends with a line break: json is the
// document, env one variable a line, url and hostport the REST endpoint.
func Write(l discovery.Leader, format string) (string, error) {
	switch format {
	case "json":
		raw, err := json.Marshal(l)
		return string(raw) + "\n", err
	case "env":
		return strings.Join(Variables(l), "\n") + "\n", nil
	case "url":
		return l.RESTURL + "\n", nil
	case "hostport":
		return hostport(l) + "\n", nil
	}
	return "", fmt.Errorf("%q is none of %s", format, strings.Join(Formats, ", "))
}

// Variables tell l to a command, as NAME=value; all of them are set, and empty where
// nothing is known.
func Variables(l discovery.Leader) []string {
	rpc, epoch := "", ""
	if l.RPCHost != "" {
		rpc = net.JoinHostPort(l.RPCHost, strconv.Itoa(int(l.RPCPort)))
	}
	if l.Known() {
		epoch = l.Epoch.Generation + "/" + strconv.FormatUint(l.Epoch.Counter, 10)
	}
	return []string{
		"FLINK_LEADER_REST_URL=" + l.RESTURL, "FLINK_LEADER_REST=" + hostport(l), "FLINK_LEADER_RPC=" + rpc,
		"FLINK_LEADER_SESSION=" + l.Session, "FLINK_LEADER_POD=" + l.Pod, "FLINK_LEADER_EPOCH=" + epoch,
	}
}

func hostport(l discovery.Leader) string {
	u, err := url.Parse(l.RESTURL)
	if err != nil {
		return ""
	}
	return u.Host
}
