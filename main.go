// Command flink-ha is the HA sidecar of a Flink JobManager.
package main

import (
	"os"

	"flink-ha-sidecar/internal/command"
)

func main() { os.Exit(command.Main(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }
