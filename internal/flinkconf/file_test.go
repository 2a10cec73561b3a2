package flinkconf

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t testing.TB, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func texts(values map[string]Value) map[string]string {
	got := make(map[string]string, len(values))
	for key, value := range values {
		got[key] = value.Text
	}
	return got
}

// What GlobalConfiguration of Flink 1.18.1 and 1.20.3 makes of the same text.
func TestLegacyFileIsReadAsFlinkReadsIt(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "flink-conf.yaml", `# comment
jobmanager.rpc.address: file-host
rest.port : 8081
  indented.key:  v1  # trailing
no-space:value
colon.value: a: b:c
hash.value: abc#def
empty.value: 
quoted: "x y"
dup: 1
dup: 2
list: [a, b]
`)
	f, err := Load(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"colon.value": "a: b:c", "dup": "2", "hash.value": "abc", "indented.key": "v1",
		"jobmanager.rpc.address": "file-host", "list": "[a, b]", "quoted": `"x y"`, "rest.port": "8081",
	}
	if got := texts(f.Values); !maps.Equal(got, want) {
		t.Errorf("values = %v, want %v", got, want)
	}
	if got, want := f.Values["rest.port"].From, filepath.Join(dir, "flink-conf.yaml")+":3"; got != want {
		t.Errorf("rest.port is from %q, want %q", got, want)
	}
	warnings := strings.Join(f.Warnings, "\n")
	for _, part := range []string{":5: not", ":8: not", ":11: key dup was already set at"} {
		if !strings.Contains(warnings, part) {
			t.Errorf("warnings %q: want %q among them", warnings, part)
		}
	}
}

// What GlobalConfiguration of Flink 1.20.3 and 2.3.0 makes of the same text.
func TestStandardFileIsReadAsFlinkReadsIt(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "config.yaml", `jobmanager:
  rpc:
    address: file-host
    port: 6123
rest.port: 8081
high-availability:
  type: kubernetes
  cluster-id: abc
list: [a, "b;c", 3]
flow: {x: 1, y: {z: true}}
bool: yes
onoff: on
sexa: 1:30
empty: ""
date: 2001-01-01
quoted: "a: b"
multi: |
  line1
  line2
nested.flat:
  deeper.key: v
listofmaps:
  - a: 1
    b: 2
  - c
big: 12345678901234567890
underscore: 1_000
anchor: &x 5
alias: *x
again:
  b: 1
again.b: 2
base: &m {a: 1}
merged:
  <<: *m
  b: 2
`)
	f, err := Load(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"jobmanager.rpc.address": "file-host", "jobmanager.rpc.port": "6123", "rest.port": "8081",
		"high-availability.type": "kubernetes", "high-availability.cluster-id": "abc",
		"list": "[a, b;c, 3]", "flow.x": "1", "flow.y.z": "true", "bool": "yes", "onoff": "on", "sexa": "1:30",
		"empty": "", "date": "2001-01-01", "quoted": "a: b", "multi": "line1\nline2\n", "nested.flat.deeper.key": "v",
		"listofmaps": "[{a: 1, b: 2}, c]", "big": "12345678901234567890", "underscore": "1_000", "anchor": "5", "alias": "5",
		"again.b": "2", "base.a": "1", "merged.<<.a": "1", "merged.b": "2",
	}
	got := texts(f.Values)
	if !maps.Equal(got, want) {
		for key := range want {
			if got[key] != want[key] {
				t.Errorf("%s = %q, want %q", key, got[key], want[key])
			}
		}
		t.Errorf("values = %v, want %v", got, want)
	}
	if got, want := f.Values["jobmanager.rpc.port"].From, filepath.Join(dir, "config.yaml")+":4"; got != want {
		t.Errorf("jobmanager.rpc.port is from %q, want %q", got, want)
	}
}

