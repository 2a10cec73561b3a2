package leader

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// addressSchemes are those of an RPC endpoint (Akka up to Flink 1.17, Pekko
// since 1.18, each with and without TLS) and of the REST endpoint.
var addressSchemes = []string{
	"pekko.tcp", "pekko.ssl.tcp", "akka.tcp", "akka.ssl.tcp", "http", "https",
}

// Address is where a JobManager can be reached, as it publishes it itself.
type Address struct {
	// Host is an IP address without brackets or a name in lower case.
	Host string
	// IP is Host if that is an IP literal; the zero Addr for a name.
	IP netip.Addr
	// Port is never 0.
	Port uint16
}

// IsIPLiteral says whether the host is an IP address. A name may stand for any
// JobManager of the cluster.
func (a Address) IsIPLiteral() bool { return a.IP.IsValid() }

// String is host:port, with brackets around an IPv6 address.
func (a Address) String() string {
	if strings.Contains(a.Host, ":") {
		return "[" + a.Host + "]:" + strconv.Itoa(int(a.Port))
	}
	return a.Host + ":" + strconv.Itoa(int(a.Port))
}

// ParseAddress reads an address in any form that a JobManager publishes:
// "pekko.tcp://flink@10.0.0.5:6123/user/rpc/dispatcher_1" and its relatives with
// akka and ssl, "http://10.0.0.5:8081", "https://[fd00::5]:8081".
func ParseAddress(published string) (Address, error) {
	u, err := url.Parse(published)
	if err != nil {
		// The error of net/url repeats the text, without a bound.
		return Address{}, fmt.Errorf("parse address %.200q: not a URL", published)
	}
	if !slices.Contains(addressSchemes, u.Scheme) {
		return Address{}, fmt.Errorf("parse address %.200q: unknown scheme %q", published, u.Scheme)
	}
	host := strings.ToLower(u.Hostname())
	if host == "" {
		return Address{}, fmt.Errorf("parse address %.200q: no host", published)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 {
		return Address{}, fmt.Errorf("parse address %.200q: no port", published)
	}
	a := Address{Host: host, Port: uint16(port)}
	if ip, err := netip.ParseAddr(host); err == nil {
		a.IP = ip
	} else if strings.Contains(host, ":") {
		return Address{}, fmt.Errorf("parse address %.200q: %q is no IPv6 address", published, host)
	}
	return a, nil
}
