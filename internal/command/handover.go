package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"flink-ha-sidecar/internal/control"
	"flink-ha-sidecar/internal/handover"
)

func newHandover() *cobra.Command {
	var socket, format string
	var r handover.Request
	checkpoint, wait := 10*time.Second, 60*time.Second
	c := &cobra.Command{
		Use:   "handover",
		Short: "Pass leadership on to a standby, with a checkpoint first",
		Long: `Pass leadership on to a standby, on purpose. Run it in the leader's pod, as the
sidecar's user or root.

It refuses unless another JobManager of the cluster stands by and is ready. Then it
takes a checkpoint of every running job, ends this pod's JobManager gracefully
(SIGTERM, or by deleting the pod where the JobManager runs as another user), has its
lock freed, and waits for the next leader.

A container whose JobManager has ended is started again by the kubelet: at once the
first time, after 10 s and more from the second within ten minutes. --delete-pod gets
a new pod instead, without that pause.

It is no way to stop a job. As a preStop hook of the JobManager's container use
--pre-stop: that takes the checkpoint, leaves the rest to the kubelet, and never
fails.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkFormat(format, "text", "json"); err != nil {
				return err
			}
			if checkpoint < 0 || wait <= 0 {
				return usageError{fmt.Errorf("--checkpoint-for %v and --wait %v: durations, the latter above zero", checkpoint, wait)}
			}
			r.CheckpointSeconds, r.WaitSeconds = checkpoint.Seconds(), wait.Seconds()
			err := handOver(c.Context(), socket, format, r, c.OutOrStdout())
			if err != nil && r.PreStop {
				fmt.Fprintln(c.ErrOrStderr(), "flink-ha: nothing to hand over:", err)
				return nil
			}
			return err
		},
	}
	f := c.Flags()
	f.BoolVar(&r.Force, "force", false, "without a ready standby as well, and in a pause")
	f.BoolVar(&r.DeletePod, "delete-pod", false, "delete this pod instead of ending its JobManager alone")
	f.BoolVar(&r.PreStop, "pre-stop", false, "as a preStop hook: take the checkpoint and leave the end to the kubelet; never fails")
	f.DurationVar(&checkpoint, "checkpoint-for", checkpoint, "how long to wait for the checkpoint; 0 for none")
	f.DurationVar(&wait, "wait", wait, "how long to wait for the next leader")
	f.StringVarP(&format, "output", "o", "text", "text or json")
	f.StringVar(&socket, "socket", controlSocket(), "the sidecar's socket (its --socket)")
	f.SortFlags = false
	return c
}

func handOver(ctx context.Context, socket, format string, r handover.Request, out io.Writer) error {
	say := func(step string) {
		if format == "text" {
			fmt.Fprintln(out, step)
		}
	}
	report, err := control.Handover(ctx, socket, r, say)
	if err != nil {
		return err
	}
	if format == "json" {
		return json.NewEncoder(out).Encode(report)
	}
	if report.PublishedMS != nil {
		fmt.Fprintf(out, "the leader is now at %s, %d ms after %s\n", report.Leader, *report.PublishedMS, report.By)
	}
	if report.Note != "" {
		fmt.Fprintln(out, "note:", report.Note)
	}
	return nil
}
