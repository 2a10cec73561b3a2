package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"flink-ha-sidecar/lab"
)

// scenario is one thing that befalls a cluster again and again.
type scenario struct {
	name, title string
	jobManagers int
	// fault befalls the leader; nil is a rolling update.
	fault func(*lab.PodCluster) lab.PodFault
	// word is for the kubelet's word alone, and has no plain side.
	word bool
	// long gives the cluster the lease of 180 s that the sidecar makes bearable; the
	// kubelet's probe has to end the leader then.
	long bool
	jvm  []string
}

var scenarios = []scenario{
	{name: "killed", title: "JVM of the leader ended by SIGKILL", jobManagers: 2, fault: killed},
	{name: "oom", title: "Leader's container out of memory, counted from the end of its JVM", jobManagers: 2,
		fault: func(c *lab.PodCluster) lab.PodFault { return c.OutOfMemory }},
	{name: "deleted", title: "Leader's pod deleted", jobManagers: 2,
		fault: func(c *lab.PodCluster) lab.PodFault { return c.PodDeleted }},
	{name: "one", title: "One JobManager, its JVM ended by SIGKILL", jobManagers: 1, fault: killed},
	{name: "rolling", title: "Rolling update of the Deployment", jobManagers: 2},
	{name: "stopped", title: "JVM of the leader stopped by SIGSTOP, lease-duration 180 s", jobManagers: 2, long: true,
		fault: func(c *lab.PodCluster) lab.PodFault { return c.Stopped }},
	{name: "heap", title: "JVM of the leader hangs with a full heap, lease-duration 180 s", jobManagers: 2, long: true, jvm: lab.HangsWhenFull,
		fault: func(c *lab.PodCluster) lab.PodFault { return c.HeapFull }},
	{name: "word", title: "The kubelet's word alone (--share-pids=false), SIGKILL", jobManagers: 2, fault: killed, word: true},
}

func killed(*lab.PodCluster) lab.PodFault { return lab.Signalled(syscall.SIGKILL) }

// retryPeriod is the one that the documentation recommends.
const retryPeriod = time.Second

// sampleTimeout bounds one sample: plain Flink waits for a lease up to three times
// in a rolling update.
const sampleTimeout = 5 * time.Minute

type measurement struct {
	settings settings
	bench    *lab.Bench
	node     *lab.Node
}

// measure runs one scenario on both sides and returns its table.
func (m *measurement) measure(ctx context.Context, k scenario) (string, error) {
	var failovers [2][]*lab.Failover
	var rollouts [2][]*lab.Rollout
	for side := range failovers {
		if k.word && side == plainSide {
			continue
		}
		options := lab.PodOptions{
			Node: m.node, Flink: m.bench.Flink, JobManagers: k.jobManagers, RetryPeriod: retryPeriod,
			Extra: map[string]string{"pekko.startup-timeout": "60 s"}, JVM: k.jvm,
		}
		if k.long {
			options.LeaseDuration, options.RenewDeadline = 180*time.Second, 170*time.Second
		}
		if side == sidecarSide {
			var flags []string
			if k.word {
				flags = append(flags, "--share-pids=false")
			}
			options.Inject = lab.Inject(m.bench.Sidecar, flags...)
		}
		samples := m.settings.samples
		if k.word {
			samples = m.settings.kills
		}
		m.bench.Progress.Say("\n%s, %s, %d times", k.title, sideNames[side], samples)
		f, r, err := m.side(ctx, k, options, samples)
		if err != nil {
			return "", err
		}
		failovers[side], rollouts[side] = f, r
	}
	var text strings.Builder
	fmt.Fprintf(&text, "\n## %s\n`make pods SCENARIOS=%s`\n\n", k.title, k.name)
	switch {
	case k.fault == nil:
		writeRollouts(&text, rollouts)
	case k.word:
		writeWord(&text, failovers[sidecarSide])
	default:
		writeFailovers(&text, failovers)
	}
	return text.String(), nil
}

// side starts a cluster and takes all samples on it.
func (m *measurement) side(ctx context.Context, k scenario, o lab.PodOptions, samples int) (failovers []*lab.Failover, rollouts []*lab.Rollout, err error) {
	c, err := lab.StartPodCluster(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	defer c.Stop()
	for range samples {
		if err := m.sample(ctx, k, c, &failovers, &rollouts); err != nil {
			return nil, nil, err
		}
	}
	return failovers, rollouts, nil
}

func (m *measurement) sample(ctx context.Context, k scenario, c *lab.PodCluster, failovers *[]*lab.Failover, rollouts *[]*lab.Rollout) error {
	ctx, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	if _, err := c.WaitReady(ctx); err != nil {
		return err
	}
	if k.fault == nil {
		r, err := c.Roll(ctx)
		if err != nil {
			return err
		}
		m.bench.Progress.Say("  without a leader %d times, %d ms together", len(r.Gaps), lab.Sum(r.Gaps).Milliseconds())
		*rollouts = append(*rollouts, r)
		return nil
	}
	f, err := c.Fail(ctx, k.fault(c))
	if err != nil {
		return err
	}
	m.bench.Progress.Say("  %v", f)
	*failovers = append(*failovers, f)
	return nil
}
