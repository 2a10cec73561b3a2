package flinkconf

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"flink-ha-sidecar/leader"
)

const (
	appClass    = "org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint"
	nativeClass = "org.apache.flink.kubernetes.entrypoint.KubernetesApplicationClusterEntrypoint"
)

// fileOf is a file with one setting a line, "key: value".
func fileOf(t testing.TB, lines ...string) File {
	t.Helper()
	f, err := parseLegacy("conf", []byte(strings.Join(lines, "\n")))
	if err != nil || len(f.Warnings) != 0 {
		t.Fatalf("%q: %v, %v", lines, err, f.Warnings)
	}
	return f
}

func TestDefaults(t *testing.T) {
	c, err := Effective(File{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.HA.Value != HANone || c.HA.IsSet() || c.ClusterID.IsSet() || c.ClusterID.Value != "" {
		t.Errorf("HA = %v, cluster id = %v", c.HA, c.ClusterID)
	}
	if c.LeaseDuration.Value != 15*time.Second || c.RenewDeadline.Value != 15*time.Second || c.RetryPeriod.Value != 5*time.Second {
		t.Errorf("timings = %v, %v, %v", c.LeaseDuration, c.RenewDeadline, c.RetryPeriod)
	}
	if c.Namespace.Value != "default" || c.RPCPort.Value != 6123 || c.RESTPort.Value != 8081 || c.RESTOverTLS.Value {
		t.Errorf("config = %+v", c)
	}
	if c.ZooKeeper.Root.Value != "/flink" || c.ZooKeeper.ClusterID.Value != "/default" || c.ZooKeeper.SessionTimeout.Value != time.Minute {
		t.Errorf("ZooKeeper = %+v", c.ZooKeeper)
	}
	if got, want := c.LeaseDuration.String(), "high-availability.kubernetes.leader-election.lease-duration: 15 s (Flink's default)"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
}

func TestHAType(t *testing.T) {
	for name, tt := range map[string]struct {
		lines []string
		want  HA
		warns bool
	}{
		"the new key":                          {[]string{"high-availability.type: kubernetes"}, HAKubernetes, false},
		"the old key":                          {[]string{"high-availability: zookeeper"}, HAZooKeeper, false},
		"the oldest key":                       {[]string{"recovery.mode: zookeeper"}, HAZooKeeper, false},
		"none under the oldest key":            {[]string{"recovery.mode: standalone"}, HANone, false},
		"any case":                             {[]string{"high-availability.type: KuberNetes"}, HAKubernetes, false},
		"NONE":                                 {[]string{"high-availability.type: NONE"}, HANone, false},
		"the factory class":                    {[]string{"high-availability: org.apache.flink.kubernetes.highavailability.KubernetesHaServicesFactory"}, HAKubernetes, false},
		"Ververica Platform's":                 {[]string{"high-availability: vvp-kubernetes"}, HAVVP, false},
		"another class":                        {[]string{"high-availability.type: com.example.Factory"}, HAOther, false},
		"a misspelt name is a class for Flink": {[]string{"high-availability.type: kubernets"}, HAOther, false},
		"the new key before the old":           {[]string{"high-availability: zookeeper", "high-availability.type: kubernetes"}, HAKubernetes, true},
		"both keys, of one mind":               {[]string{"high-availability: Kubernetes", "high-availability.type: kubernetes"}, HAKubernetes, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Effective(fileOf(t, tt.lines...), nil, nil)
			if err != nil || c.HA.Value != tt.want {
				t.Errorf("HA = %v, %v, want %v", c.HA, err, tt.want)
			}
			if (len(c.Warnings) > 0) != tt.warns {
				t.Errorf("warnings = %q", c.Warnings)
			}
		})
	}
}

func TestPrecedence(t *testing.T) {
	file := fileOf(t, "jobmanager.rpc.address: file", "kubernetes.cluster-id: file", "rest.port: 1", "high-availability.type: kubernetes")
	for name, tt := range map[string]struct {
		args     []string
		env      map[string]string
		rpc, id  string
		rest     uint16
		restAddr string
	}{
		"the file alone": {nil, nil, "file", "file", 1, "file"},
		"FLINK_PROPERTIES over the file": {
			nil, map[string]string{"FLINK_PROPERTIES": "kubernetes.cluster-id: env\nrest.port:2\n"}, "file", "env", 2, "file",
		},
		"FLINK_PROPERTIES with references": {
			nil, map[string]string{"FLINK_PROPERTIES": "kubernetes.cluster-id: ${NAME}-x", "NAME": "n"}, "file", "n-x", 1, "file",
		},
		"the image's own variable": {
			nil, map[string]string{"JOB_MANAGER_RPC_ADDRESS": "image"}, "image", "file", 1, "image",
		},
		"-D over FLINK_PROPERTIES": {
			[]string{"-Dkubernetes.cluster-id=cli", "-D", "rest.port=3"}, map[string]string{"FLINK_PROPERTIES": "kubernetes.cluster-id: env"}, "file", "cli", 3, "file",
		},
		"--host over -D": {
			[]string{"--host", "host", "-Djobmanager.rpc.address=cli"}, nil, "host", "file", 1, "host",
		},
		"short options": {[]string{"-h", "10.0.0.5", "-r", "4"}, nil, "10.0.0.5", "file", 4, "10.0.0.5"},
		"the pod's IP is for native Kubernetes only": {
			nil, map[string]string{"_POD_IP_ADDRESS": "10.0.0.6"}, "file", "file", 1, "file",
		},
	} {
		t.Run(name, func(t *testing.T) {
			argv := append([]string{"java", "-cp", "x", "-Drest.port=99", appClass, "--configDir", "/conf"}, tt.args...)
			c, err := Effective(file, argv, tt.env)
			if err != nil {
				t.Fatal(err)
			}
			if c.RPCAddress.Value != tt.rpc || c.ClusterID.Value != tt.id || c.RESTPort.Value != tt.rest || c.RESTAddress.Value != tt.restAddr {
				t.Errorf("%v, %v, %v, %v", c.RPCAddress, c.ClusterID, c.RESTPort, c.RESTAddress)
			}
		})
	}
	if got := texts(file.Values)["kubernetes.cluster-id"]; got != "file" {
		t.Errorf("the file's own value became %q", got)
	}
}

func TestNativeKubernetesTakesThePodsIP(t *testing.T) {
	file := fileOf(t, "jobmanager.rpc.address: my-cluster.default", "rest.address: my-cluster-rest", "high-availability.type: kubernetes")
	env := map[string]string{"_POD_IP_ADDRESS": "10.0.0.6"}
	c, err := Effective(file, []string{"java", nativeClass, "-Djobmanager.rpc.address=cli"}, env)
	if err != nil || c.RPCAddress.Value != "10.0.0.6" || c.RESTAddress.Value != "10.0.0.6" || c.RPCAddress.From != "_POD_IP_ADDRESS" {
		t.Errorf("%v, %v, %v", c.RPCAddress, c.RESTAddress, err)
	}
	c, err = Effective(file, []string{"java", nativeClass, "-Dhigh-availability.type=none"}, env)
	if err != nil || c.RPCAddress.Value != "my-cluster.default" {
		t.Errorf("without HA: %v, %v", c.RPCAddress, err)
	}
}

// The results are those of the parsers in flink-dist 1.18.1, which 2.3.0 shares
// but for --host and --webui-port.
func TestCommandLine(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want map[string]string
	}{
		"all ways to write a property":    {[]string{"-Dk1=v1", "-D", "k2=v2", "-Dk3", "-D", "k4=a=b", "-D", "k5", "v5"}, map[string]string{"k1": "v1", "k2": "v2", "k3": "true", "k4": "a=b", "k5": "v5"}},
		"an empty value":                  {[]string{"-Dk="}, map[string]string{"k": ""}},
		"the job's arguments":             {[]string{"-Da=1", "job", "-Da=2"}, map[string]string{"a": "1"}},
		"an unknown option ends Flink's":  {[]string{"--foo", "-Da=1"}, map[string]string{}},
		"options of Flink with values":    {[]string{"--job-classname", "X", "-jid", "00", "-s", "s3://x", "-n", "-x", "cluster", "-Da=1"}, map[string]string{"a": "1"}},
		"an option with its value inside": {[]string{"--configDir=/conf", "-Da=1"}, map[string]string{"a": "1"}},
		"-D at the very end":              {[]string{"-Da=1", "-D"}, map[string]string{"a": "1"}},
		"the last one counts":             {[]string{"-Da=1", "-Da=2"}, map[string]string{"a": "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			argv := append([]string{"/opt/java/bin/java", "-Xmx1g", "-Dlog.file=x", "--add-opens", "java.base/java.util=ALL-UNNAMED", "-classpath", "/opt/flink/lib/*", appClass}, tt.args...)
			if got := texts(overlay(File{}, parseCommandLine(argv), nil)); !maps.Equal(got, tt.want) {
				t.Errorf("properties = %v, want %v", got, tt.want)
			}
		})
	}
	if got := ConfigDir([]string{"java", appClass, "--configDir", "/opt/flink/conf", "-Da=b"}); got != "/opt/flink/conf" {
		t.Errorf("ConfigDir = %q", got)
	}
	if c := parseCommandLine([]string{"java"}); c.mainClass != "" || len(c.properties) != 0 {
		t.Errorf("a bare java: %+v", c)
	}
}

func TestMajorVersion(t *testing.T) {
	for name, tt := range map[string]struct {
		argv []string
		want int
	}{
		"Flink 2":            {[]string{"java", "-classpath", "/opt/flink/lib/flink-cep-2.3.0.jar:/opt/flink/lib/flink-dist-2.3.0.jar:", appClass}, 2},
		"Flink 1 with Scala": {[]string{"java", "-cp", "lib/flink-dist-1.18.1.jar", appClass}, 1},
		"a wildcard":         {[]string{"java", "-cp", "lib/*", appClass}, 0},
		"another argument":   {[]string{"java", appClass, "flink-dist-1.18.1.jar"}, 0},
	} {
		if got := MajorVersion(tt.argv); got != tt.want {
			t.Errorf("%s: MajorVersion = %d, want %d", name, got, tt.want)
		}
	}
}

func TestRefusedValuesNameKeyValueAndPlace(t *testing.T) {
	for name, tt := range map[string]struct{ line, arg, want string }{
		"a unit Flink does not know": {"high-availability.kubernetes.leader-election.lease-duration: 15 fortnights", "",
			`read high-availability.kubernetes.leader-election.lease-duration "15 fortnights" (conf:1): unknown unit "fortnights"`},
		"a port on the command line": {"a: b", "-Drest.port=http", `read rest.port "http" (the command line (-D)): "http" is not a port`},
		"a range that runs backwards": {"high-availability.jobmanager.port: 50100-50000", "",
			`read high-availability.jobmanager.port "50100-50000" (conf:1): range "50100-50000" ends before it begins`},
		"a boolean": {"security.ssl.rest.enabled: yes", "", `read security.ssl.rest.enabled "yes" (conf:1): neither true nor false`},
		"an empty HA type on the command line": {"a: b", "-Dhigh-availability.type=",
			`read high-availability.type "" (the command line (-D)): it is empty`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Effective(fileOf(t, tt.line), []string{"java", appClass, tt.arg}, nil)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error = %v, want %s", err, tt.want)
			}
		})
	}
}

// As ClusterEntrypoint.getRPCPortRange of Flink 1.18.1, 1.20.3 and 2.3.0 answers.
func TestRPCPortsByHAService(t *testing.T) {
	fixed, ranges := []leader.PortRange{{Low: 7000, High: 7000}}, []leader.PortRange{{Low: 50000, High: 50100}, {Low: 50200, High: 50200}}
	for ha, want := range map[string][]leader.PortRange{
		"none": fixed, "kubernetes": fixed, "zookeeper": ranges, "com.example.Factory": fixed,
	} {
		c, err := Effective(fileOf(t, "jobmanager.rpc.port: 7000", "high-availability.jobmanager.port: 50000-50100,50200", "high-availability.type: "+ha), nil, nil)
		if err != nil || !slices.Equal(c.RPCPorts(), want) {
			t.Errorf("%s: %v, %v, want %v", ha, c.RPCPorts(), err, want)
		}
	}
	for _, line := range []string{"high-availability.type: zookeeper", "jobmanager.rpc.port: 0"} {
		c, err := Effective(fileOf(t, line), nil, nil)
		if err != nil || len(c.RPCPorts()) != 0 {
			t.Errorf("%s: %v, %v, want any port", line, c.RPCPorts(), err)
		}
	}
}

func TestZooKeeperSettings(t *testing.T) {
	c, err := Effective(fileOf(t, "high-availability: zookeeper", "high-availability.zookeeper.quorum: a:2181,b:2181",
		"high-availability.zookeeper.path.namespace: /one", "high-availability.zookeeper.client.session-timeout: 20000",
		"high-availability.zookeeper.path.jobgraphs: /j", "zookeeper.sasl.disable: true"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	z := c.ZooKeeper
	if z.Quorum.Value != "a:2181,b:2181" || z.ClusterID.Value != "/one" || z.SessionTimeout.Value != 20*time.Second {
		t.Errorf("ZooKeeper = %+v", z)
	}
	want := map[string]string{
		"high-availability.zookeeper.quorum": "a:2181,b:2181", "high-availability.zookeeper.path.namespace": "/one",
		"high-availability.zookeeper.client.session-timeout": "20000", "high-availability.zookeeper.path.jobgraphs": "/j", "zookeeper.sasl.disable": "true",
	}
	if got := texts(z.Raw); !reflect.DeepEqual(got, want) {
		t.Errorf("raw = %v, want %v", got, want)
	}
}

// The results are those of TimeUtils.parseDuration in flink-dist 2.3.0; 1.18.1
// refuses the ISO forms.
func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"15 s": 15 * time.Second, "15s": 15 * time.Second, "  15  s  ": 15 * time.Second, "15 SECONDS": 15 * time.Second,
		"PT15S": 15 * time.Second, "pt15s": 15 * time.Second, "PT1M30.5S": 90*time.Second + 500*time.Millisecond, "P1DT1H": 25 * time.Hour,
		"1 min": time.Minute, "1 m": time.Minute, "15000": 15 * time.Second, "1 d": 24 * time.Hour, "1 day": 24 * time.Hour, "1h": time.Hour,
		"250 ms": 250 * time.Millisecond, "5 millis": 5 * time.Millisecond, "3 µs": 3 * time.Microsecond, "5 micro": 5 * time.Microsecond, "0": 0,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "1.5 s", "-1 s", "s", "15 x", "P", "PT", "P1DT", "PT-1S", "99999999999999999999", "9223372036854775807 d", "P999999999999D"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
}

func TestParsePorts(t *testing.T) {
	for text, want := range map[string][]leader.PortRange{
		"0": nil, "6123": {{Low: 6123, High: 6123}}, "50000-50100, 50200": {{Low: 50000, High: 50100}, {Low: 50200, High: 50200}}, "0,6123": nil,
	} {
		if got, err := ParsePorts(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("ParsePorts(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "a", "1-", "65536", "2-1", "1,,2", "-1"} {
		if got, err := ParsePorts(text); err == nil {
			t.Errorf("ParsePorts(%q) = %v, want an error", text, got)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	f.Add("15 s")
	f.Add("PT1M30.5S")
	f.Fuzz(func(t *testing.T, in string) {
		if got, err := ParseDuration(in); err == nil && got < 0 {
			t.Errorf("ParseDuration(%q) = %v", in, got)
		}
	})
}
