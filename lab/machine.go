package lab

import (
	"context"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// machine is a part of this machine that looks like one of its own, and needs
// root: network, mounts and process IDs are separate, files are shared. When its
// first process ends, the kernel ends all others and takes down its mounts and
// network with them; and the first process dies with this program. So nothing
// of a machine outlives the program that made it, but files and cgroups.
type machine struct {
	first *Process
	// site is where the machine's processes start; master is its second
	// network, where the control plane is: a host of its own on the same bridge.
	site, master *site
}

// The machine's networks. Pods are on the bridge, with addresses from 10.88.0.10
// on. The API server has its usual cluster IP itself, on a host of its own, so
// that in-cluster configuration works without kube-proxy.
const (
	nodeIP       = "10.88.0.1"
	masterIP     = "10.88.0.2"
	firstPodIP   = "10.88.0.10"
	podSubnet    = "10.88.0.0/24"
	serviceRange = "10.0.0.0/24"
	clusterIP    = "10.0.0.1"
	dnsIP        = "10.0.0.10"
	bridge       = "lab0"
)

// machineSetup runs in a machine before anything else does. What programs write
// under fixed paths goes to file systems that vanish with the machine: the
// kubelet's sockets and links, containerd's shims, the network plugins' leases.
const machineSetup = `set -e
mount --make-rprivate /
mount -t proc proc /proc
for d in /run /var/log /var/lib; do mount -t tmpfs -o mode=755 lab $d; done
test -d "$1" || { echo "$1 lies below /run, /var/log or /var/lib: set TMPDIR to another folder"; exit 1; }
echo 1 > /proc/sys/net/ipv4/ip_forward
ip link set lo up
ip link add ` + bridge + ` type bridge
ip addr add ` + nodeIP + `/24 dev ` + bridge + `
ip link set ` + bridge + ` up
ip netns add master
ip link add master0 type veth peer name eth0 netns master
ip link set master0 master ` + bridge + ` up
ip -n master link set lo up
ip -n master link set eth0 up
ip -n master addr add ` + masterIP + `/24 dev eth0
ip -n master addr add ` + clusterIP + `/32 dev eth0
ip -n master route add default via ` + nodeIP + `
ip route add ` + clusterIP + `/32 via ` + masterIP + `
`

// newMachine makes a machine that shares dir with this one. pause is the binary
// of lab/cmd/pause.
func newMachine(ctx context.Context, dir, pause string) (_ *machine, err error) {
	m := &machine{}
	defer func() {
		if err != nil {
			m.stop()
		}
	}()
	m.first, err = start(spec{
		name: "first process", path: pause, log: filepath.Join(dir, "first.log"),
		clone: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET,
	})
	if err != nil {
		return nil, err
	}
	mounts, network, pids := m.namespace("mnt", unix.CLONE_NEWNS), m.namespace("net", unix.CLONE_NEWNET), m.namespace("pid", unix.CLONE_NEWPID)
	// The mounts come last: with them /proc is the machine's own.
	if m.site, err = newSite(network, pids, mounts); err != nil {
		return nil, err
	}
	if err := m.site.run(ctx, "sh", "-c", machineSetup, "sh", dir); err != nil {
		return nil, fmt.Errorf("set machine up: %w", err)
	}
	second := namespace{path: fmt.Sprintf("/proc/%d/root/run/netns/master", m.first.PID()), kind: unix.CLONE_NEWNET}
	m.master, err = newSite(second, pids, mounts)
	return m, err
}

func (m *machine) namespace(name string, kind int) namespace {
	return namespace{path: fmt.Sprintf("/proc/%d/ns/%s", m.first.PID(), name), kind: kind}
}

// stop ends every process of the machine. It may be called twice.
func (m *machine) stop() {
	if m == nil {
		return
	}
	m.first.Kill() // returns when all are gone
	for _, p := range []**site{&m.site, &m.master} {
		if *p != nil {
			(*p).close()
			*p = nil
		}
	}
}
