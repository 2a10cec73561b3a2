package lab

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

//go:embed pods/flink.yaml
var flinkInPods string

// podFlink are the folders of Flink's processes as the containers see them.
const (
	podStorage = "/flink"
	podConf    = "/opt/flink/conf"
	podJars    = "/opt/flink/lib"
	podJob     = "/opt/flink/usrlib"
)

// hostMount is a path of this machine that containers see under the same name.
type hostMount struct{ Name, Path string }

type podContainer struct {
	Image, Command, Memory string
	Host                   []hostMount
}

type podManifest struct {
	Config, Log4j           string
	Replicas                int
	JobManager, TaskManager podContainer
	Storage, Jars, Job      string
	Host                    []hostMount
}

// manifest renders what a cluster in pods consists of.
func (c *PodCluster) manifest(o PodOptions) ([]byte, error) {
	host, err := hostMounts(o.Flink.JDK)
	if err != nil {
		return nil, err
	}
	m := podManifest{
		Config: c.config(), Log4j: log4jProperties, Replicas: o.JobManagers,
		Storage: c.dir, Jars: o.Flink.Lib, Job: filepath.Dir(o.Flink.Job), Host: host,
	}
	m.JobManager = podContainer{Image: hostImage, Host: host, Memory: "900Mi", Command: c.command(
		"org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint", "--configDir", podConf,
		"-Djobmanager.rpc.address=$POD_IP", "-Drest.address=$POD_IP", "--job-classname", "Ticker", c.Settings.Ticks(),
	)}
	m.TaskManager = podContainer{Image: hostImage, Host: host, Memory: "1200Mi", Command: c.command(
		"org.apache.flink.runtime.taskexecutor.TaskManagerRunner", "--configDir", podConf, "-Dtaskmanager.host=$POD_IP",
	)}
	t, err := template.New("flink").Funcs(template.FuncMap{"indent": indent}).Parse(flinkInPods)
	if err != nil {
		return nil, fmt.Errorf("render manifests: %w", err)
	}
	var text bytes.Buffer
	if err := t.Execute(&text, m); err != nil {
		return nil, fmt.Errorf("render manifests: %w", err)
	}
	return text.Bytes(), nil
}

// config is the file that all of the cluster's processes read.
func (c *PodCluster) config() string {
	keys := c.Settings.keys()
	maps.Copy(keys, taskManagerKeys)
	maps.Copy(keys, map[string]string{
		"jobmanager.bind-host":              "0.0.0.0",
		"high-availability.jobmanager.port": "6123",
		"jobmanager.rpc.port":               "6123",
		"blob.server.port":                  "6124",
		"rest.bind-address":                 "0.0.0.0",
		"rest.port":                         "8081",
		"jobmanager.memory.process.size":    "900m",
		"taskmanager.bind-host":             "0.0.0.0",
	})
	maps.Copy(keys, c.Settings.Extra)
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		fmt.Fprintf(&text, "%s: %s\n", key, keys[key])
	}
	return text.String()
}

// command is the shell line that becomes the JVM. Each start has a name of its
// own, by which logs and ticks tell the runs of one container apart.
func (c *PodCluster) command(args ...string) string {
	run := "$POD_NAME.$START"
	jvm := append(c.Settings.jvm(podConf, podStorage+"/log/"+run+".log", "-Dlab.jobmanager="+run), args...)
	var line strings.Builder
	line.WriteString(`START=$(date +%s%3N); exec "` + c.Settings.Flink.JDK.Java() + `"`)
	for _, arg := range jvm {
		line.WriteString(` "` + arg + `"`)
	}
	return strconv.Quote(line.String()) // a YAML string in double quotes, too
}

// hostMounts are this machine's programs and the JDK. A distribution's JDK has
// its configuration below /etc.
func hostMounts(jdk JDK) ([]hostMount, error) {
	home, err := filepath.EvalSymlinks(jdk.home)
	if err != nil {
		return nil, fmt.Errorf("find JDK: %w", err)
	}
	mounts := []hostMount{{"usr", "/usr"}}
	if !strings.HasPrefix(home, "/usr/") || home != jdk.home && !strings.HasPrefix(jdk.home, "/usr/") {
		mounts = append(mounts, hostMount{"jdk", jdk.home})
	}
	for i, path := range []string{"/etc/ld.so.cache", "/etc/java-17-openjdk"} {
		if _, err := os.Stat(path); err == nil {
			mounts = append(mounts, hostMount{fmt.Sprintf("etc%d", i), path})
		}
	}
	return mounts, nil
}

func indent(n int, text string) string {
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+pad)
}
