package follower

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"strings"

	"go.uber.org/zap"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"flink-ha-sidecar/discovery/follow"
	"flink-ha-sidecar/discovery/kube"
	"flink-ha-sidecar/internal/apiserver"
)

// newSource settles where to hear from.
func newSource(s Settings, log *zap.Logger) (follow.Source, error) {
	here := len(s.Sidecars) > 0 || s.Service != ""
	kind := s.Source
	switch {
	case kind == "" && here:
		kind = "sidecar"
	case kind == "":
		kind = "watch"
	}
	switch kind {
	case "sidecar":
		if !here {
			return nil, refuse("--source sidecar: name them by --sidecars or --service")
		}
		return newSidecars(s)
	case "watch", "poll":
		if here {
			return nil, refuse("--source %s: --sidecars and --service are for --source sidecar", kind)
		}
		return newConfigMap(s, kind, log)
	}
	return nil, refuse("--source %q is none of watch, poll, sidecar", s.Source)
}

func newSidecars(s Settings) (follow.Source, error) {
	if len(s.Sidecars) > 0 && s.Service != "" {
		return nil, refuse("--sidecars and --service: give one of them")
	}
	source := &follow.Sidecars{}
	for _, text := range s.Sidecars {
		u, err := base("--sidecars", text)
		if err != nil {
			return nil, err
		}
		source.List = append(source.List, u.String())
	}
	if s.Service != "" {
		u, err := base("--service", s.Service)
		if err != nil {
			return nil, err
		}
		source.Service = u
	}
	if s.CAFile != "" {
		raw, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, refuse("--ca-file: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(raw) {
			return nil, refuse("--ca-file %s: there is no certificate in it", s.CAFile)
		}
		source.TLS = &tls.Config{RootCAs: pool}
	}
	return source, nil
}

// base reads host:port or a URL.
func base(flag, text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
		return nil, refuse("%s %q: give host:port, or http(s)://host:port", flag, text)
	}
	if _, port, err := net.SplitHostPort(u.Host); err != nil || port == "" {
		return nil, refuse("%s %q: the port is missing", flag, text)
	}
	u.Path = ""
	return u, nil
}

func newConfigMap(s Settings, kind string, log *zap.Logger) (follow.Source, error) {
	if s.ClusterID == "" {
		return nil, refuse("--source %s: give --cluster-id; or follow the sidecars with --sidecars or --service", kind)
	}
	config, namespace, err := access(s.Kubeconfig)
	if err != nil {
		return nil, err
	}
	if s.Namespace != "" {
		namespace = s.Namespace
	}
	client, err := apiserver.New(config)
	if err != nil {
		return nil, refuse("%w", err)
	}
	ref := apiserver.Ref{Namespace: namespace, Resource: "configmaps", Name: kube.ObjectName(s.ClusterID)}
	log.Info("following", zap.String("source", kind), zap.Stringer("object", ref), zap.String("api_server", config.Host))
	if kind == "poll" {
		return &follow.Poll{Client: client, Ref: ref, Every: s.Interval}, nil
	}
	return &follow.Watch{Client: client, Ref: ref}, nil
}

// access finds the API server, and the namespace that goes with it: in a pod its own.
func access(file string) (*rest.Config, string, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = file
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil)
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, "", refuse("no way to the API server: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, "", refuse("no way to the API server: %w", err)
	}
	return config, namespace, nil
}
