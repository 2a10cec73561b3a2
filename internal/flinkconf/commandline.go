package flinkconf

import (
	"path"
	"strconv"
	"strings"
)

// commandLine is what the arguments behind a JobManager's main class say.
type commandLine struct {
	mainClass  string
	configDir  string
	host       string
	restPort   string
	properties []property
}

type property struct{ key, value string }

// kubernetesEntryPoints is the package of the main classes that take their
// address from the pod.
const kubernetesEntryPoints = "org.apache.flink.kubernetes.entrypoint."

// javaOptionsWithValue are the options of the java launcher whose value is the
// next argument.
var javaOptionsWithValue = map[string]bool{
	"-cp": true, "-classpath": true, "--class-path": true, "-p": true, "--module-path": true,
	"--upgrade-module-path": true, "--add-modules": true, "--add-exports": true, "--add-opens": true,
	"--add-reads": true, "--limit-modules": true, "--patch-module": true, "--enable-native-access": true,
}

// splitJava returns main class and arguments of a java command line.
func splitJava(argv []string) (mainClass string, args []string) {
	for i := 1; i < len(argv); i++ {
		switch arg := argv[i]; {
		case javaOptionsWithValue[arg]:
			i++
		case !strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "@"):
			return arg, argv[i+1:]
		}
	}
	return "", nil
}

// parseCommandLine reads Flink's own options. Like Flink it stops at the first
// argument that is neither an option it knows nor the value of one: what follows
// is for the job.
func parseCommandLine(argv []string) commandLine {
	mainClass, args := splitJava(argv)
	c := commandLine{mainClass: mainClass}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if text, ok := strings.CutPrefix(arg, "-D"); ok {
			args = c.property(text, args)
			continue
		}
		name, value, inline := strings.Cut(arg, "=")
		target, takesValue, known := c.option(name)
		switch {
		case !known:
			return c
		case !takesValue:
			continue
		case !inline && len(args) > 0:
			value, args = args[0], args[1:]
		}
		if target != nil {
			*target = value
		}
	}
	return c
}

// option returns where the value of an option goes. Flink 2 knows neither --host
// nor --webui-port; whoever gives them there has them ignored together with all
// that follows, so they are taken at their word here.
func (c *commandLine) option(name string) (target *string, takesValue, known bool) {
	switch name {
	case "-c", "--configDir":
		return &c.configDir, true, true
	case "-h", "--host":
		return &c.host, true, true
	case "-r", "--webui-port":
		return &c.restPort, true, true
	case "-x", "--executionMode", "-j", "--job-classname", "-jid", "--job-id",
		"-jarfile", "--jar-file", "-jars", "--jars", "-s", "--fromSavepoint",
		"-rm", "--restoreMode", "-claimMode", "--claimMode":
		return nil, true, true
	case "-n", "--allowNonRestoredState":
		return nil, false, true
	default:
		return nil, false, false
	}
}

// property takes "-Dkey=value", "-D key=value", "-D key value" and "-Dkey", which
// means true, and returns the arguments that are left.
func (c *commandLine) property(text string, args []string) []string {
	separate := text == ""
	if separate {
		if len(args) == 0 {
			return nil
		}
		text, args = args[0], args[1:]
	}
	key, value, found := strings.Cut(text, "=")
	if !found {
		value = "true"
		if separate && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
			value, args = args[0], args[1:]
		}
	}
	c.properties = append(c.properties, property{key, value})
	return args
}

// ConfigDir returns the directory that --configDir names on a JobManager's
// command line, empty if it names none.
func ConfigDir(argv []string) string { return parseCommandLine(argv).configDir }

// MajorVersion returns Flink's major version as Version tells it, 0 if it does not.
func MajorVersion(argv []string) int {
	major, _, _ := strings.Cut(Version(argv), ".")
	n, err := strconv.Atoi(major)
	if err != nil {
		return 0
	}
	return n
}

// Version returns Flink's version by the name of flink-dist on the class path, as
// in "1.18.1"; empty if it does not tell.
func Version(argv []string) string {
	for i := 1; i < len(argv); i++ {
		if argv[i-1] != "-cp" && argv[i-1] != "-classpath" && argv[i-1] != "--class-path" {
			continue
		}
		for entry := range strings.SplitSeq(argv[i], ":") {
			if version, ok := strings.CutPrefix(path.Base(entry), "flink-dist-"); ok {
				return strings.TrimSuffix(version, ".jar")
			}
		}
	}
	return ""
}
