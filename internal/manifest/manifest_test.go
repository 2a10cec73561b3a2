package manifest_test

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/manifest"
)

func parse(t *testing.T, text string) *manifest.File {
	t.Helper()
	f, err := manifest.Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func written(t *testing.T, f *manifest.File) string {
	t.Helper()
	var b strings.Builder
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWhatNobodyChangesKeepsEveryByte(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":                        "",
		"comments alone":                 "# a\n\n---\n# b\n",
		"no newline at the end":          "a: 1\n---\nb:   2",
		"odd spacing":                    "a:   1\n\n\nb:\n    - x   # why\n---\n\n---\n- {c:  3}\n",
		"a marker with a comment":        "--- # first\na: 1\n---   \nb: 2\n",
		"a document on the marker":       "--- {a: 1}\n--- [b]\n",
		"carriage returns":               "a: 1\r\n---\r\nb: 2\r\n",
		"hyphens inside a block":         "a: |\n  ---\n  x\n---\nb: >-\n  ----\n  y\n",
		"an alias":                       "a: &x {b: 1}\nc: *x\n",
		"a marker at the very beginning": "---\na: 1\n",
		"a marker at the very end":       "a: 1\n---\n",
	} {
		f := parse(t, text)
		for _, d := range f.Documents {
			if d.Body() == nil {
				continue
			}
			if changed, err := d.Edit(func(*yaml.Node) error { return nil }); err != nil || changed {
				t.Errorf("%s: changed %v, error %v by doing nothing", name, changed, err)
			}
		}
		if got := written(t, f); got != text {
			t.Errorf("%s: %q became %q", name, text, got)
		}
	}
}

func TestAChangeKeepsCommentsOrderAndStyle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"two blanks, lists indented",
			"# head\nz: 1 # one\na:\n  # in a\n  list:\n    - \"x\"\n    - y\n---\nb: 2\n",
			"# head\nz: 1 # one\na:\n  # in a\n  list:\n    - \"x\"\n    - y\n  new: here\n---\nb: 2\n"},
		{"two blanks, lists not indented",
			"a:\n  list:\n  - 'x'\n",
			"a:\n  list:\n  - 'x'\n  new: here\n"},
		{"four blanks", "a:\n    b: 'x'\n", "a:\n    b: 'x'\n    new: here\n"},
		{"flow style", "a: {list: [x, y]}\n", "a: {list: [x, y], new: here}\n"},
		{"aliases are written out", "b: &x {c: 1}\na: *x\n", "b: {c: 1}\na: {c: 1, new: here}\n"},
		{"merge keys are written out", "b: &x\n  c: 1\n  d: 2\na:\n  <<: *x\n  c: 3\n", "b:\n  c: 1\n  d: 2\na:\n  c: 3\n  d: 2\n  new: here\n"},
		{"an empty mapping grows", "a: {}\n", "a:\n  new: here\n"},
		{"what is missing is made", "b: 1\n", "b: 1\na:\n  new: here\n"},
	} {
		f := parse(t, tt.text)
		changed, err := f.Documents[0].Edit(func(n *yaml.Node) error {
			a, err := manifest.Mapping(n, "a")
			if err != nil {
				return err
			}
			manifest.Set(a, "new", manifest.Scalar("here"))
			return nil
		})
		if err != nil || !changed {
			t.Errorf("%s: changed %v, error %v", tt.name, changed, err)
		}
		if got := written(t, f); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

func TestPruneRemovesWhatIsEmptyAndNothingElse(t *testing.T) {
	t.Parallel()
	f := parse(t, "a: {b: {c: []}}\nd: {e: {f: []}, g: 1}\nh: {i: 0}\n")
	_, err := f.Documents[0].Edit(func(n *yaml.Node) error {
		manifest.Prune(n, "a", "b", "c")
		manifest.Prune(n, "d", "e", "f")
		manifest.Prune(n, "h", "i")
		manifest.Prune(n, "not", "there")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := written(t, f), "d: {g: 1}\nh: {i: 0}\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWhatIsNoManifestIsRefusedByItsLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, says string }{
		{"no YAML", "a: 1\n---\nb: [\n", "x.yaml:"},
		{"a template", "a: 1\n---\nb: 2\nc: {{ .Values.x }}: y\n", "x.yaml:4: not YAML"},
		{"a second document without a marker", "a: 1\n...\nb: 2\n", "x.yaml:2: not YAML"},
	} {
		_, err := manifest.Parse("x.yaml", []byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line with %q", tt.name, err, tt.says)
		}
	}
	for _, tt := range []struct{ name, text, says string }{
		{"a key that stands twice", "a: 1\nb: 2\na: 3\n", `line 3: key "a" stands twice, first at line 1`},
		{"aliases without end", "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n" +
			"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n", "grow beyond all bounds"},
	} {
		_, err := parse(t, tt.text).Documents[0].Edit(func(*yaml.Node) error { return nil })
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.says)
		}
	}
}