// All of these stop Flink 2.3.0 as well.
func TestStandardFileRefused(t *testing.T) {
	for name, tt := range map[string]struct{ content, want string }{
		"a key twice":                 {"a: 1\nb: 2\na: 3\n", ":3: key a is already at line 1"},
		"a nested key twice":          {"x:\n  a: 1\n  a: 2\n", ":3: key x.a is already at line 2"},
		"two values on one line":      {"a: b: c\n", ":1: mapping values are not allowed"},
		"a tab":                       {"a:\n\tb: 1\n", ":2: found character that cannot start any token"},
		"no mapping":                  {"hello\n", ":1: not a mapping"},
		"a list":                      {"[a]\n", ":1: not a mapping"},
		"two documents":               {"a: 1\n---\nb: 2\n", ": a second YAML document"},
		"a key that is a number":      {"a:\n  7: x\n", ":2: key a.7 is not a string"},
		"a key without a value":       {"a: 1\nb:\n", ":2: key b: there is no value"},
		"an anchor without a value":   {"a: *x\n", "unknown anchor"},
		"an unclosed quotation":       {"a: \"x\nb: 1\n", "config.yaml"},
		"an anchor that holds itself": {"a: &x [*x]\n", "config.yaml"},
		"aliases that multiply":       {bomb(), "the file is too large"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "config.yaml", tt.content)
			f, err := Load(dir, 2)
			if err == nil {
				t.Fatalf("values = %v, want an error", f.Values)
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), filepath.Join(dir, "config.yaml")) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q: want one line with the path and %q", err, tt.want)
			}
		})
	}
}

// bomb is a few lines that stand for 10 to the power of 12 values.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 x\n")
	for i := range 12 {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	return b.String()
}

func TestEmptyStandardFile(t *testing.T) {
	for name, content := range map[string]string{"no byte": "", "comments": "# x\n", "an empty document": "---\n", "null": "~\n"} {
		dir := t.TempDir()
		write(t, dir, "config.yaml", content)
		if f, err := Load(dir, 0); err != nil || len(f.Values) != 0 {
			t.Errorf("%s: values = %v, %v, want none", name, f.Values, err)
		}
	}
}

func TestWhichFileIsRead(t *testing.T) {
	const legacy, standard = "high-availability: zookeeper\n", "high-availability: kubernetes\n"
	for name, tt := range map[string]struct {
		legacy, standard string
		major            int
		want, warning    string
	}{
		"the old one alone":                     {legacy, "", 0, "zookeeper", ""},
		"the old one alone with Flink 2":        {legacy, "", 2, "zookeeper", ""},
		"the new one alone":                     {"", standard, 0, "kubernetes", ""},
		"both with Flink 1":                     {legacy, standard, 1, "zookeeper", ""},
		"both with Flink 2":                     {legacy, standard, 2, "kubernetes", ""},
		"both without a version":                {legacy, standard, 0, "zookeeper", "differ in high-availability"},
		"both, of one mind":                     {legacy, legacy, 0, "zookeeper", ""},
		"both, and the new one is broken":       {legacy, "a: b: c\n", 0, "zookeeper", "mapping values"},
		"both differ in what is not used":       {legacy, legacy + "parallelism.default: 1\n", 0, "zookeeper", ""},
		"a broken one that Flink 1 never reads": {legacy, "a: b: c\n", 1, "zookeeper", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.legacy != "" {
				write(t, dir, "flink-conf.yaml", tt.legacy)
			}
			if tt.standard != "" {
				write(t, dir, "config.yaml", tt.standard)
			}
			f, err := Load(dir, tt.major)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Values["high-availability"].Text; got != tt.want {
				t.Errorf("high-availability = %q, want %q", got, tt.want)
			}
			if warnings := strings.Join(f.Warnings, "\n"); !strings.Contains(warnings, tt.warning) || (tt.warning == "") != (warnings == "") {
				t.Errorf("warnings = %q, want %q", warnings, tt.warning)
			}
		})
	}
}

func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir, 0); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Errorf("Load of an empty directory: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "config.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, 0); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of a directory: %v, want another error", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a: 1\nb:\n  c: [1, {d: e}]\n")
	f.Add("a: &x {b: *x}\n")
	f.Add("? [a]\n: b\n")
	f.Fuzz(func(t *testing.T, in string) {
		if _, err := parseLegacy("f", []byte(in)); err != nil {
			t.Errorf("parseLegacy(%q): %v", in, err)
		}
		if _, err := parseStandard("f", []byte(in)); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("parseStandard(%q): %q is more than one line", in, err)
		}
	})
}
