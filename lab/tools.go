package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// tool is a program built from source, pinned in a module under lab/tools. Each
// has a module of its own, since their dependencies do not agree on versions.
type tool struct {
	name    string // of the binary and of the cache's entry
	folder  string // below lab/tools
	module  string // whose version names the entry
	pkg     string
	minutes string // what it takes with nothing built yet, on two cores
	env     []string
}

var (
	kubeAPIServer = kubernetesTool("kube-apiserver", "about 5 minutes")
	etcd          = tool{"etcd", "etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3", "about 1 minute", nil}
	kubelet       = kubernetesTool("kubelet", "about 4 minutes")
	kubeScheduler = kubernetesTool("kube-scheduler", "about 1 minute")
	kubeManager   = kubernetesTool("kube-controller-manager", "about 2 minutes")
	kubeProxy     = kubernetesTool("kube-proxy", "about 1 minute")
	coredns       = tool{"coredns", "coredns", "github.com/coredns/coredns", ".", "about 2 minutes", static}
	golangciLint  = tool{"golangci-lint", "lint", "github.com/golangci/golangci-lint/v2", "github.com/golangci/golangci-lint/v2/cmd/golangci-lint", "about 3 minutes", nil}
)

func kubernetesTool(name, minutes string) tool {
	return tool{name, "kubernetes", "k8s.io/kubernetes", "k8s.io/kubernetes/cmd/" + name, minutes, nil}
}

// ControlPlane builds what [StartControlPlane] runs, unless it is there.
func (c *Cache) ControlPlane(ctx context.Context) error {
	for _, t := range []tool{etcd, kubeAPIServer} {
		if _, err := c.tool(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// Node builds what [StartNode] runs, unless it is there.
func (c *Cache) Node(ctx context.Context) error {
	for _, t := range nodeTools {
		if _, err := c.tool(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// nodeTools are what a node runs besides Debian's packages.
var nodeTools = []tool{etcd, kubeAPIServer, kubeScheduler, kubeManager, kubelet, kubeProxy, coredns}

// GolangciLint returns the path of the linter, built if it is not there.
func (c *Cache) GolangciLint(ctx context.Context) (string, error) { return c.tool(ctx, golangciLint) }

// tool returns the path of t's binary.
func (c *Cache) tool(ctx context.Context, t tool) (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(root, "lab", "tools", t.folder)
	version, err := pinned(filepath.Join(folder, "go.mod"), t.module)
	if err != nil {
		return "", err
	}
	dir, err := c.entry(ctx, t.name+"-"+version, func(ctx context.Context, dir string) (err error) {
		done := c.progress.Step(fmt.Sprintf("build %s %s (%s the first time)", t.name, version, t.minutes))
		defer func() { done(err) }()
		return goBuildWith(ctx, t.env, folder, filepath.Join(dir, t.name), t.pkg, "-ldflags=-s -w")
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, t.name), nil
}

// goBuild builds the package pkg as seen from folder.
func goBuild(ctx context.Context, folder, out, pkg string, flags ...string) error {
	return goBuildWith(ctx, nil, folder, out, pkg, flags...)
}

// goBuildStatic is goBuild for a program that needs no file besides itself.
func goBuildStatic(ctx context.Context, folder, out, pkg string) error {
	return goBuildWith(ctx, static, folder, out, pkg)
}

// static is the environment for a program that runs in an image of its own.
var static = []string{"CGO_ENABLED=0"}

func goBuildWith(ctx context.Context, env []string, folder, out, pkg string, flags ...string) error {
	args := append([]string{"build", "-o", out}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = folder
	cmd.Env = append(append(os.Environ(), "GOWORK=off"), env...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, lastLines(string(output), 20))
	}
	return nil
}

// pinned returns the version of a module that a go.mod file requires.
func pinned(file, module string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("find version of %s: %w", module, err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(lines.Text()), "require "))
		if len(fields) >= 2 && fields[0] == module {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("find version of %s: %s does not require it", module, file)
}

// ModuleRoot returns the project's folder: the one of go.mod at or above the
// working directory. Tests and `go run` both have theirs inside the project.
func ModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find project folder: %w", err)
	}
	for {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(content), "module flink-ha-sidecar\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find project folder: run this inside the flink-ha-sidecar checkout")
		}
		dir = parent
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
