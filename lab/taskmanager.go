package lab

import (
	"maps"
	"path/filepath"
)

// TaskManager is a Flink TaskManager with one slot, on an address of its own.
type TaskManager struct {
	*Process
	Address string
	log     string
}

// taskManagerKeys are what Flink's start scripts work out; without them each must
// be given.
var taskManagerKeys = map[string]string{
	"taskmanager.numberOfTaskSlots":              "1",
	"taskmanager.cpu.cores":                      "1",
	"taskmanager.memory.framework.heap.size":     "128m",
	"taskmanager.memory.framework.off-heap.size": "128m",
	"taskmanager.memory.task.heap.size":          "200m",
	"taskmanager.memory.task.off-heap.size":      "0",
	"taskmanager.memory.network.min":             "64m",
	"taskmanager.memory.network.max":             "64m",
	"taskmanager.memory.managed.size":            "64m",
	"taskmanager.memory.jvm-metaspace.size":      "256m",
	"taskmanager.memory.jvm-overhead.min":        "128m",
	"taskmanager.memory.jvm-overhead.max":        "128m",
}

// StartTaskManager starts a TaskManager of the cluster. It finds the leading
// JobManager through the HA service.
func StartTaskManager(s *Settings, name, address string) (*TaskManager, error) {
	conf := filepath.Join(s.Dir, name+"-conf")
	own := maps.Clone(taskManagerKeys)
	own["taskmanager.host"], own["taskmanager.bind-host"] = address, address
	if err := s.writeConf(conf, own); err != nil {
		return nil, err
	}
	t := &TaskManager{Address: address, log: filepath.Join(s.Dir, name+".1.log")}
	var err error
	args := append(s.jvm(conf, t.log), "org.apache.flink.runtime.taskexecutor.TaskManagerRunner", "--configDir", conf)
	t.Process, err = start(spec{name: name, path: s.Flink.JDK.Java(), args: args, log: filepath.Join(s.Dir, name+".out")})
	return t, err
}

// Log is the path of Flink's log.
func (t *TaskManager) Log() string { return t.log }
