package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// JDK is a Java development kit, version 17: the newest that every Flink version
// of the lab runs on.
type JDK struct {
	home string
}

// Java is the path of the java command.
func (j JDK) Java() string { return filepath.Join(j.home, "bin", "java") }

// Javac is the path of the Java compiler.
func (j JDK) Javac() string { return filepath.Join(j.home, "bin", "javac") }

// Jar is the path of the archiver.
func (j JDK) Jar() string { return filepath.Join(j.home, "bin", "jar") }

// FindJDK returns the first JDK 17 of $JAVA_HOME, /usr/lib/jvm/*17* and PATH. If
// there is none, the error says so in one line and lists what was found instead.
func FindJDK(ctx context.Context) (JDK, error) {
	var homes []string
	if home := os.Getenv("JAVA_HOME"); home != "" {
		homes = append(homes, home)
	}
	installed, _ := filepath.Glob("/usr/lib/jvm/*17*")
	homes = append(homes, installed...)
	if path, err := exec.LookPath("javac"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			homes = append(homes, filepath.Dir(filepath.Dir(path)))
		}
	}
	return firstJDK17(ctx, homes)
}

func firstJDK17(ctx context.Context, homes []string) (JDK, error) {
	var others []string
	for _, home := range homes {
		jdk := JDK{home: home}
		version, err := jdk.version(ctx)
		switch {
		case err != nil:
			others = append(others, fmt.Sprintf("%s is no JDK", home))
		case version != "17":
			others = append(others, fmt.Sprintf("%s is version %s", home, version))
		default:
			return jdk, nil
		}
	}
	text := "JDK 17 (java, javac and jar) is missing: install it, or set JAVA_HOME"
	if len(others) > 0 {
		text += "; found: " + strings.Join(others, ", ")
	}
	return JDK{}, errors.New(text)
}

var javacVersion = regexp.MustCompile(`^javac (?:1\.)?(\d+)`)

// version asks the compiler, since a JRE alone has none, and checks that the
// other two commands are there.
func (j JDK) version(ctx context.Context) (string, error) {
	for _, command := range []string{j.Java(), j.Jar()} {
		if _, err := exec.LookPath(command); err != nil {
			return "", err
		}
	}
	out, err := exec.CommandContext(ctx, j.Javac(), "-version").CombinedOutput()
	if err != nil {
		return "", err
	}
	found := javacVersion.FindSubmatch(out)
	if found == nil {
		return "", fmt.Errorf("javac -version says %q", out)
	}
	return string(found[1]), nil
}

// CheckNeeds looks for everything the lab and its tests need from the machine
// and returns an error with one line for each thing that is missing.
func CheckNeeds(ctx context.Context) error {
	var missing []error
	for _, need := range []struct{ command, why string }{
		{"go", "builds the sidecar, etcd and kube-apiserver"},
		{"gcc", "go test -race is built with it"},
	} {
		if _, err := exec.LookPath(need.command); err != nil {
			missing = append(missing, fmt.Errorf("%s is missing: it %s", need.command, need.why))
		}
	}
	if _, err := pip(ctx); err != nil {
		missing = append(missing, err)
	}
	if _, err := FindJDK(ctx); err != nil {
		missing = append(missing, err)
	}
	return errors.Join(missing...)
}

// pip returns the command line that runs pip. A command that is there and does
// not work (a version manager's stub) counts as missing.
func pip(ctx context.Context) ([]string, error) {
	for _, command := range [][]string{{"pip"}, {"pip3"}, {"python3", "-m", "pip"}} {
		if exec.CommandContext(ctx, command[0], append(command[1:], "--version")...).Run() == nil {
			return command, nil
		}
	}
	return nil, errors.New("pip is missing: it downloads Flink; install Python 3 with pip")
}
