package flinkconf

import (
	"os"
	"strings"
)

const (
	fromCommandLine = "the command line"
	fromProperties  = "FLINK_PROPERTIES"
	fromDefault     = "Flink's default"
)

// overlay puts environment and command line over the values of the file:
// the command line wins over FLINK_PROPERTIES, that over JOB_MANAGER_RPC_ADDRESS,
// that over the file. The file's map is not changed.
func overlay(file File, c commandLine, env map[string]string) map[string]Value {
	merged := make(map[string]Value, len(file.Values))
	for key, value := range file.Values {
		merged[key] = value
	}
	// The official image writes it into its copy of the file.
	if host := env["JOB_MANAGER_RPC_ADDRESS"]; host != "" {
		merged[keyRPCAddress] = Value{Text: host, From: "JOB_MANAGER_RPC_ADDRESS"}
	}
	for _, p := range parseProperties(env["FLINK_PROPERTIES"], env) {
		merged[p.key] = Value{Text: p.value, From: fromProperties}
	}
	for _, p := range c.properties {
		merged[p.key] = Value{Text: p.value, From: fromCommandLine + " (-D)"}
	}
	if c.host != "" {
		merged[keyRPCAddress] = Value{Text: c.host, From: fromCommandLine + " (--host)"}
	}
	if c.restPort != "" {
		merged[keyRESTPort] = Value{Text: c.restPort, From: fromCommandLine + " (--webui-port)"}
	}
	// KubernetesEntrypointUtils sets both last of all, with any HA service.
	if ip := env["_POD_IP_ADDRESS"]; ip != "" && strings.HasPrefix(c.mainClass, kubernetesEntryPoints) && haActive(merged) {
		merged[keyRPCAddress] = Value{Text: ip, From: "_POD_IP_ADDRESS"}
		merged[keyRESTAddress] = Value{Text: ip, From: "_POD_IP_ADDRESS"}
	}
	return merged
}

// parseProperties reads FLINK_PROPERTIES, lines of "key: value" with references
// to the environment, as the official image's docker-entrypoint.sh does: that of
// Flink 2 drops every blank in a line, that of Flink 1 appends the text to
// flink-conf.yaml.
func parseProperties(text string, env map[string]string) []property {
	var properties []property
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		key, value, found := strings.Cut(line, ":")
		key = strings.TrimSpace(key)
		value = strings.TrimSpace(os.Expand(value, func(name string) string { return env[name] }))
		if found && key != "" && value != "" {
			properties = append(properties, property{key, value})
		}
	}
	return properties
}
