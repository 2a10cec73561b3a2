package leader

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	tests := map[string]struct {
		in      string
		host    string
		port    uint16
		literal bool
		text    string
	}{
		"the dispatcher of Flink 1.18 to 2.3":    {"pekko.tcp://flink@10.0.0.5:6123/user/rpc/dispatcher_1", "10.0.0.5", 6123, true, "10.0.0.5:6123"},
		"the dispatcher over TLS":                {"pekko.ssl.tcp://flink@10.0.0.5:6123/user/rpc/dispatcher_1", "10.0.0.5", 6123, true, "10.0.0.5:6123"},
		"the dispatcher before 1.18":             {"akka.tcp://flink@10.0.0.5:50010/user/rpc/resourcemanager_0", "10.0.0.5", 50010, true, "10.0.0.5:50010"},
		"the dispatcher before 1.18 over TLS":    {"akka.ssl.tcp://flink@10.0.0.5:50010/user/rpc/dispatcher_1", "10.0.0.5", 50010, true, "10.0.0.5:50010"},
		"the REST endpoint":                      {"http://10.0.0.5:8081", "10.0.0.5", 8081, true, "10.0.0.5:8081"},
		"the REST endpoint over TLS":             {"https://10.0.0.5:8081", "10.0.0.5", 8081, true, "10.0.0.5:8081"},
		"an IPv6 address in brackets":            {"pekko.tcp://flink@[fd00::5]:6123/user/rpc/dispatcher_1", "fd00::5", 6123, true, "[fd00::5]:6123"},
		"an IPv6 address on REST":                {"http://[::1]:8081", "::1", 8081, true, "[::1]:8081"},
		"a Service name is no literal":           {"pekko.tcp://flink@My-Cluster.default:6123/user/rpc/dispatcher_1", "my-cluster.default", 6123, false, "my-cluster.default:6123"},
		"a name that only looks like an address": {"http://10.0.0.5.example:8081", "10.0.0.5.example", 8081, false, "10.0.0.5.example:8081"},
		"digits with a leading zero are a name":  {"http://10.0.0.05:8081", "10.0.0.05", 8081, false, "10.0.0.05:8081"},
		"another user name":                      {"pekko.tcp://other@10.0.0.5:6123/x", "10.0.0.5", 6123, true, "10.0.0.5:6123"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseAddress(tt.in)
			if err != nil {
				t.Fatalf("ParseAddress(%q): %v", tt.in, err)
			}
			if got.Host != tt.host || got.Port != tt.port || got.IsIPLiteral() != tt.literal || got.String() != tt.text {
				t.Errorf("ParseAddress(%q) = %+v (%s, literal %t), want %s port %d literal %t", tt.in, got, got, got.IsIPLiteral(), tt.host, tt.port, tt.literal)
			}
			if tt.literal && got.IP != netip.MustParseAddr(tt.host) {
				t.Errorf("ParseAddress(%q).IP = %v, want %s", tt.in, got.IP, tt.host)
			}
		})
	}
}

func TestParseAddressRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":                      "",
		"a bare host and port":         "10.0.0.5:6123",
		"an endpoint without a host":   "pekko://flink/user/rpc/dispatcher_1",
		"a missing host":               "http://:8081",
		"a missing port":               "http://10.0.0.5",
		"port 0":                       "pekko.tcp://flink@10.0.0.5:0/user/rpc/dispatcher_1",
		"a port above 65535":           "http://10.0.0.5:65536",
		"a port that is no number":     "http://10.0.0.5:http",
		"another scheme":               "tcp://10.0.0.5:6123",
		"brackets around no address":   "http://[fd00::g]:8081",
		"a control character":          "http://10.0.0.5:8081\n",
		"IPv6 without brackets":        "http://fd00::5:8081",
		"a session ID before the text": "0000,http://10.0.0.5:8081",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ParseAddress(in); err == nil {
				t.Errorf("ParseAddress(%q) = %+v, want an error", in, got)
			} else if strings.Contains(err.Error(), "\n") {
				t.Errorf("ParseAddress(%q): error %q is more than one line", in, err)
			}
		})
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("pekko.tcp://flink@10.0.0.5:6123/user/rpc/dispatcher_1")
	f.Add("akka.ssl.tcp://flink@[fd00::5]:6123/user/rpc/dispatcher_1")
	f.Add("https://my-cluster.default:8081")
	f.Add("http://[fe80::1%25eth0]:8081")
	f.Fuzz(func(t *testing.T, in string) {
		a, err := ParseAddress(in)
		if err != nil {
			return
		}
		if a.Host == "" || a.Port == 0 {
			t.Errorf("ParseAddress(%q) = %+v: incomplete without an error", in, a)
		}
		if ip, err := netip.ParseAddr(a.Host); (err == nil) != a.IsIPLiteral() || ip != a.IP {
			t.Errorf("ParseAddress(%q) = %+v: host and IP disagree", in, a)
		}
		// host:port names the same place again, unless the host has characters
		// that a URL would need escaped.
		if strings.ContainsAny(a.Host, "%<>\"{}|\\^` ") {
			return
		}
		again, err := ParseAddress("http://" + a.String())
		if err != nil || again != a {
			t.Errorf("ParseAddress(%q) = %+v, but %q gives %+v, %v", in, a, a.String(), again, err)
		}
	})
}
